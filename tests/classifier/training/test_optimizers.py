"""Each option of an optimizer reaches it."""

import dataclasses

import pytest

from classifier.checkpoints import names as checkpoint_names
from classifier.config.optimizer import OPTIMIZERS, OptimizerOptions, readers
from classifier.training import optimizers
from nets.nets_factory import NETWORKS

DECOUPLED = [name for name, row in OPTIMIZERS.items() if row.is_new]

# Option -> the optimizers it is for, the attribute it sets.
REACHES = {
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


def made(name, **values):
    options = OptimizerOptions(optimizer=name, **values)
    return optimizers.make_optimizer(options, 0.1, NETWORKS["lenet"].heads)


@pytest.mark.parametrize("option", REACHES)
def test_an_option_reaches_its_optimizers(option):
    names, attribute = REACHES[option]
    for name in names.split():
        assert getattr(made(name, **{option: 0.625}), attribute) == 0.625
        assert getattr(made(name), attribute) != 0.625


# What is not the optimizer's alone.
FOR_ALL = {"optimizer", "clip_gradient_norm", "moving_average_decay"}


def test_it_is_known_which_optimizers_read_an_option():
    for name in {field.name for field in dataclasses.fields(OptimizerOptions)} - FOR_ALL:
        value = -0.3 if name in ("adafactor_beta2_decay", "ftrl_learning_rate_power") else 0.625
        found = set()
        for optimizer in OPTIMIZERS:
            options = OptimizerOptions(optimizer=optimizer)
            object.__setattr__(options, name, value)  # which by itself may be refused
            heads = NETWORKS["lenet"].heads
            if optimizers.make_optimizer(options, 0.1, heads) != made(optimizer):
                found.add(optimizer)
        assert found == set(readers(name)), name


def test_exponents_reach_theirs():
    assert made("adafactor", adafactor_beta2_decay=-0.5).beta2_decay == -0.5
    assert made("ftrl", ftrl_learning_rate_power=-0.7).learning_rate_power == -0.7


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_name_makes_an_optimizer_of_its_own(name):
    assert made(name).learning_rate == 0.1
    assert type(made(name)) not in {type(made(other)) for other in OPTIMIZERS if other != name}


def test_the_decays_of_keras_are_the_defaults():
    decays = {name: made(name).weight_decay for name in DECOUPLED}
    assert decays == {"adafactor": 0, "adamw": 0.004, "lamb": 0, "lion": 0, "muon": 0.004}


def test_muon_leaves_the_head_to_adam():
    assert made("muon").exclude_scopes == ("LeNet/fc4",)


@pytest.mark.parametrize("name", DECOUPLED)
def test_slots_are_told_from_weights(name):
    slots = made(name).slots("A/weights", (2, 3))
    for name_of_slot in (slot.name for slot in slots):
        assert checkpoint_names.kind_of(name_of_slot) == checkpoint_names.SLOT
    for scalar in made(name).scalars():
        assert checkpoint_names.kind_of(scalar) == checkpoint_names.SLOT
    (found,) = checkpoint_names.optimizers_of([slot.name for slot in slots])
    assert found.lower() == name
