"""Every network in every format that keeps its weights as they are, as `docs/export.md` says.

The export itself compares the answers: a difference above 1e-5 of the largest logit is an error.
"""

import pathlib
import re
import tempfile

import pytest
import tensorflow as tf

from classifier.config.formats import FORMATS
from classifier.export import checks
from classifier.export import run as exporting
from classifier.resolve import graph
from nets import nets_factory
from nets.nets_factory import NETWORKS
from slim import _checks, checkpoints
from tests.classifier import exports
from tests.classifier.export.test_formats import make_run
from tests.conformance import builds, exemptions, reference

EXACT = [name for name, each in FORMATS.items() if not each.quantized]
# With the recipe's averages most of what they clip lies far outside of it, and what little is left
# has the rounding of large numbers: they get the averages of a batch, as training would give them.
SETTLED = {"mobilenet_v2", "mobilenet_v2_035", "mobilenet_v2_140", "mobilenet_v3_large"}
DIFFERENCE = re.compile(
    r"^(\w+) \S+ largest difference (\S+) at logits up to (\S+), ", re.MULTILINE
)


def run_of(folder, name):
    """Writes what training leaves; returns the folder."""
    layout = reference.layout(name)
    make_run(folder, name, layout["input_shape"][-1], label_names=())
    if name in SETTLED:
        network = builds.network(name)
        train = nets_factory.get_network_fn(
            name, layout["num_classes"], is_training=True, batch_norm_decay=0.0
        )
        with network.store.as_default(seed=tf.constant([0, 0])):
            train(network.images)
        checkpoints.save(folder / "model.ckpt-7", network.store.named_variables)
    return folder


def config(run, folder, name, formats):
    is_video = NETWORKS[name].input_rank == 5
    more = {"check_images": 2, "is_video_model": is_video}
    return exports.config(run, folder, formats=tuple(formats), **more)


@pytest.fixture
def folder():
    """A folder that goes with the test: pytest would keep the weights of all networks."""
    with tempfile.TemporaryDirectory() as path:
        yield pathlib.Path(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_in_every_format(name, folder, capsys):
    wanted = [each for each in EXACT if (name, each) not in exemptions.EXPORT]
    for each in wanted:
        exports.needs(each)
    exporting.run(config(run_of(folder / "run", name), folder / "out", name, wanted))
    said = capsys.readouterr().out
    found = {each: (float(off), float(of)) for each, off, of in DIFFERENCE.findall(said)}
    for each, (off, of) in found.items():
        print(f"{name} {each} {off:.1e} {of:.3g} {off / of:.1e}")
    assert list(found) == wanted
    assert all(off <= checks.TOLERANCE * of for off, of in found.values())


def test_an_excepted_pair_is_refused_with_its_reason():
    for (name, format_name), reason in exemptions.EXPORT.items():
        assert format_name in EXACT
        asked = config("run", "out", name, [format_name])
        with pytest.raises(_checks.UserError, match=rf"formats={format_name} .*{reason}") as caught:
            graph.check_videos(name, NETWORKS, asked.run)
        assert "\n" not in str(caught.value)


def test_what_is_refused_is_listed():
    videos = [name for name, spec in NETWORKS.items() if spec.input_rank == 5]
    refused = {(name, each) for name in videos for each in EXACT if FORMATS[each].no_videos}
    assert refused == set(exemptions.EXPORT)
    text = " ".join((pathlib.Path(__file__).parents[2] / "docs" / "export.md").read_text().split())
    for (name, format_name), reason in exemptions.EXPORT.items():
        assert f"| `{name}` | `{format_name}` | {reason} |" in text


@pytest.mark.parametrize("pool, op", [("max_pool3d", "MaxPool3D"), ("avg_pool3d", "AvgPool3D")])
def test_the_converter_still_has_no_three_dimensional_pooling(pool, op):
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([1, 4, 4, 4, 2], tf.float32)])
    def pooled(videos):
        return getattr(tf.nn, pool)(videos, 2, 2, "SAME")

    converter = tf.lite.TFLiteConverter.from_concrete_functions([pooled.get_concrete_function()])
    with pytest.raises(Exception, match=op):
        converter.convert()
