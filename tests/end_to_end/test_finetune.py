"""Fine-tuning on real pictures: a network that has seen the digits 0 to 4 learns 5 to 9 sooner."""

import json

import numpy as np
import pytest
import tensorflow as tf

from classifier.cli import flags
from classifier.config.evaluation import EvalConfig
from classifier.config.training import TrainConfig
from classifier.inference import evaluate
from classifier.training import run as training
from datasets import digits, download_and_convert
from slim import checkpoints

pytestmark = pytest.mark.slow

CLASSES = {"low": digits.CLASSES[:5], "high": digits.CLASSES[5:]}
SEEDS = (1, 2, 3)
KINDS = ("depthwise", "pointwise")
# The first four layers stay as they are.
LAST = (
    "MobilenetV1/Logits",
    *(f"MobilenetV1/Conv2d_{layer}_{kind}" for layer in range(4, 14) for kind in KINDS),
)


def write_pictures(split, records, folder):
    """Writes the pictures of a split to FOLDER/{low,high}/SPLIT/CLASS/."""
    features = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/class/label": tf.io.FixedLenFeature([], tf.int64),
    }
    for number, record in enumerate(tf.data.TFRecordDataset(sorted(map(str, records)))):
        example = tf.io.parse_single_example(record, features)
        name = digits.CLASSES[int(example["image/class/label"])]
        group = "low" if name in CLASSES["low"] else "high"
        place = folder / group / split / name
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.png").write_bytes(example["image/encoded"].numpy())


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two datasets of the kind `folder`: the digits 0 to 4, and 5 to 9."""
    root = tmp_path_factory.mktemp("groups")
    download_and_convert.convert("digits", str(root / "digits"))
    for split in ("train", "validation"):
        records = (root / "digits").glob(f"*{split}*.tfrecord")
        write_pictures(split, records, root / "pictures")
    for group, names in CLASSES.items():
        info = download_and_convert.convert(
            "folder", str(root / group), source_dir=str(root / "pictures" / group)
        )
        assert sorted(info.labels_to_names.values()) == sorted(names)
    return root


def train(run, data, seed, steps=100, **more):
    """Trains by the script's flags."""
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
    argv = ["train", *(f"--{name}={value}" for name, value in options.items())]
    assert flags.main(TrainConfig, training.run, "", argv) == 0


def accuracy(run, data):
    """Returns what the evaluation script says of a run."""
    path = run / "accuracy.json"
    argv = ["eval", f"--checkpoint_path={run}", f"--dataset_dir={data}",
            "--dataset_split_name=validation", f"--eval_json={path}"]  # fmt: skip
    assert flags.main(EvalConfig, evaluate.run, "", argv) == 0
    return json.loads(path.read_text())["accuracy"]


@pytest.fixture(scope="module", params=SEEDS)
def pretrained(request, folders, tmp_path_factory):
    """A seed, and the folder of a run on the digits 0 to 4."""
    run = tmp_path_factory.mktemp("pretrained") / "run"
    train(run, folders / "low", request.param, steps=400)
    assert accuracy(run, folders / "low") > 0.9
    return request.param, run


def test_a_pretrained_network_learns_other_digits_sooner(pretrained, folders, tmp_path, capsys):
    seed, origin = pretrained
    high = folders / "high"
    train(tmp_path / "scratch", high, seed, learning_rate=0.0005)
    train(
        tmp_path / "all", high, seed, learning_rate=0.0005, checkpoint_path=origin,
        checkpoint_exclude_scopes="MobilenetV1/Logits",
    )  # fmt: skip
    train(
        tmp_path / "part", high, seed, learning_rate=0.0005, checkpoint_path=origin,
        checkpoint_exclude_scopes="MobilenetV1/Logits", trainable_scopes=",".join(LAST),
    )  # fmt: skip
    found = {name: accuracy(tmp_path / name, high) for name in ("scratch", "all", "part")}
    with capsys.disabled():
        print(f"\nseed {seed}: {found}")
    assert found["all"] > found["scratch"]
    assert found["part"] > found["scratch"]
    before, after = (checkpoints.read(checkpoints.find(at)) for at in (origin, tmp_path / "part"))
    names = [name for name in before.variables() if name.startswith("MobilenetV1/")]
    same = {name: np.array_equal(before.get(name), after.get(name)) for name in names
            if name in after and not name.endswith("/Momentum")}  # fmt: skip
    for name, equal in same.items():
        assert equal != name.startswith(tuple(f"{scope}/" for scope in LAST)), name
    # Weights, gamma, beta and two averages of one layer and of three that are two each.
    assert sum(same.values()) == 5 * (1 + 3 * 2)
