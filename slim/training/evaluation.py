"""Evaluation of checkpoints with a monitored session, see `slim.graph.evaluation`."""

from slim.checkpoints import checkpoints_iterator, wait_for_new_checkpoint
from slim.graph.evaluation import evaluate_ops_once as evaluate_once
from slim.graph.evaluation import evaluate_repeatedly
from slim.graph.evaluation_hooks import (
    StopAfterNEvalsHook,
    SummaryAtEndHook,
    get_or_create_eval_step,
)

__all__ = [
    "StopAfterNEvalsHook", "SummaryAtEndHook", "checkpoints_iterator", "evaluate_once",
    "evaluate_repeatedly", "get_or_create_eval_step", "wait_for_new_checkpoint",
]  # fmt: skip
