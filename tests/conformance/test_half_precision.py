"""Every network computes in half precision and keeps its variables in float32."""

import pytest
import tensorflow as tf

import slim
from nets import nets_factory
from slim.store import ShapeStore
from tests.conformance import builds, checks

NAME = "test_variables_stay_float32"


@pytest.mark.parametrize("name", checks.networks(NAME, "heads"))
def test_variables_stay_float32(name):
    network_fn = nets_factory.get_network_fn(name, 10, weight_decay=4e-5, is_training=True)
    spec = nets_factory.NETWORKS[name]
    frames = [16] if spec.input_rank == 5 else []
    shape = [2, *frames, spec.image_size, spec.image_size, spec.channels]
    dtypes = {}

    def loss(images):
        logits, _ = network_fn(tf.cast(images, tf.bfloat16))
        dtypes["logits"] = logits.dtype
        slim.losses.softmax_cross_entropy(logits, tf.one_hot([0, 1], 10))
        dtypes["loss"] = slim.losses.get_total_loss().dtype

    store = ShapeStore(seed=0, keep_float32=True)
    store.build(loss, tf.TensorSpec(shape, tf.float32))
    assert dtypes == {"logits": tf.bfloat16, "loss": tf.float32}
    variables = {n: v.dtype for n, v in store.named_variables.items() if store.records[n].model}
    assert set(variables.values()) == {tf.float32}
    assert {row[0] for row in builds.variables(name)} <= variables.keys()
