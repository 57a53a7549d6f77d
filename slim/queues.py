"""Queue runners of a graph's session, at TF-Slim's location."""

from slim.graph.queues import NestedQueueRunnerError, QueueRunners

__all__ = ["NestedQueueRunnerError", "QueueRunners"]
