"""The timer of periodic work."""

import time

from slim._timer import Timer


def test_timer_is_due_after_its_seconds_until_restarted():
    now = [100.0]
    timer = Timer(5, lambda: now[0])
    due = []
    for second in range(100, 113):
        now[0] = float(second)
        due.append(timer.is_due())
        assert timer.elapsed == second - (100 if second <= 107 else 107)
        if second == 107:
            timer.restart()
    assert due == [False] * 5 + [True] * 3 + [False] * 4 + [True]


def test_timer_of_zero_seconds_is_never_due():
    now = [0.0]
    timer = Timer(0, lambda: now[0])
    now[0] = 1e9
    assert not timer.is_due()


def test_timer_uses_a_monotonic_clock_by_default():
    timer = Timer(0.01)
    time.sleep(0.02)
    assert timer.is_due()
    assert 0.02 <= timer.elapsed < 60
