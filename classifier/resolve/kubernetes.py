"""Workers of a Kubernetes Indexed Job or of a JobSet: one for each pod.

Both number their pods, name them `<prefix>-<index>`, and make them reachable as `<name>.<service>`
through a headless service; a JobSet creates one of its own name. See
https://kubernetes.io/docs/tasks/job/job-with-pod-to-pod-communication/ and
https://jobset.sigs.k8s.io/docs/concepts/.
"""

import re
import socket
from collections.abc import Mapping

from classifier.config import problems
from classifier.config.problems import Problem, named
from classifier.config.workers import WorkerOptions
from slim import _checks, _json

INDEX, SERVICE = "JOB_COMPLETION_INDEX", "SLIM_SERVICE"
MISSING = (
    f"{INDEX} or {SERVICE} is not set. Use a Job with completionMode: Indexed, and set {SERVICE} to"
    " the name of its headless service"
)

_PORT = 2222
_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"


def read(
    options: WorkerOptions, environment: Mapping[str, str]
) -> tuple[tuple[str, ...], int] | None:
    """Returns the workers' addresses and the index of this one.

    None without a headless service: the pods of the job are independent.

    Raises:
      UserError: if a variable is invalid, or the number of workers is unknown.
    """
    index, service = environment.get(INDEX), environment.get(SERVICE)
    if index is None or service is None:
        return None
    name = environment.get("HOSTNAME") or socket.gethostname()
    match = re.fullmatch(rf"({_LABEL})-{re.escape(index)}", name)
    if not re.fullmatch(r"\d{1,6}", index) or not match:
        raise _checks.UserError(
            f"{INDEX}={_json.printable(index)} is not the last number of the pod's name"
            f" {_json.printable(name)}. Use a Job with completionMode: Indexed"
        )
    if not re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", service):
        raise _checks.UserError(f"{SERVICE} is not a service name: {_json.printable(service)}")
    count, port = options.processes, options.cluster_port or _PORT
    if count == 1 or int(index) >= count:
        raise problems.error(
            "{} does not fit pod {} of the job. Set it to the job's completions{}; at least 2",
            named("worker_replicas", options.worker_replicas),
            index,
            Problem(" minus 1 and minus {}", named("num_ps_tasks", options.servers))
            if options.servers
            else "",
        )
    return tuple(f"{match[1]}-{each}.{service}:{port}" for each in range(count)), int(index)
