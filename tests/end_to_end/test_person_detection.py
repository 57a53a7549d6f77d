"""The commands of the microcontroller tutorial of TensorFlow Lite, on small data, to a C array."""

import json
import re
import subprocess
import sys

import commands
import numpy as np
import pytest
import tensorflow as tf

from tests.datasets import sample_files

interpreter = pytest.importorskip("ai_edge_litert.interpreter")

MODEL = ("--model_name=mobilenet_v1_025", "--preprocessing_name=mobilenet_v1")
STEPS = 6


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Visual Wake Words, built by TF-Slim's program from images and annotations."""
    directory = tmp_path_factory.mktemp("coco")
    for split in ("train", "val"):
        (directory / split).mkdir()
        images, objects = [], []
        for number in range(24):
            path = directory / split / f"{number}.jpg"
            path.write_bytes(sample_files.jpeg(60, 80, number))
            images.append({"id": number, "file_name": path.name, "height": 60, "width": 80})
            if number % 2:
                box = {"bbox": [1.0, 2.0, 20.0, 15.0], "area": 300.0}
                objects.append({"image_id": number, "category_id": 1, **box})
        categories = [{"id": 1, "name": "person"}]
        content = {"images": images, "annotations": objects, "categories": categories}
        (directory / f"{split}.json").write_text(json.dumps(content))
    program = commands.ROOT / "datasets" / "build_visualwakewords_data.py"
    flags = {
        f"{split}_{flag}": f"{directory / split}{suffix}"
        for split in ("train", "val")
        for flag, suffix in (("image_dir", ""), ("annotations_file", ".json"))
    }
    arguments = [f"--{name}={value}" for name, value in flags.items()]
    subprocess.run(
        [sys.executable, program, "--logtostderr", f"--output_dir={directory / 'out'}", *arguments,
         "--small_object_area_threshold=0.005", "--foreground_class_of_interest=person"],
        check=True, capture_output=True,
    )  # fmt: skip
    return directory / "out"


@pytest.mark.slow
def test_tutorial_ends_in_a_c_array(data, tmp_path):
    dataset = ("--dataset_name=visualwakewords", f"--dataset_dir={data}")
    run = tmp_path / "run"
    commands.run(
        "train_image_classifier", f"--train_dir={run}", *dataset, *MODEL,
        "--dataset_split_name=train", "--train_image_size=96", "--input_grayscale=True",
        "--save_summaries_secs=300", "--learning_rate=0.045", "--label_smoothing=0.1",
        "--learning_rate_decay_factor=0.98", "--num_epochs_per_decay=2.5",
        "--moving_average_decay=0.9", "--batch_size=8", f"--max_number_of_steps={STEPS}",
    )  # fmt: skip
    checkpoint = f"--checkpoint_path={run}/model.ckpt-{STEPS}"
    evaluation = commands.run(
        "eval_image_classifier", "--alsologtostderr", checkpoint, *dataset, *MODEL,
        "--dataset_split_name=val", "--input_grayscale=True", "--train_image_size=96",
    )  # fmt: skip
    assert re.search(r"eval/Accuracy\[\d", evaluation.stdout)
    commands.run(
        "export_inference_graph", "--alsologtostderr", dataset[0], MODEL[0], "--image_size=96",
        "--input_grayscale=True", f"--output_file={tmp_path / 'graph.pb'}",
    )  # fmt: skip
    subprocess.run(
        [sys.executable, "-m", "tensorflow.python.tools.freeze_graph",
         f"--input_graph={tmp_path / 'graph.pb'}", f"--input_checkpoint={run}/model.ckpt-{STEPS}",
         "--input_binary=true", f"--output_graph={tmp_path / 'frozen.pb'}",
         "--output_node_names=MobilenetV1/Predictions/Reshape_1"],
        check=True, capture_output=True, timeout=200,
    )  # fmt: skip
    export = commands.run(
        "export_inference_graph", checkpoint, dataset[1], "--formats=c_array,tflite_int8",
        f"--output_dir={tmp_path / 'out'}", "--max_drop=100",
    ).stdout  # fmt: skip
    assert re.search(
        r"c_array/mobilenet_v1_025_int8.c: \d+ bytes, \d+ bytes of tensor arena", export
    )
    array = (tmp_path / "out" / "c_array" / "mobilenet_v1_025_int8.c").read_text()
    body = array[array.index("unsigned char") :]
    content = bytes(int(each, 16) for each in re.findall(r"0x(..)", body))
    assert content == (tmp_path / "out" / "mobilenet_v1_025_int8.tflite").read_bytes()
    assert 'labels[] = {\n    "background",\n    "person",\n}' in array
    header = (tmp_path / "out" / "c_array" / "mobilenet_v1_025_int8.h").read_text()
    assert "Input 0: int8, 1 x 96 x 96 x 1, value = 0.00784313772 * (integer - -1)" in header
    assert "Output 0: int8, 1 x 2, value = 0.00390625 * (integer - -128)" in header

    graph_def = tf.compat.v1.GraphDef.FromString((tmp_path / "frozen.pb").read_bytes())
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(graph_def, name="")
        scores = session.run(
            "MobilenetV1/Predictions/Reshape_1:0", {"input:0": np.zeros([1, 96, 96, 1])}
        )
    assert scores.shape == (1, 2)
    assert scores.sum() == pytest.approx(1)
    lite = interpreter.Interpreter(model_content=content)
    lite.allocate_tensors()
    lite.invoke()  # an image of zeros: gray
    actual = lite.get_tensor(lite.get_output_details()[0]["index"])
    assert (actual.astype(int) + 128).sum() == pytest.approx(256, abs=2)
