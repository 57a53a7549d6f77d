"""Sums and means over two replicas."""

import numpy as np
import pytest
import tensorflow as tf

from slim import _checks
from slim.reduction import AllReduce, SharedAverages

SIZE = 1000


@pytest.fixture(scope="module")
def ring():
    """One strategy for all tests: the collective operations of two would be confused."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def reduced(all_reduce, strategy):
    """Returns two replicas' sum of gradients and mean loss, and the operations of the graph."""

    @tf.function(autograph=False)
    def step():
        def replica():
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            value = tf.cast(index + 1, tf.float32) / 3.0
            gradients = {name: tf.fill([SIZE], value) for name in "abcd"}
            return all_reduce(gradients, {"loss": value})

        return strategy.run(replica)

    gradients, others = step()
    local = strategy.experimental_local_results
    assert {name: local(value)[1].dtype for name, value in gradients.items()} == dict.fromkeys(
        "abcd", tf.float32
    )
    nodes = list(step.get_concrete_function().graph.as_graph_def().node)
    return local(gradients["d"])[1][0].numpy(), local(others["loss"])[1].numpy(), nodes


@pytest.mark.parametrize("dtype, error", [("float32", 1e-7), ("float16", 6e-4), ("bfloat16", 8e-3)])
def test_gradients_are_sent_in_the_type(ring, dtype, error):
    gradient, loss, nodes = reduced(AllReduce(dtype), ring)
    assert loss == pytest.approx(0.5, abs=1e-7)
    assert gradient == pytest.approx(1.0, abs=error)
    sent = {tf.DType(n.attr["T"].type) for n in nodes if n.op == "CollectiveReduceV2"}
    assert sent == {tf.float32, tf.as_dtype(dtype)}


def test_buckets_limit_the_size_of_a_pack(ring):
    graphs = [reduced(AllReduce(bucket_bytes=size), ring)[2] for size in (0, 2 * SIZE * 4, SIZE)]
    counts = [sum(node.op == "CollectiveReduceV2" for node in nodes) for nodes in graphs]
    # Two replicas, each with one pack for the loss.
    assert counts == [4, 6, 10]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"dtype": "int8"}, "dtype='int8' is not known"),
        ({"bucket_bytes": -1}, "bucket_bytes=-1 must not be negative"),
    ],
)
def test_invalid_reductions_are_errors(options, message):
    with pytest.raises(_checks.UserError, match=message):
        AllReduce(**options)


def test_averages_are_the_mean_on_every_replica(mirrored):
    with mirrored.scope():
        average = tf.Variable(
            [1.0, 0.1],
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.MEAN,
        )
        weights = tf.Variable([3.0])
    shared = SharedAverages({"average": average, "weights": weights})

    @tf.function(autograph=False)
    def step():
        def replica():
            context = tf.distribute.get_replica_context()
            before = shared.values()
            assert list(before) == ["average"]
            # Only the first element changes.
            average.assign_add([tf.cast(context.replica_id_in_sync_group, tf.float32) * 4.0, 0.0])
            changes = {name: value - before[name] for name, value in shared.values().items()}
            shared.assign(before, context.all_reduce("MEAN", changes))

        mirrored.run(replica)

    step()
    for local in mirrored.experimental_local_results(average):
        assert local.numpy().tolist() == [3.0, np.float32(0.1)]
