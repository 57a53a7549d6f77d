"""From the original's deployment flags to a `tf.distribute` strategy."""

import dataclasses

import tensorflow as tf

from slim import _checks


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeploymentConfig:
    """Where copies of a network run.

    Attributes:
      num_clones: copies that train side by side, each on a device and a batch of its own.
      clone_on_cpu: use the CPUs though there are GPUs.
      replica_id: number of this process among the workers, from 0.
      num_ps_tasks: has to be 0: every worker keeps the variables.
      worker_hosts: `host:port` of each worker; none or one: there is only this process.

    Raises:
      UserError: if `num_clones` is not positive, there are parameter servers, or several workers
        with several clones.
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
                f"num_ps_tasks={self.num_ps_tasks} is not for this program: there are no parameter "
                "servers, every worker keeps the variables and the workers add up their gradients; "
                "leave it out and start the workers alone"
            )
        if len(self.worker_hosts) > 1:
            if self.num_clones > 1:
                raise _checks.UserError(
                    f"num_clones={self.num_clones} cannot be used with {len(self.worker_hosts)} "
                    "workers: give each device a worker of its own"
                )
            _checks.in_range(0, len(self.worker_hosts) - 1, replica_id=self.replica_id)

    def devices(self) -> list[str]:
        """Returns the names of the devices of the clones.

        Raises:
          UserError: if there are fewer devices than clones.
        """
        gpus = [] if self.clone_on_cpu else tf.config.list_logical_devices("GPU")
        kind = "GPU" if gpus else "CPU"
        found = gpus or tf.config.list_logical_devices("CPU")
        if len(found) < self.num_clones:
            raise _checks.UserError(
                f"num_clones={self.num_clones}, but TensorFlow finds {len(found)} {kind} "
                f"device{'s' if len(found) > 1 else ''}; give at most that many"
            )
        return [device.name for device in found[: self.num_clones]]

    def strategy(self) -> tf.distribute.Strategy:
        """Returns the strategy: the default one for one clone, Mirrored for several, and
        MultiWorkerMirrored for several workers, which waits for them all.

        Of several workers it has to be made before TensorFlow has used its devices.

        Raises:
          UserError: if there are fewer devices than clones.
        """
        if len(self.worker_hosts) > 1:
            return self._of_workers()
        devices = self.devices()
        if len(devices) == 1:
            single = tf.config.list_logical_devices("GPU") and self.clone_on_cpu
            return (
                tf.distribute.OneDeviceStrategy(devices[0])
                if single
                else tf.distribute.get_strategy()
            )
        # NCCL is for GPUs; between CPU devices TensorFlow copies and adds.
        on_cpu = "CPU" in devices[0]
        operations = tf.distribute.ReductionToOneDevice() if on_cpu else None
        return tf.distribute.MirroredStrategy(devices, cross_device_ops=operations)

    def _of_workers(self) -> tf.distribute.Strategy:
        gpus = tf.config.list_physical_devices("GPU")
        # The strategy takes every GPU that it sees.
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
    """Makes TensorFlow see `count` logical CPU devices, to try several clones on one machine.

    Must be called before TensorFlow has used its devices.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * count
    )
