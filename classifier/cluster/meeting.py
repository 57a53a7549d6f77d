"""Meeting of the workers before the first step, at the addresses of their TensorFlow servers."""

import resource

from classifier.cluster.chief import Chief
from classifier.cluster.facts import Facts
from classifier.cluster.other import Other
from classifier.cluster.side import Links, listening
from classifier.resolve.cluster import Cluster


def meet(cluster: Cluster, facts: Facts, timeout: float) -> Links:
    """Waits until all workers are here and agree.

    Args:
      cluster: the workers.
      facts: what has to be the same for all.
      timeout: maximum seconds to wait.

    Returns:
      open connections: of worker 0 to each other worker, of another worker to worker 0 and to its
      neighbors in the ring in which TensorFlow passes gradients.

    Raises:
      UserError: if the workers differ.
      RunError: if the address of this worker is in use, or another worker is missing.
    """
    _raise_file_limit(3 * len(cluster.hosts) + 512)
    with listening(cluster) as listener:
        meeting = (Other if cluster.task else Chief)(cluster, facts, timeout, listener)
        links: Links = {}
        try:
            links = meeting.meet()
        finally:
            kept = {id(channel) for channels in links.values() for channel in channels}
            for channel in meeting.opened:
                if id(channel) not in kept:
                    channel.close()
        return links


def _raise_file_limit(count: int) -> None:
    """Lets this process open more connections, as far as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
