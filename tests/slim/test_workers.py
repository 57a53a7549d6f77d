"""One process among several; those that talk to each other are in end_to_end/test_workers.py."""

import pytest
import tensorflow as tf

from slim import _checks
from slim.workers import Workers, local_value, translated


@pytest.fixture
def alone():
    return Workers(tf.distribute.get_strategy())


def test_single_process_is_chief_and_does_not_communicate(alone):
    assert (alone.count, alone.index, alone.is_chief) == (1, 0, True)
    assert alone.any(True) is True
    assert alone.any(False) is False
    variable = tf.Variable(2.0)
    alone.take_from_chief({"v": variable})
    assert variable.numpy() == local_value(variable).numpy() == 2.0


def test_lost_worker_is_a_run_error(alone):
    lost = tf.errors.UnavailableError(None, None, "Socket closed")
    assert translated(lost, alone) is lost
    alone.count = 2
    told = translated(lost, alone)
    assert isinstance(told, _checks.RunError)
    assert str(told).startswith("worker 0 of 2 lost the others: one of them ended or cannot be")
    aborted = tf.errors.InternalError(None, None, "Collective ops is aborted by: reset by peer")
    assert isinstance(translated(aborted, alone), _checks.RunError)
    wrong = tf.errors.InvalidArgumentError(None, None, "shape")
    assert translated(wrong, alone) is wrong
