"""Every network in every format without quantization, as documented in `docs/export.md`.

The export itself compares the outputs: a difference above 1e-5 of the largest logit is an error.
"""

import pathlib
import re
import tempfile

import pytest
import tensorflow as tf

from classifier.config.formats import FORMATS
from classifier.export import checks, openvino
from classifier.export import run as exporting
from classifier.resolve import graph
from nets import nets_factory
from nets.nets_factory import NETWORKS
from slim import _checks, checkpoints
from tests.classifier import exports
from tests.classifier.export.test_formats import make_run
from tests.conformance import builds, exemptions

EXACT = [name for name, each in FORMATS.items() if not each.quantized]
# With the recipe's moving averages these networks clip most activations far outside their range,
# and rounding errors of large numbers dominate the rest: they are tested with averages of a batch,
# as after training.
BATCH_AVERAGES = {"mobilenet_v2", "mobilenet_v2_035", "mobilenet_v2_140", "mobilenet_v3_large"}
DIFFERENCE = re.compile(
    r"^(\w+) \S+ largest difference (\S+) at logits up to (\S+), ", re.MULTILINE
)


def run_of(path, name):
    """Writes a run directory as training does; returns its path."""
    num_classes, shape = builds.example(name)
    make_run(path, name, shape[-1], label_names=())
    if name in BATCH_AVERAGES:
        network = builds.network(name)
        train = nets_factory.get_network_fn(
            name, num_classes, is_training=True, batch_norm_decay=0.0
        )
        with network.store.as_default(seed=tf.constant([0, 0])):
            train(network.images)
        checkpoints.save(path / "model.ckpt-7", network.store.named_variables)
    return path


def config(run, output_dir, name, formats):
    is_video = NETWORKS[name].input_rank == 5
    more = {"check_images": 2, "is_video_model": is_video}
    return exports.config(run, output_dir, formats=tuple(formats), **more)


@pytest.fixture
def directory():
    """A directory that is deleted after the test; pytest would keep the weights of all networks."""
    with tempfile.TemporaryDirectory() as path:
        yield pathlib.Path(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_in_every_format(name, directory, capsys):
    formats = [each for each in EXACT if (name, each) not in exemptions.EXPORT]
    formats = list(filter(exports.is_installed, formats))
    exporting.run(config(run_of(directory / "run", name), directory / "out", name, formats))
    output = capsys.readouterr().out
    differences = {
        each: (float(error), float(largest)) for each, error, largest in DIFFERENCE.findall(output)
    }
    for each, (error, largest) in differences.items():
        print(f"{name} {each} {error:.1e} {largest:.3g} {error / largest:.1e}")
    assert list(differences) == formats
    for each, (error, largest) in differences.items():
        is_fused = each == "openvino" and name.startswith("mobilenet_v3")
        limit = openvino.HARD_SIGMOID_TOLERANCE if is_fused else checks.TOLERANCE
        assert error <= limit * largest, each


def test_unsupported_export_is_an_error_with_its_reason():
    for (name, format_name), reason in exemptions.EXPORT.items():
        assert format_name in EXACT
        export = config("run", "out", name, [format_name])
        with pytest.raises(_checks.UserError, match=rf"formats={format_name} .*{reason}") as caught:
            graph.check_videos(name, export.run)
        assert "\n" not in str(caught.value)


def test_unsupported_exports_are_documented():
    videos = [name for name, spec in NETWORKS.items() if spec.input_rank == 5]
    unsupported = {(name, each) for name in videos for each in EXACT if FORMATS[each].no_videos}
    assert unsupported == set(exemptions.EXPORT)
    text = " ".join((pathlib.Path(__file__).parents[2] / "docs" / "export.md").read_text().split())
    for (name, format_name), reason in exemptions.EXPORT.items():
        assert f"| `{name}` | `{format_name}` | {reason} |" in text


@pytest.mark.parametrize("pool, op", [("max_pool3d", "MaxPool3D"), ("avg_pool3d", "AvgPool3D")])
def test_tflite_converter_still_lacks_three_dimensional_pooling(pool, op):
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([1, 4, 4, 4, 2], tf.float32)])
    def pooled(videos):
        return getattr(tf.nn, pool)(videos, 2, 2, "SAME")

    converter = tf.lite.TFLiteConverter.from_concrete_functions([pooled.get_concrete_function()])
    with pytest.raises(Exception, match=op):
        converter.convert()
