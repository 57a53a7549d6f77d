"""TensorFlow's server of a parameter server, or of one of its workers.

`tf.compat.v1` is used for the configuration of its devices, which has no other public name.
"""

import tensorflow as tf

from deployment.strategies import Devices, cluster_of


def start(devices: Devices, job: str, index: int) -> tf.distribute.Server:
    """Returns a server that computes what a `ParameterServerStrategy` asks for, while it exists.

    Args:
      devices: addresses; a worker uses a single GPU, unless `clone_on_cpu`, and a parameter server
        none.
      job: "worker" or "ps".
      index: of this process in the job.
    """
    gpus = 1 if job == "worker" and not devices.clone_on_cpu else 0
    return tf.distribute.Server(
        cluster_of(devices.worker_hosts, devices.server_hosts),
        job_name=job,
        task_index=index,
        protocol="grpc",
        config=tf.compat.v1.ConfigProto(device_count={"GPU": gpus}),
    )
