"""The devices of a graph's clones, replicas and parameter servers, as TF-Slim names them."""

import dataclasses
from collections.abc import Callable
from typing import Any

from slim import _checks

Device = str | Callable[[Any], str]


@dataclasses.dataclass(frozen=True)
class DeploymentConfig:
    """Places the parts of a model in a `tf.Graph`, see `deploy`.

    Source: research/slim/deployment/model_deploy.py of tensorflow/models.

    Attributes:
      num_clones: number of copies of the model in each replica.
      clone_on_cpu: whether the clones run on the CPU; otherwise clone i runs on GPU i.
      replica_id: index of the replica that the graph is for; 0 is the chief.
      num_replicas: number of replicas; several need parameter servers.
      num_ps_tasks: number of parameter servers; 0 uses neither of the jobs.
      worker_job_name: name of the replicas' job.
      ps_job_name: name of the parameter servers' job.

    Raises:
      UserError: if there are several replicas without parameter servers, a job has no name, or
        `replica_id` is not below `num_replicas`.
    """

    num_clones: int = 1
    clone_on_cpu: bool = False
    replica_id: int = 0
    num_replicas: int = 1
    num_ps_tasks: int = 0
    worker_job_name: str = "worker"
    ps_job_name: str = "ps"

    def __post_init__(self) -> None:
        if self.num_replicas > 1 and self.num_ps_tasks < 1:
            raise _checks.UserError(
                f"num_replicas={self.num_replicas} needs parameter servers, but"
                f" num_ps_tasks={self.num_ps_tasks}. In a graph, replicas share variables on them"
            )
        for name in ("worker_job_name", "ps_job_name"):
            if self.num_ps_tasks > 0 and not getattr(self, name):
                raise _checks.UserError(f"{name} is empty. Parameter servers need named jobs")
        if self.replica_id >= self.num_replicas:
            raise _checks.UserError(
                f"replica_id={self.replica_id} must be below num_replicas={self.num_replicas}"
            )

    @property
    def ps_device(self) -> str:
        """The parameter servers' job as a device, or an empty string."""
        return f"/job:{self.ps_job_name}" if self.num_ps_tasks > 0 else ""

    @property
    def worker_device(self) -> str:
        """The replicas' job as a device, or an empty string."""
        return f"/job:{self.worker_job_name}" if self.num_ps_tasks > 0 else ""

    def caching_device(self) -> Device | None:
        """Returns where copies of variables are cached: with their readers, or None."""
        return (lambda op: op.device) if self.num_ps_tasks > 0 else None

    def clone_device(self, clone_index: int) -> str:
        """Returns the device of a clone.

        Raises:
          UserError: if there is no such clone.
        """
        self._check_clone(clone_index)
        device = "CPU:0" if self.clone_on_cpu else f"GPU:{clone_index}"
        return f"{self.worker_device}/device:{device}"

    def clone_scope(self, clone_index: int) -> str:
        """Returns the name scope of a clone, which is empty for a single one.

        Raises:
          UserError: if there is no such clone.
        """
        self._check_clone(clone_index)
        return f"clone_{clone_index}" if self.num_clones > 1 else ""

    def _check_clone(self, index: int) -> None:
        if index >= self.num_clones:
            raise _checks.UserError(
                f"clone_index={index} must be below num_clones={self.num_clones}"
            )

    def optimizer_device(self) -> str:
        """Returns the device of the optimizer."""
        return f"{self.worker_device}/device:CPU:0"

    def inputs_device(self) -> str:
        """Returns the device of the input pipeline."""
        return f"{self.worker_device}/device:CPU:0"

    def variables_device(self) -> Device:
        """Returns the device of the variables: a function if parameter servers take turns."""
        device = f"{self.ps_device}/device:CPU:0"
        return _Turns(device, self.num_ps_tasks) if self.num_ps_tasks > 0 else device


class _Turns:
    """A device function that places each new variable on the next parameter server."""

    def __init__(self, device: str, tasks: int) -> None:
        self._device = device
        self._tasks = tasks
        self._variables = 0

    def __call__(self, op: Any) -> str:
        node = getattr(op, "node_def", op)
        if op.device or node.op not in ("Variable", "VariableV2", "VarHandleOp"):
            return str(op.device)
        task = self._variables % self._tasks
        self._variables += 1
        return f"{self._device}/task:{task}"
