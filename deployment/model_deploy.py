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

    Raises:
      UserError: if `num_clones` is not positive.
    """

    num_clones: int = 1
    clone_on_cpu: bool = False

    def __post_init__(self) -> None:
        _checks.positive(num_clones=self.num_clones)

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
        """Returns the strategy: the default one for one clone, Mirrored for several.

        Raises:
          UserError: if there are fewer devices than clones.
        """
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


def split_cpu(count: int) -> None:
    """Makes TensorFlow see `count` logical CPU devices, to try several clones on one machine.

    Must be called before TensorFlow has used its devices.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * count
    )
