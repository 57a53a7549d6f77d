"""Networks train the same with and without recomputation of their blocks for the gradients."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from nets import nets_factory

SIZES = {
    "mobilenet_v1_025": 32, "mobilenet_v2_035": 32, "mobilenet_v3_small": 32, "resnet_v1_50": 32,
    "resnet_v2_50": 32, "inception_v3": 107,
}  # fmt: skip


def trained(name, recompute):
    network = nets_factory.get_network_fn(name, 4, 1e-4, is_training=True)

    def loss(images, labels):
        logits, end_points = network(images)
        slim.losses.sparse_softmax_cross_entropy(logits, labels)
        if "AuxLogits" in end_points:
            slim.losses.sparse_softmax_cross_entropy(end_points["AuxLogits"], labels)
        return slim.losses.get_total_loss()

    op = slim.learning.create_train_op(
        loss,
        slim.optimizers.GradientDescent(learning_rate=0.01),
        store=slim.VariableStore(seed=0),
        recompute_gradients=recompute,
    )
    size = SIZES[name]
    random = np.random.RandomState(0)
    images = random.uniform(-1, 1, [4, size, size, 3]).astype(np.float32)
    labels = random.randint(0, 4, [4])
    data = tf.data.Dataset.from_tensors((images, labels)).repeat()
    op.build(tuple(data.element_spec))
    before = {n: v.numpy() for n, v in op.store.named_variables.items()}
    numbers = op.run(iter(data), 1)
    after = {n: v.numpy() for n, v in op.store.named_variables.items()}
    return numbers, before, after


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_step_with_recomputation_equals_step_without(name):
    numbers, before, values = trained(name, False)
    again, _, recomputed = trained(name, True)
    np.testing.assert_allclose(again["loss"], numbers["loss"], rtol=1e-5)
    np.testing.assert_allclose(again["gradient_norm"], numbers["gradient_norm"], rtol=1e-3)
    for key, value in values.items():
        if "moving" in key:
            np.testing.assert_allclose(recomputed[key], value, rtol=1e-4, atol=1e-6, err_msg=key)
            assert (value != before[key]).any()
