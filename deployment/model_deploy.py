"""Converts TF-Slim's deployment options to a `tf.distribute` strategy."""

import dataclasses

import tensorflow as tf

from slim import _checks
from slim._problems import Problem, named


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeploymentConfig:
    """The devices and processes that train copies of a network.

    Attributes:
      num_clones: number of copies that train in parallel, each with its own device and batch.
      clone_on_cpu: whether to use CPUs even if there are GPUs.
      replica_id: index of this process among the workers, from 0.
      num_ps_tasks: must be 0: parameter servers are not supported.
      worker_hosts: `host:port` of each worker; none or one for a single process.

    Raises:
      UserError: if `num_clones` is not positive, there are parameter servers, several workers have
        several clones, or `replica_id` is not the index of a worker.
    """

    num_clones: int = 1
    clone_on_cpu: bool = False
    replica_id: int = 0
    num_ps_tasks: int = 0
    worker_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _checks.positive(num_clones=self.num_clones)
        if self.num_ps_tasks:
            raise _checks.UserError(
                Problem(
                    "{} is not supported: there are no parameter servers; each worker holds all"
                    " variables. Use 0",
                    named("num_ps_tasks", self.num_ps_tasks),
                )
            )
        if len(self.worker_hosts) > 1:
            if self.num_clones > 1:
                raise _checks.UserError(
                    Problem(
                        "{} is not supported with {} workers. Start one worker per device",
                        named("num_clones", self.num_clones),
                        len(self.worker_hosts),
                    )
                )
            _checks.in_range(0, len(self.worker_hosts) - 1, replica_id=self.replica_id)

    def devices(self) -> list[str]:
        """Returns the names of the clones' devices.

        Raises:
          UserError: if there are fewer devices than clones.
        """
        gpus = [] if self.clone_on_cpu else tf.config.list_logical_devices("GPU")
        kind = "GPU" if gpus else "CPU"
        devices = gpus or tf.config.list_logical_devices("CPU")
        if len(devices) < self.num_clones:
            raise _checks.UserError(
                Problem(
                    "{} exceeds the number of {} devices, {}",
                    named("num_clones", self.num_clones),
                    kind,
                    len(devices),
                )
            )
        return [device.name for device in devices[: self.num_clones]]

    def strategy(self) -> tf.distribute.Strategy:
        """Returns the strategy for these devices.

        It is the default strategy for one clone, MirroredStrategy for several clones, and
        MultiWorkerMirroredStrategy for several workers, which waits for all of them and must be
        created before TensorFlow has used its devices.

        Raises:
          UserError: if there are fewer devices than clones.
        """
        if len(self.worker_hosts) > 1:
            return self._multi_worker_strategy()
        devices = self.devices()
        if len(devices) == 1:
            if self.clone_on_cpu and tf.config.list_logical_devices("GPU"):
                return tf.distribute.OneDeviceStrategy(devices[0])
            return tf.distribute.get_strategy()
        # NCCL supports GPUs only; between CPU devices TensorFlow copies and adds.
        on_cpu = "CPU" in devices[0]
        operations = tf.distribute.ReductionToOneDevice() if on_cpu else None
        return tf.distribute.MirroredStrategy(devices, cross_device_ops=operations)

    def _multi_worker_strategy(self) -> tf.distribute.Strategy:
        gpus = tf.config.list_physical_devices("GPU")
        # The strategy uses every visible GPU.
        tf.config.set_visible_devices([] if self.clone_on_cpu else gpus[:1], "GPU")
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(self.worker_hosts)}),
            task_type="worker",
            task_id=self.replica_id,
            rpc_layer="grpc",
        )
        implementation = tf.distribute.experimental.CommunicationImplementation
        on_gpus = bool(gpus) and not self.clone_on_cpu
        return tf.distribute.MultiWorkerMirroredStrategy(
            resolver,
            tf.distribute.experimental.CommunicationOptions(
                implementation=implementation.NCCL if on_gpus else implementation.RING
            ),
        )


def split_cpu(count: int) -> None:
    """Splits the CPU into `count` logical devices, to run several clones on one machine.

    Must be called before TensorFlow has used its devices.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * count
    )
