"""Clones: their devices and strategy, and that they train like one network."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from deployment import strategies
from nets import nets_factory
from slim import _checks


@pytest.fixture(autouse=True)
def _two_devices():
    count = len(tf.config.list_logical_devices("CPU"))
    assert count == 2, f"{count}: some module runs TensorFlow on import"


def config(clones, on_cpu=True):
    return strategies.Devices(num_clones=clones, clone_on_cpu=on_cpu)


def test_each_clone_has_its_own_device():
    devices = config(2).names()
    assert [device[-5:] for device in devices] == ["CPU:0", "CPU:1"]
    assert len(config(1).names()) == 1


def test_more_clones_than_devices_is_an_error():
    message = "num_clones=3 exceeds the number of CPU devices, 2"
    with pytest.raises(_checks.UserError, match=message):
        config(3).strategy()


@pytest.mark.parametrize("clones", [0, -2])
def test_nonpositive_number_of_clones_is_an_error(clones):
    with pytest.raises(_checks.UserError, match=f"num_clones={clones} must be positive"):
        config(clones)


def test_one_clone_uses_the_default_strategy():
    assert config(1).strategy() is tf.distribute.get_strategy()


def test_all_devices():
    assert config(-1).count() == 2
    assert len(config(-1).names()) == 2


@pytest.mark.parametrize("all_reduce", ["nccl", "hierarchical"])
def test_reductions_between_gpus_need_gpus(all_reduce):
    with pytest.raises(_checks.UserError, match=f"all_reduce={all_reduce} needs GPUs. Use auto"):
        strategies.Devices(num_clones=2, clone_on_cpu=True, all_reduce=all_reduce).strategy()


@pytest.mark.parametrize("all_reduce", ["auto", "ring", "cpu"])
def test_each_reduction_adds_in_its_own_way(all_reduce):
    strategy = strategies.Devices(num_clones=2, all_reduce=all_reduce).strategy()

    @tf.function(autograph=False)
    def total():
        def replica():
            context = tf.distribute.get_replica_context()
            return context.all_reduce("SUM", tf.cast(context.replica_id_in_sync_group, tf.float32))

        return strategy.run(replica)

    if all_reduce != "ring":  # another ring in this process would be confused with this one
        assert [int(part) for part in strategy.experimental_local_results(total())] == [1, 1]
    nodes = [node.op for node in total.get_concrete_function().graph.as_graph_def().node]
    assert ("CollectiveReduceV2" in nodes) == (all_reduce == "ring")


def test_two_clones_use_mirrored_strategy():
    strategy = config(2).strategy()
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert strategy.num_replicas_in_sync == 2


def with_gpus(monkeypatch, count):
    """Makes TensorFlow list `count` GPUs, which cannot be used."""
    for kind_of_list in ("list_physical_devices", "list_logical_devices"):
        real = getattr(tf.config, kind_of_list)
        gpus = [tf.config.LogicalDevice(f"/device:GPU:{i}", "GPU") for i in range(count)]
        monkeypatch.setattr(
            tf.config,
            kind_of_list,
            lambda kind=None, real=real, gpus=gpus: gpus if kind == "GPU" else real(kind),
        )
    configuration = tf.config.get_logical_device_configuration
    monkeypatch.setattr(
        tf.config,
        "get_logical_device_configuration",
        lambda device: None if device.device_type == "GPU" else configuration(device),
    )


def test_gpus_are_preferred_without_clone_on_cpu(monkeypatch):
    with_gpus(monkeypatch, 4)
    assert config(3, on_cpu=False).names() == [f"/device:GPU:{i}" for i in range(3)]
    assert [device[-5:] for device in config(2, on_cpu=True).names()] == ["CPU:0", "CPU:1"]
    with pytest.raises(_checks.UserError, match="num_clones=5 exceeds the number of GPU devices"):
        config(5, on_cpu=False).names()


def test_one_clone_on_the_cpu_ignores_gpus(monkeypatch):
    with_gpus(monkeypatch, 1)
    strategy = config(1, on_cpu=True).strategy()
    assert isinstance(strategy, tf.distribute.OneDeviceStrategy)
    assert strategy.run(lambda: tf.constant(1.0)).device.endswith("CPU:0")


def lenet_run(clones, steps=10):
    """Returns the losses and the final variables of training LeNet with 32 images a step."""
    network = nets_factory.get_network_fn("lenet", 10, 4e-5, is_training=True)

    def loss_fn(images, labels):
        logits, _ = network(images, dropout_keep_prob=1.0)
        slim.losses.sparse_softmax_cross_entropy(logits, labels)
        return slim.losses.get_total_loss()

    strategy = config(clones).strategy()
    optimizer = slim.optimizers.Momentum(
        learning_rate=0.001
    )  # random data: a higher rate amplifies rounding
    store = slim.VariableStore(seed=0)
    op = slim.learning.create_train_op(loss_fn, optimizer, store=store, strategy=strategy)
    random = np.random.RandomState(0)
    images = random.uniform(-1, 1, [320, 28, 28, 1]).astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices((images, random.randint(0, 10, 320))).batch(32)
    op.build((tf.TensorSpec([None, 28, 28, 1]), tf.TensorSpec([None], tf.int64)))
    batches = iter(strategy.experimental_distribute_dataset(dataset))
    losses = np.concatenate([op.run(batches)["loss"] for _ in range(steps)])
    return losses, {name: variable.numpy() for name, variable in store.named_variables.items()}


@pytest.mark.slow
def test_two_clones_of_16_images_train_like_one_of_32():
    one, two = lenet_run(1), lenet_run(2)
    assert np.abs(one[0] - two[0]).max() <= 1e-5
    assert list(one[1]) == list(two[1])
    for name, value in one[1].items():
        np.testing.assert_allclose(two[1][name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"all_reduce": "tree"}, "all_reduce='tree' is not known"),
        ({"all_reduce": "cpu", "worker_hosts": ("a:1", "b:2")}, "Known: auto, nccl, ring"),
        ({"task": 2, "worker_hosts": ("a:1", "b:2")}, "task=2 must lie between 0 and 1"),
    ],
)
def test_invalid_devices_are_errors(values, message):
    with pytest.raises(_checks.UserError, match=message):
        strategies.Devices(**values)
