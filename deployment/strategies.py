"""The `tf.distribute` strategies that train and evaluate on several devices and machines."""

import contextlib
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks
from slim._problems import Problem, named

ALL_REDUCES = ("auto", "nccl", "hierarchical", "ring", "cpu")
# Between workers, TensorFlow has collective operations only.
BETWEEN_WORKERS = ("auto", "nccl", "ring")
_Implementation = tf.distribute.experimental.CommunicationImplementation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Devices:
    """The devices of this process, and the workers that it trains with.

    Attributes:
      num_clones: number of copies of the network in this process, each with its own device and
        batch; -1 for all devices.
      clone_on_cpu: whether to use CPUs even if there are GPUs.
      worker_hosts: `host:port` of each worker; none or one for a single process.
      server_hosts: `host:port` of each parameter server, whose workers train asynchronously; then
        this process is their coordinator.
      task: index of this process among the workers.
      all_reduce: how clones add their gradients, one of `ALL_REDUCES`: "auto" is NCCL between
        GPUs, "ring" between the CPUs of workers; "cpu" copies them to the CPU.

    Raises:
      UserError: if `num_clones` is neither positive nor -1, `all_reduce` is unknown or not
        available between workers, or `task` is not the index of a worker.
    """

    num_clones: int = 1
    clone_on_cpu: bool = False
    worker_hosts: tuple[str, ...] = ()
    server_hosts: tuple[str, ...] = ()
    task: int = 0
    all_reduce: str = "auto"

    def __post_init__(self) -> None:
        if self.num_clones != -1:
            _checks.positive(num_clones=self.num_clones)
        known = BETWEEN_WORKERS if len(self.worker_hosts) > 1 else ALL_REDUCES
        _checks.one_of("all_reduce", self.all_reduce, known)
        if self.worker_hosts and not self.server_hosts:
            _checks.in_range(0, len(self.worker_hosts) - 1, task=self.task)

    @property
    def on_gpu(self) -> bool:
        """Whether the clones run on GPUs."""
        return not self.clone_on_cpu and bool(tf.config.list_physical_devices("GPU"))

    def count(self) -> int:
        """Returns the number of clones of this process; TensorFlow's devices are not used yet.

        Raises:
          UserError: if there are fewer devices than clones, or NCCL or hierarchical copy without
            GPUs.
        """
        kind = "GPU" if self.on_gpu else "CPU"
        if kind == "CPU" and self.all_reduce in ("nccl", "hierarchical"):
            raise _checks.UserError(
                Problem("{} needs GPUs. Use auto", named("all_reduce", self.all_reduce))
            )
        physical = tf.config.list_physical_devices(kind)
        available = sum(
            len(tf.config.get_logical_device_configuration(device) or [device])
            for device in physical
        )
        if self.num_clones > available:
            raise _checks.UserError(
                Problem(
                    "{} exceeds the number of {} devices, {}",
                    named("num_clones", self.num_clones),
                    kind,
                    available,
                )
            )
        return available if self.num_clones == -1 else self.num_clones

    def names(self) -> list[str]:
        """Returns the names of the clones' devices.

        Raises:
          UserError: see `count`.
        """
        count = self.count()
        devices = tf.config.list_logical_devices("GPU" if self.on_gpu else "CPU")
        return [device.name for device in devices[:count]]

    def strategy(self) -> tf.distribute.Strategy:
        """Returns the strategy for these devices.

        It is the default strategy for one clone, MirroredStrategy for several clones, and
        MultiWorkerMirroredStrategy for several workers, or ParameterServerStrategy, which wait for
        all of them and must be created before TensorFlow has used its devices.

        Raises:
          UserError: see `count`.
        """
        if self.server_hosts:
            spec = tf.train.ClusterSpec(cluster_of(self.worker_hosts, self.server_hosts))
            resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(spec, rpc_layer="grpc")
            return tf.distribute.ParameterServerStrategy(resolver)
        if len(self.worker_hosts) > 1:
            return self._of_workers()
        devices = self.names()
        if len(devices) == 1:
            if self.clone_on_cpu and tf.config.list_physical_devices("GPU"):
                return tf.distribute.OneDeviceStrategy(devices[0])
            return tf.distribute.get_strategy()
        if self.all_reduce == "ring" and self.on_gpu:
            # As a single worker: between a process' GPUs, MirroredStrategy has no ring.
            return _multi_worker({}, 0, {"GPU": len(devices)}, _Implementation.RING)
        return tf.distribute.MirroredStrategy(devices, cross_device_ops=self._cross_device_ops())

    def _cross_device_ops(self) -> tf.distribute.CrossDeviceOps | None:
        """Returns how MirroredStrategy adds; None for collective operations, NCCL on GPUs and a
        ring on CPUs."""
        if self.all_reduce == "hierarchical":
            return tf.distribute.HierarchicalCopyAllReduce()
        if self.all_reduce == "cpu":
            return tf.distribute.ReductionToOneDevice("/device:CPU:0")
        if self.all_reduce == "auto" and not self.on_gpu:
            return tf.distribute.ReductionToOneDevice()
        return None

    def _of_workers(self) -> tf.distribute.Strategy:
        count = self.count()
        gpus = tf.config.list_physical_devices("GPU")
        # The strategy uses every visible GPU.
        tf.config.set_visible_devices(gpus[:count] if self.on_gpu else [], "GPU")
        is_nccl = self.on_gpu and self.all_reduce != "ring"
        implementation = _Implementation.NCCL if is_nccl else _Implementation.RING
        cluster = {"worker": list(self.worker_hosts)}
        if self.on_gpu:
            return _multi_worker(cluster, self.task, {"GPU": count}, implementation)
        with _several_cpus(count):
            return _multi_worker(cluster, self.task, {}, implementation)


def cluster_of(workers: Sequence[str], servers: Sequence[str]) -> dict[str, list[str]]:
    """Returns the jobs of parameter servers and their workers; the coordinator is no server."""
    return {"worker": list(workers), "ps": list(servers)}


def _multi_worker(
    cluster: dict[str, Sequence[str]],
    task: int,
    accelerators: dict[str, int],
    implementation: _Implementation,
) -> tf.distribute.MultiWorkerMirroredStrategy:
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(cluster),
        task_type="worker",
        task_id=task,
        num_accelerators=accelerators,
        rpc_layer="grpc",
    )
    options = tf.distribute.experimental.CommunicationOptions(implementation=implementation)
    return tf.distribute.MultiWorkerMirroredStrategy(resolver, options)


@contextlib.contextmanager
def _several_cpus(count: int) -> Iterator[None]:
    """Lets a worker without GPUs have several clones.

    MultiWorkerMirroredStrategy uses all GPUs of a worker, but of its CPU's logical devices the
    first only. TensorFlow 2.21 has no public way to more: the strategy takes the number of GPUs
    from its resolver, but the number of CPUs is a constant of the method that is replaced here, and
    its argument for devices is for a single worker only.
    """
    module = sys.modules[tf.distribute.MultiWorkerMirroredStrategy.__module__]
    extended = module.CollectiveAllReduceExtended
    original = extended._initialize_local_devices

    def local_devices(self: Any, resolver: Any, worker_device: str) -> tuple[Sequence[str], str]:
        return tuple(f"{worker_device}/device:CPU:{index}" for index in range(count)), "CPU"

    if count > 1:
        extended._initialize_local_devices = local_devices
    try:
        yield
    finally:
        extended._initialize_local_devices = original


def split_cpu(count: int) -> None:
    """Splits the CPU into `count` logical devices, to run several clones without GPUs.

    Must be called before TensorFlow has used its devices.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(cpu) or ()) == count:
        return
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * count
    )
