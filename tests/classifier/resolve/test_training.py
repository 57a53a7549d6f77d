import dataclasses
import json

import pytest

from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.resolve import resume
from classifier.resolve import training as resolve
from slim import _checks
from slim._problems import as_flags
from tests.classifier import split_metadata


def resolved(dataset=None, **values):
    values = {"train_dir": "run", "dataset_dir": "data", "model_name": "lenet"} | values
    return resolve.resolve_training(
        options.build(TrainConfig, **values),
        dataset or split_metadata.Dataset(),
    )


def test_the_defaults_come_from_network_and_dataset():
    run = resolved()
    assert run.model.image_size == (28, 28)
    assert run.model.preprocessing_name == "lenet"
    assert run.model.num_classes == 10
    assert run.model.label_names[3] == "digit 3"
    assert run.model.num_channels == 1
    assert run.number_of_steps is None


def test_options_override_the_defaults():
    run = resolved(train_image_size=(32, 40), preprocessing_name="inception_v3")
    assert run.model.image_size == (32, 40)
    assert run.model.preprocessing_name == "inception"


def test_the_offset_removes_the_first_labels():
    model = resolved(labels_offset=2).model
    assert model.num_classes == 8
    assert model.label_names[0] == "digit 2"


def test_an_offset_that_removes_all_classes_is_an_error():
    with pytest.raises(_checks.UserError, match="labels_offset=10 removes all 10 classes"):
        resolved(labels_offset=10)


def test_a_network_for_videos_is_an_error():
    with pytest.raises(_checks.UserError, match="=s3dg expects videos, but datasets contain im"):
        resolved(model_name="s3dg")


@pytest.mark.parametrize(
    "gray, channels, expected", [(False, 3, 3), (True, 3, 1), (False, None, 3), (False, 1, 1)]
)
def test_channels(gray, channels, expected):
    run = resolved(split_metadata.Dataset(num_channels=channels), use_grayscale=gray)
    assert run.model.num_channels == expected


def test_a_dataset_without_class_names_has_no_label_names():
    assert resolved(split_metadata.Dataset(labels_to_names={})).model.label_names == ()


def test_a_network_may_have_more_logits_than_the_dataset_has_classes():
    few = split_metadata.Dataset(num_classes=2, labels_to_names={0: "a", 1: "b"})
    model = resolved(few, num_classes=4).model
    assert (model.num_classes, model.label_names) == (4, ("a", "b", "2", "3"))
    model = resolved(few, num_classes=4, labels_offset=1).model
    assert (model.num_classes, model.label_names) == (4, ("b", "2", "3", "4"))
    message = "num_classes=1 is less than the 2 classes of dataset 'digits'. Increase or remove it"
    with pytest.raises(_checks.UserError, match=message):
        resolved(few, num_classes=1)


def test_summary_of_imagenet_on_eight_clones():
    run = resolved(
        split_metadata.Dataset(num_samples=1281167), num_clones=8, num_epochs_per_decay=2.0
    )
    assert run.global_batch_size == 256
    assert run.steps_per_epoch == 1281167 / 256
    assert run.schedule.decay_steps == 10009
    assert run.summary == (
        "global batch 256 = 8 clones x 32; 1 epoch = 5004.558594 steps;"
        " LR 0.01 x0.94 every 2 epochs = 10009 steps"
    )


@pytest.mark.parametrize(
    "values, words",
    [
        ({"learning_rate_decay_type": "fixed"}, "1 epoch = 44.90625 steps; LR 0.01"),
        (
            {"learning_rate_decay_type": "polynomial", "num_epochs_per_decay": 10.0},
            "1 epoch = 44.90625 steps; LR 0.01 to 0.0001 linearly in 10 epochs = 449 steps",
        ),
        (
            {"learning_rate_decay_type": "fixed", "warmup_epochs": 2.0},
            "1 epoch = 44.90625 steps; LR warm-up for 2 epochs = 89.8125 steps; LR 0.01",
        ),
        (
            {"learning_rate_decay_type": "cosine", "decay_steps": 70, "warmup_steps": 7},
            (
                "1 epoch = 44.90625 steps; LR warm-up for 7 steps;"
                " LR 0.01 to 0.0001 along a cosine in 70 steps"
            ),
        ),
        (
            {
                "learning_rate_decay_type": "piecewise",
                "piecewise_epochs": (2.0, 3.0),
                "learning_rate_decay_factor": 0.1,
            },
            "1 epoch = 44.90625 steps; LR 0.01, 0.001 after step 90, 0.0001 after step 135",
        ),
        (
            {"decay_per_clone": True, "num_clones": 2},
            (
                "global batch 64 = 2 clones x 32; 1 epoch = 22.453125 steps; LR 0.01 x0.94 every"
                " 2 epochs = 89 steps (epochs of one clone's batches)"
            ),
        ),
        (
            {"decay_per_clone": True, "learning_rate_decay_type": "fixed"},
            "1 epoch = 44.90625 steps; LR 0.01",
        ),
        (
            {"decay_per_clone": True, "decay_steps": 10},
            "1 epoch = 44.90625 steps; LR 0.01 x0.94 every 10 steps",
        ),
    ],
)
def test_summary_describes_the_schedule(values, words):
    assert resolved(**values).summary == words


def test_a_decay_of_less_than_a_step_is_an_error_if_it_has_an_effect():
    with pytest.raises(_checks.UserError, match=r"num_epochs_per_decay=0.01 is less than one step"):
        resolved(num_epochs_per_decay=0.01)
    run = resolved(num_epochs_per_decay=0.01, learning_rate_decay_type="fixed")
    assert run.schedule.decay_steps == 0


@pytest.mark.parametrize("images, steps", [(1, 1), (15, 1), (16, 1), (31, 1), (32, 2), (33, 2)])
def test_few_images_are_trained_with_the_default_options(images, steps):
    schedule = resolved(split_metadata.Dataset(num_samples=images)).schedule
    # TF-Slim, with a batch of 32: int(num_samples / 32 * 2), which is 0 below 16 images.
    assert schedule.decay_steps == steps == max(1, int(images / 32 * 2))
    assert f"x0.94 every 2 epochs = {steps} step" in schedule.words


def test_other_decays_of_few_images_need_their_number_of_steps():
    few = split_metadata.Dataset(num_samples=15)
    cosine = {"learning_rate_decay_type": "cosine"}
    with pytest.raises(_checks.UserError, match="15 images are 0.46875 steps of 32 i") as caught:
        resolved(few, **cosine)
    assert as_flags(caught.value).endswith("Use --decay_steps or a smaller --batch_size")
    assert resolved(few, **cosine, decay_steps=40).schedule.decay_steps == 40
    assert resolved(few, **cosine, batch_size=8).schedule.decay_steps == 3


def test_accumulated_batches_count_as_one_step():
    run = resolved(accumulate_steps=4, batch_size=8, num_clones=2)
    assert run.global_batch_size == 64
    assert run.summary.startswith("global batch 64 = 2 clones x 4 accumulated x 8; 1 epoch = 22.4")
    assert run.schedule == resolved(num_clones=2).schedule
    per_clone = resolved(accumulate_steps=4, batch_size=8, num_clones=2, decay_per_clone=True)
    assert per_clone.schedule == resolved(num_clones=2, decay_per_clone=True).schedule


def test_piecewise_boundaries_within_a_step_are_an_error():
    with pytest.raises(_checks.UserError, match="piecewise_epochs are less than one step apart"):
        resolved(learning_rate_decay_type="piecewise", piecewise_epochs=(1.0, 1.001))


def test_decay_per_clone_multiplies_an_epoch_by_the_clones():
    default = resolved(num_clones=4, warmup_epochs=1.0).schedule
    per_clone = resolved(num_clones=4, warmup_epochs=1.0, decay_per_clone=True).schedule
    # TF-Slim: int(num_samples / batch_size * num_epochs_per_decay), with the batch of one clone.
    assert per_clone.decay_steps == int(1437 * 2 / 32) == 89
    assert default.decay_steps == int(1437 * 2 / 128)
    assert per_clone.warmup_steps == 4 * default.warmup_steps


def test_decay_per_clone_with_sync_replicas_counts_the_aggregated_workers():
    workers = {"worker_replicas": 3, "decay_per_clone": True}
    synced = resolved(**workers, sync_replicas=True, replicas_to_aggregate=3).schedule
    # TF-Slim: num_samples / batch_size * num_epochs_per_decay / replicas_to_aggregate.
    assert synced.decay_steps == int(1437 * 2 / 32 / 3) == 29
    assert resolved(**workers).schedule.decay_steps == int(1437 * 2 / 32) == 89


def test_the_end_and_intervals_in_epochs_or_in_steps():
    assert resolved(max_number_of_epochs=2.0).number_of_steps == 90
    assert resolved(max_number_of_steps=7).number_of_steps == 7
    assert resolved(eval_every_epochs=2.0).eval_every_steps == 90
    assert resolved(eval_every_steps=7).eval_every_steps == 7
    assert resolved(save_interval_epochs=0.5).save_every_steps == 22
    assert resolved(save_interval_steps=7).save_every_steps == 7
    assert resolved().save_every_steps == 0


def test_quantize_delay_in_epochs_or_in_steps():
    runs = {delay: resolved(quantize_delay_epochs=delay) for delay in (None, 0.0, 2.0)}
    assert [run.quantize_delay for run in runs.values()] == [-1, 0, 90]
    assert [run.model.quantized for run in runs.values()] == [False, True, True]
    assert resolved(quantize_delay=7).quantize_delay == 7


@pytest.mark.parametrize("name, value", [("quantize_delay", 3), ("save_interval_steps", 3)])
def test_a_duration_in_steps_and_in_epochs_is_an_error(name, value):
    epochs = f"{name.removesuffix('_steps')}_epochs"
    with pytest.raises(_checks.UserError, match=f"{name} and {epochs} are mutually exclusive"):
        resolved(**{name: value, epochs: 1.0})


def test_an_unknown_network_is_an_error():
    with pytest.raises(_checks.UserError, match="model_name='lenett' is not known"):
        resolved(model_name="lenett")


def through_json(run):
    return json.loads(json.dumps(run.to_dict()))


def test_changes_of_the_schedule_are_listed():
    workers = {"worker_replicas": 3, "decay_per_clone": True}
    old, new = resolved(**workers), resolved(**workers, sync_replicas=True, replicas_to_aggregate=3)
    changes = resume.changed_options(through_json(old), new)
    names = ["sync_replicas", "replicas_to_aggregate"]
    assert [(each.name, each.refused) for each in changes] == [(name, False) for name in names]


def test_the_same_command_has_no_changes():
    run = resolved(train_image_size=(32, 40), trainable_scopes=("A", "B"))
    assert resume.changed_options(through_json(run), run) == ()


def test_an_explicit_default_does_not_count_as_a_change():
    after = resolved(preprocessing_name="lenet", train_image_size=(28, 28), train_dir="moved")
    assert resume.changed_options(through_json(resolved()), after) == ()


def test_allowed_changes_are_listed():
    after = resolved(learning_rate=0.5, max_number_of_steps=7)
    changes = resume.changed_options(through_json(resolved()), after)
    assert [str(change) for change in changes] == [
        "max_number_of_steps: None -> 7",
        "learning_rate: 0.01 -> 0.5",
    ]
    resume.refuse_changes(changes, "run")


@pytest.mark.parametrize(
    "values, change",
    [
        ({"seed": 1}, "seed: 0 -> 1"),
        ({"batch_size": 16}, "global_batch_size: 32 -> 16"),
        ({"num_clones": 2}, "global_batch_size: 32 -> 64"),
        ({"accumulate_steps": 2}, "global_batch_size: 32 -> 64"),
        ({"model_name": "inception_v3"}, "model_name: lenet -> inception_v3"),
        ({"dataset_name": "mnist"}, "dataset_name: imagenet -> mnist"),
        ({"dataset": split_metadata.Dataset(num_samples=9999)}, "num_samples: 1437 -> 9999"),
        ({"optimizer": "adam"}, "optimizer: rmsprop -> adam"),
        ({"labels_offset": 1}, "labels_offset: 0 -> 1"),
        ({"trainable_scopes": ("A",)}, r"trainable_scopes: \[\] -> \['A'\]"),
    ],
)
def test_changes_of_fixed_values_are_an_error(values, change):
    changes = resume.changed_options(through_json(resolved()), resolved(**values))
    with pytest.raises(_checks.UserError, match=f"train_dir='run' contains a run .*{change}"):
        resume.refuse_changes(changes, "run")


def error_message(**values):
    changes = resume.changed_options(through_json(resolved()), resolved(**values))
    with pytest.raises(_checks.UserError, match="To resume, use the original options") as error:
        resume.refuse_changes(changes, "run")
    return error.value.as_flags


def test_an_error_about_changes_suggests_fine_tuning():
    message = error_message(seed=1)
    assert "To start over, pass --restart or another --train_dir" in message
    assert message.endswith(
        "To fine-tune from it with the new options, pass another --train_dir and"
        " --checkpoint_path=run"
    )


def test_an_error_about_another_network_does_not_suggest_fine_tuning():
    message = error_message(model_name="inception_v3")
    assert "To start over, pass --restart or another --train_dir" in message
    assert "checkpoint_path" not in message


def test_the_same_global_batch_on_more_clones_is_allowed():
    after = resolved(batch_size=16, num_clones=2)
    changes = resume.changed_options(through_json(resolved()), after)
    assert [str(change) for change in changes] == ["batch_size: 32 -> 16", "num_clones: 1 -> 2"]
    resume.refuse_changes(changes, "run")


def test_an_option_missing_in_an_older_version_does_not_count_as_a_change():
    before = through_json(resolved())
    del before["options"]["mixup_alpha"], before["resolved"]["num_channels"]
    assert resume.changed_options(before, resolved()) == ()
    (change,) = resume.changed_options(before, resolved(mixup_alpha=0.5))
    assert str(change) == "mixup_alpha: 0.0 -> 0.5"


def test_changed_weights_in_the_same_file_are_listed():
    run = resolved(class_weights="weights.csv")
    old, new = (dataclasses.replace(run, class_weights=each) for each in ((1.0, 2.0), (1.0, 3.0)))
    (change,) = resume.changed_options(through_json(old), new)
    assert (str(change), change.refused) == ("class_weights: [1.0, 2.0] -> [1.0, 3.0]", False)
    assert resume.changed_options(through_json(old), old) == ()


def test_a_long_value_is_truncated():
    names = dict.fromkeys(range(10), "n" * 50)
    (change,) = resume.changed_options(
        through_json(resolved()), resolved(split_metadata.Dataset(labels_to_names=names))
    )
    assert str(change).endswith("...")
