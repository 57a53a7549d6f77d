"""Every network in every format that keeps its weights as they are.

The export itself compares the answers: a difference above 1e-5 of the largest logit is an error.
"""

import pytest
import tensorflow as tf

import slim
from classifier import exporting
from classifier.config.formats import FORMATS
from nets.nets_factory import NETWORKS
from slim import checkpoints
from tests.classifier import exports
from tests.classifier.test_exporting import make_run
from tests.conformance import builds, reference

pytestmark = pytest.mark.slow

EXACT = [name for name, each in FORMATS.items() if not each.quantized]
# Checkpoints are exported with the preprocessing of pictures.
VIDEOS = {name for name, spec in NETWORKS.items() if spec.input_rank == 5}
# With the recipe's weights its last gates saturate, so that rounding shows (see `exemptions`): it
# gets those of a new network.
NEW_WEIGHTS = {"mobilenet_v3_large"}


@pytest.fixture(scope="module", params=[name for name in NETWORKS if name not in VIDEOS])
def run(request, tmp_path_factory):
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    shape = reference.layout(name)["input_shape"]
    make_run(folder, name, shape[-1], label_names=())
    if name in NEW_WEIGHTS:
        store = slim.VariableStore(seed=0)
        store.build(builds.network(name).build, tf.TensorSpec([None, *shape[1:]], tf.float32))
        checkpoints.save(folder / "model.ckpt-7", store.named_variables)
    return folder


@pytest.mark.parametrize("format_name", EXACT)
def test_every_network_in_every_format(run, tmp_path, format_name):
    exports.needs(format_name)
    exporting.run(exports.config(run, tmp_path, formats=(format_name,), check_images=2))
    assert list(tmp_path.iterdir())
