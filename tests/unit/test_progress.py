"""Lines of progress: not too many, and with the time left."""

import time

import pytest

from flatminima.progress import INTERVAL, Progress, state


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_line_only_after_the_interval(clock, capsys):
    progress = Progress("digits linear depth 2", 1000)
    clock[0] += INTERVAL / 2
    progress.report(10, state(1.0, 0))
    assert capsys.readouterr() == ("", "")
    clock[0] += INTERVAL / 2
    progress.report(250, state(0.123456, 3))
    line = f"digits linear depth 2: step 250/1000, median loss 0.1235, 3 diverged, at most {3 * INTERVAL:.0f} s left\n"
    assert capsys.readouterr() == ("", line)
    progress.report(251, state(0.1, 3))
    assert capsys.readouterr() == ("", "")


def test_the_last_line_comes_in_any_case(clock, capsys):
    progress = Progress("job", 1000)
    clock[0] += 1.25
    progress.finish(40, state(2.0, 0))
    assert capsys.readouterr().err == "job: done after 40 steps, median loss 2, 1.2 s\n"


def test_no_division_by_zero_at_the_first_step(clock, capsys):
    progress = Progress("job", 10)
    clock[0] += INTERVAL
    progress.report(0, state(1.0, 0))
    assert "step 0/10" in capsys.readouterr().err
