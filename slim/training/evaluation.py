"""Evaluation of checkpoints with a monitored session, see `slim.graph.evaluation`."""

from slim.checkpoints import checkpoints_iterator, wait_for_new_checkpoint
from slim.graph.evaluation import (
    StopAfterNEvalsHook,
    SummaryAtEndHook,
    evaluate_repeatedly,
    get_or_create_eval_step,
)
from slim.graph.evaluation import evaluate_ops_once as evaluate_once

__all__ = [
    "StopAfterNEvalsHook", "SummaryAtEndHook", "checkpoints_iterator", "evaluate_once",
    "evaluate_repeatedly", "get_or_create_eval_step", "wait_for_new_checkpoint",
]  # fmt: skip
