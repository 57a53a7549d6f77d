"""Fine-tuning on real images: a network pretrained on the digits 0 to 4 learns 5 to 9 faster."""

import commands
import numpy as np
import pytest
import tensorflow as tf

from datasets import digits, download_and_convert
from slim import checkpoints

pytestmark = pytest.mark.slow

CLASSES = {"low": digits.CLASSES[:5], "high": digits.CLASSES[5:]}
SEEDS = (1, 2, 3)
KINDS = ("depthwise", "pointwise")
# All but the first four layers.
TRAINABLE = (
    "MobilenetV1/Logits",
    *(f"MobilenetV1/Conv2d_{layer}_{kind}" for layer in range(4, 14) for kind in KINDS),
)


def write_images(split, records, root):
    """Writes a split's images to ROOT/{low,high}/SPLIT/CLASS/."""
    features = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/class/label": tf.io.FixedLenFeature([], tf.int64),
    }
    for number, record in enumerate(tf.data.TFRecordDataset(sorted(map(str, records)))):
        example = tf.io.parse_single_example(record, features)
        name = digits.CLASSES[int(example["image/class/label"])]
        group = "low" if name in CLASSES["low"] else "high"
        directory = root / group / split / name
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{number}.png").write_bytes(example["image/encoded"].numpy())


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """Two datasets of the kind `folder`: the digits 0 to 4, and 5 to 9."""
    root = tmp_path_factory.mktemp("groups")
    download_and_convert.convert("digits", str(root / "digits"))
    for split in ("train", "validation"):
        records = (root / "digits").glob(f"*{split}*.tfrecord")
        write_images(split, records, root / "images")
    for group, names in CLASSES.items():
        info = download_and_convert.convert(
            "folder", str(root / group), source_dir=str(root / "images" / group)
        )
        assert sorted(info.labels_to_names.values()) == sorted(names)
    return root


def train(run, data, seed, steps=100, **more):
    """Runs the training script."""
    options = {
        "train_dir": run,
        "dataset_name": "folder",
        "dataset_dir": data,
        "model_name": "mobilenet_v1_025",
        "train_image_size": 32,
        "preprocessing_name": "lenet",
        "batch_norm_decay": 0.9,
        "batch_size": 32,
        "optimizer": "momentum",
        "learning_rate": 0.005,
        "learning_rate_decay_type": "fixed",
        "max_number_of_steps": steps,
        "save_summaries_secs": 0,
        "seed": seed,
    } | more
    flags = (f"--{name}={value}" for name, value in options.items())
    commands.run("train_image_classifier", *flags)


def accuracy(run, data):
    """Returns the validation accuracy of a run."""
    return commands.evaluate(run, data, run / "accuracy.json")[0]["accuracy"]


@pytest.fixture(scope="module", params=SEEDS)
def pretrained(request, datasets, tmp_path_factory):
    """A seed, and the directory of a run on the digits 0 to 4."""
    run = tmp_path_factory.mktemp("pretrained") / "run"
    train(run, datasets / "low", request.param, steps=400)
    assert accuracy(run, datasets / "low") > 0.9
    return request.param, run


def test_pretrained_network_learns_other_digits_faster(pretrained, datasets, tmp_path, capsys):
    seed, origin = pretrained
    high = datasets / "high"
    train(tmp_path / "scratch", high, seed, learning_rate=0.0005)
    train(
        tmp_path / "all", high, seed, learning_rate=0.0005, checkpoint_path=origin,
        checkpoint_exclude_scopes="MobilenetV1/Logits",
    )  # fmt: skip
    train(
        tmp_path / "part", high, seed, learning_rate=0.0005, checkpoint_path=origin,
        checkpoint_exclude_scopes="MobilenetV1/Logits", trainable_scopes=",".join(TRAINABLE),
    )  # fmt: skip
    accuracies = {name: accuracy(tmp_path / name, high) for name in ("scratch", "all", "part")}
    with capsys.disabled():
        print(f"\nseed {seed}: {accuracies}")
    assert accuracies["all"] > accuracies["scratch"]
    assert accuracies["part"] > accuracies["scratch"]
    before, after = (checkpoints.read(checkpoints.find(at)) for at in (origin, tmp_path / "part"))
    names = [name for name in before.variables() if name.startswith("MobilenetV1/")]
    same = {name: np.array_equal(before.get(name), after.get(name)) for name in names
            if name in after and not name.endswith("/Momentum")}  # fmt: skip
    for name, equal in same.items():
        assert equal != name.startswith(tuple(f"{scope}/" for scope in TRAINABLE)), name
    # Conv2d_0 and three depthwise separable layers of two convolutions, each of which has weights,
    # gamma, beta, moving mean and moving variance.
    assert sum(same.values()) == 5 * (1 + 3 * 2)
