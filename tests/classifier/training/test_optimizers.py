"""Options of the optimizers."""

import dataclasses

import pytest

from classifier.checkpoints import names as checkpoint_names
from classifier.config.optimizer import OPTIMIZERS, OptimizerOptions, readers
from classifier.training import optimizers
from nets.nets_factory import NETWORKS

DECOUPLED = [name for name, row in OPTIMIZERS.items() if row.is_new]

# Option -> (optimizers that have it, attribute it sets).
ATTRIBUTES = {
    "adam_beta1": ("adam adamw lamb muon", "beta1"),
    "adam_beta2": ("adam adamw lamb muon", "beta2"),
    "adamw_epsilon": ("adamw lamb muon", "epsilon"),
    "opt_epsilon": ("adadelta adam rmsprop", "epsilon"),
    "optimizer_weight_decay": (" ".join(DECOUPLED), "weight_decay"),
    "lion_beta1": ("lion", "beta1"),
    "lion_beta2": ("lion", "beta2"),
    "muon_momentum": ("muon", "momentum"),
    "adafactor_clip_threshold": ("adafactor", "clip_threshold"),
    "adadelta_rho": ("adadelta", "rho"),
    "adagrad_initial_accumulator_value": ("adagrad", "initial_accumulator_value"),
    "ftrl_initial_accumulator_value": ("ftrl", "initial_accumulator_value"),
    "ftrl_l1": ("ftrl", "l1"),
    "ftrl_l2": ("ftrl", "l2"),
    "momentum": ("momentum", "momentum"),
    "rmsprop_momentum": ("rmsprop", "momentum"),
    "rmsprop_decay": ("rmsprop", "decay"),
}


def make(name, **values):
    options = OptimizerOptions(optimizer=name, **values)
    return optimizers.make_optimizer(options, 0.1, NETWORKS["lenet"].heads)


@pytest.mark.parametrize("option", ATTRIBUTES)
def test_an_option_sets_the_attribute_of_its_optimizers(option):
    names, attribute = ATTRIBUTES[option]
    for name in names.split():
        assert getattr(make(name, **{option: 0.625}), attribute) == 0.625
        assert getattr(make(name), attribute) != 0.625


# Options for all optimizers.
FOR_ALL = {"optimizer", "clip_gradient_norm", "moving_average_decay"}


def test_readers_are_the_optimizers_that_an_option_changes():
    for name in {field.name for field in dataclasses.fields(OptimizerOptions)} - FOR_ALL:
        value = -0.3 if name in ("adafactor_beta2_decay", "ftrl_learning_rate_power") else 0.625
        changed = set()
        for optimizer in OPTIMIZERS:
            options = OptimizerOptions(optimizer=optimizer)
            object.__setattr__(options, name, value)  # without validation
            heads = NETWORKS["lenet"].heads
            if optimizers.make_optimizer(options, 0.1, heads) != make(optimizer):
                changed.add(optimizer)
        assert changed == set(readers(name)), name


def test_negative_exponents_set_their_attributes():
    assert make("adafactor", adafactor_beta2_decay=-0.5).beta2_decay == -0.5
    assert make("ftrl", ftrl_learning_rate_power=-0.7).learning_rate_power == -0.7


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_name_has_its_own_class(name):
    assert make(name).learning_rate == 0.1
    assert type(make(name)) not in {type(make(other)) for other in OPTIMIZERS if other != name}


def test_default_weight_decays_are_those_of_keras():
    decays = {name: make(name).weight_decay for name in DECOUPLED}
    assert decays == {"adafactor": 0, "adamw": 0.004, "lamb": 0, "lion": 0, "muon": 0.004}


def test_muon_excludes_the_head():
    assert make("muon").exclude_scopes == ("LeNet/fc4",)


@pytest.mark.parametrize("name", DECOUPLED)
def test_slots_are_distinguished_from_weights(name):
    slots = make(name).slots("A/weights", (2, 3))
    for name_of_slot in (slot.name for slot in slots):
        assert checkpoint_names.kind_of(name_of_slot) == checkpoint_names.SLOT
    for scalar in make(name).scalars():
        assert checkpoint_names.kind_of(scalar) == checkpoint_names.SLOT
    (optimizer,) = checkpoint_names.optimizers_of([slot.name for slot in slots])
    assert optimizer.lower() == name
