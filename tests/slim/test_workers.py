"""A single process; processes that communicate are in end_to_end/test_workers.py."""

import pytest
import tensorflow as tf

from slim import _checks
from slim.workers import Workers, local_value, translated


@pytest.fixture
def single():
    return Workers(tf.distribute.get_strategy())


def test_single_process_is_chief_and_does_not_communicate(single):
    assert (single.count, single.index, single.is_chief) == (1, 0, True)
    assert single.any(True) is True
    assert single.any(False) is False
    variable = tf.Variable(2.0)
    single.take_from_chief({"v": variable})
    assert variable.numpy() == local_value(variable).numpy() == 2.0


def test_lost_worker_is_a_run_error(single):
    lost = tf.errors.UnavailableError(None, None, "Socket closed")
    assert translated(lost, single) is lost
    single.count = 2
    error = translated(lost, single)
    assert isinstance(error, _checks.RunError)
    assert str(error).startswith("worker 0 of 2 lost the others: one of them ended or cannot be")
    aborted = tf.errors.InternalError(None, None, "Collective ops is aborted by: reset by peer")
    assert isinstance(translated(aborted, single), _checks.RunError)
    wrong = tf.errors.InvalidArgumentError(None, None, "shape")
    assert translated(wrong, single) is wrong
