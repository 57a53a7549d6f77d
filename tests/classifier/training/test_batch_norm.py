"""Batch norm in fine-tuning: options and their effect on checkpoints."""

import numpy as np
import pytest

import slim
from classifier.config.finetuning import BatchNormOptions
from classifier.training import batch_norm
from nets import nets_factory
from slim import checkpoints

NETWORK = {"model_name": "mobilenet_v1_025", "train_image_size": "32", "learning_rate": 0.01}
LAST_LAYER = "MobilenetV1/Conv2d_13_pointwise"
FIRST, LAST = "MobilenetV1/Conv2d_0/BatchNorm", f"{LAST_LAYER}/BatchNorm"


@pytest.fixture
def saved(train, tmp_path):
    """Returns the checkpoint of a run with these flags, and its output."""

    def run(**more):
        run_dir = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        result = train(run_dir, **NETWORK | more)
        assert result.code == 0, result.err
        return checkpoints.read(checkpoints.find(run_dir)), result.out

    return run


def means(reader, scope=FIRST):
    return reader.get(f"{scope}/moving_mean")


@pytest.mark.slow
def test_decay_and_updates_outside_the_trainable_scopes(saved):
    half, _ = saved(max_number_of_steps=1, batch_norm_decay=0.5)
    own, output = saved(
        max_number_of_steps=1, trainable_scopes=LAST_LAYER, update_frozen_batch_norm=True
    )
    # After one step, an average that starts at 0 is (1 - decay) times the batch's mean.
    np.testing.assert_allclose(means(half) * (1 - 0.9997) / 0.5, means(own), rtol=1e-3)
    assert np.abs(means(half)).max() > 1e-3
    assert [line for line in output if line.startswith("warning: --batch_norm_decay=0.9997 needs")]


def test_frozen_batch_norm_trains_only_its_parameters(saved):
    reader, output = saved(freeze_batch_norm=True, max_number_of_steps=1)
    assert not means(reader).any()
    assert not means(reader, LAST).any()
    assert (reader.get(f"{FIRST}/moving_variance") == 1).all()
    assert reader.get(f"{LAST}/beta").any()
    assert not any("needs about" in line for line in output)


def test_batch_norm_outside_the_trainable_scopes_is_frozen(saved):
    reader, output = saved(trainable_scopes=LAST_LAYER, max_number_of_steps=1)
    assert (
        f"training only {LAST_LAYER}; batch norm elsewhere is frozen (TF-Slim updated it)"
    ) in output
    assert not means(reader).any()
    assert means(reader, LAST).any()


@pytest.mark.slow
def test_options_without_effect_and_double_class_weights_are_a_warning(train, tmp_path):
    done = train(
        tmp_path,
        **NETWORK,
        max_number_of_steps=1,
        update_frozen_batch_norm=True,
        class_weights="auto",
        balanced_sampling=True,
    )
    line = "warning: --update_frozen_batch_norm has no effect without --trainable_scopes"
    assert line in done.out
    assert [
        line for line in done.out if line.startswith("warning: class_weights=auto and balanced")
    ]


@pytest.mark.parametrize("steps, decay", [(None, ""), (10_000, ""), (500, "0.99,"), (9, "0.9,")])
def test_a_run_too_short_for_the_averages_is_a_warning(steps, decay):
    text = batch_norm.warning(BatchNormOptions(), "inception_v3", steps)
    assert bool(text) == bool(decay)
    if decay:
        assert text.startswith("--batch_norm_decay=0.9997 needs about 10000 steps to converge, th")
        assert f"has {steps}: " in text
        assert f"Try --batch_norm_decay={decay} or" in text


def test_a_decay_that_converges_soon_causes_no_warning():
    assert not batch_norm.warning(BatchNormOptions(batch_norm_decay=0.9), "inception_v3", 5)


@pytest.mark.parametrize("name", nets_factory.NETWORKS)
def test_every_network_passes_the_decay_to_its_layers(name):
    own = nets_factory.batch_norm_decay(name)
    assert 0.9 <= own < 1
    decays = []

    def network(images, **_):
        scope = slim.current_arg_scope()
        decays.extend(
            each["decay"]
            for arguments in scope.values()
            for each in (arguments, arguments.get("normalizer_params") or {})
            if "decay" in each
        )
        return images, {}

    spec = nets_factory.NETWORKS[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(spec), "build", property(lambda self: network))
        nets_factory.get_network_fn(name, 5, is_training=True, batch_norm_decay=0.75)(None)
    assert set(decays) == {0.75}
