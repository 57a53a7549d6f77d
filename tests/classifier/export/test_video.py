"""Export of video networks."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from classifier.checkpoints import sources
from classifier.config import options
from classifier.config.export import ExportConfig
from classifier.inference import model
from classifier.resolve import graph
from classifier.run_directory import RunDirectory
from slim import _checks
from tests.classifier.export.test_formats import export_to, make_run, read
from tests.conformance import reference


@pytest.mark.slow
@pytest.mark.parametrize("name, frames", [("s3dg", 8), ("i3d", None)])
def test_video_network_is_exported(tmp_path, capsys, name, frames):
    run = make_run(tmp_path.with_name(f"{tmp_path.name}-run"), name, 3, label_names=())
    size = (64, 48)  # their pooling shrinks with the images
    info = dataclasses.replace(RunDirectory(str(run)).read_model_info(), image_size=size)
    RunDirectory(str(run)).write_model_info(info)
    values = {"is_video_model": True, "num_frames": frames, "check_images": 1}
    export_to(tmp_path, run, "frozen_pb", "saved_model", **values)
    stdout = capsys.readouterr().out
    assert f"input input:0 float32 [any, {frames or 'any'}, {size[0]}, {size[1]}, 3]" in stdout
    shape = [1, frames or 18, *size, 3]
    videos = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    classifier = model.InferenceModel(info, sources.open_checkpoint(str(run)), num_frames=frames)
    expected = classifier(videos)["logits"].numpy()
    signatures = tf.saved_model.load(str(tmp_path / "saved_model" / "1")).signatures
    actual = signatures["serving_default"](images=tf.constant(videos))["logits"]
    np.testing.assert_allclose(actual, expected, atol=1e-5 * max(1, np.abs(expected).max()))
    assert signatures["features"](images=tf.constant(videos))["features"].shape == [1, 1024]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(read(tmp_path / f"{name}.pb"), name="")
        output = f"{reference.layout(name)['logits_op']}:0"
        actual = session.run(output, {"input:0": videos})
    np.testing.assert_allclose(actual, expected, atol=1e-5 * max(1, np.abs(expected).max()))
    assert 'pipeline_tag: "video-classification"' in (tmp_path / "README.md").read_text()
    assert "curl" not in stdout


@pytest.mark.parametrize(
    "name, values, message",
    [
        ("i3d", {}, "expects videos. Add is_video_model"),
        ("lenet", {"is_video_model": True}, "expects images. Remove is_video_model"),
        (
            "i3d",
            {"is_video_model": True, "input_type": "uint8_image"},
            "input_type=uint8_image is for images, but model_name=i3d expects preprocessed videos",
        ),
        (
            "s3dg",
            {"is_video_model": True, "formats": ("frozen_pb", "tflite")},
            "formats=tflite is for images, but model_name=s3dg expects videos: TensorFlow Lite has",
        ),
    ],
)
def test_options_that_do_not_match_the_input_are_errors(name, values, message):
    run = options.build(ExportConfig, checkpoint_path="r", output_dir="o", **values).run
    with pytest.raises(_checks.UserError, match=message):
        graph.check_videos(name, run)
