"""What may age, and what may not, when clocks jump and runs are missed."""

from __future__ import annotations

import random

import pytest

from scripts.maintenance.clock import Clock

HOUR = 3600
DAY = 24 * HOUR
SKEW_SECONDS = 900  # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
START = 1_800_000_000.0


def after(*pauses: float) -> Clock:
    """Return the clock after a first run, and one after each of the pauses."""
    clock, now = Clock(), START
    assert not clock.advance(now, now)
    for pause in pauses:
        now += pause
        assert not clock.advance(now, now)
    return clock


def test_what_hourly_runs_have_seen_is_as_old_as_the_clock_says() -> None:
    clock = after(*[HOUR] * 48)
    assert clock.age(START) == 48 * HOUR
    assert not clock.jumped


def test_a_first_run_knows_of_no_jump() -> None:
    clock = after()
    assert not clock.jumped
    assert clock.age(START - DAY) == DAY


@pytest.mark.parametrize("off", [SKEW_SECONDS + 1, -SKEW_SECONDS - 1, 10 * DAY, -10 * DAY])
def test_a_time_that_the_pod_does_not_confirm_is_not_noted(off: float) -> None:
    clock = after(HOUR)
    problem = clock.advance(START + 2 * HOUR + off, START + 2 * HOUR)
    assert problem == f"the storage's clock is {off:+.0f} s off this pod's"
    assert clock == after(HOUR)


@pytest.mark.parametrize("off", [SKEW_SECONDS, -SKEW_SECONDS])
def test_clocks_may_differ_as_far_as_requests_are_taken(off: float) -> None:
    clock = after(HOUR)
    assert not clock.advance(START + 2 * HOUR + off, START + 2 * HOUR)


@pytest.mark.parametrize("pause", [DAY + 1, 10 * DAY, 365 * DAY])
def test_what_a_clock_jumps_ahead_makes_nothing_older(pause: float) -> None:
    clock = after(HOUR, HOUR, pause)
    assert clock.jumped, "the run that sees it deletes nothing"
    assert clock.age(START) == 3 * HOUR, "as if the run had come after the usual pause"
    assert not clock.advance(clock.now + HOUR, clock.now + HOUR)
    assert clock.skipped[-1][0] < clock.now, "it is forgiven"
    assert clock.age(START) == 4 * HOUR
    assert clock.age(clock.now - HOUR) == HOUR, "what is written after it ages as ever"


def test_a_night_without_runs_is_no_jump() -> None:
    clock = after(HOUR, DAY)
    assert not clock.jumped
    assert clock.age(START) == DAY + HOUR


def test_a_clock_that_jumps_back_is_named_once_and_what_was_seen_then_waits_longer() -> None:
    clock = after(HOUR, 10 * DAY)
    written = clock.now
    now = START + 3 * HOUR
    problem = clock.advance(now, now)
    assert problem == f"the clock is {10 * DAY - 2 * HOUR:.0f} s behind that of the last run"
    assert not clock.advance(now + HOUR, now + HOUR)
    assert clock.age(written) < 0
    assert clock.age(START) <= 4 * HOUR, "the lie has made nothing older"


def test_a_little_behind_is_no_jump() -> None:
    clock = after(HOUR, -SKEW_SECONDS, HOUR)
    assert not clock.jumped
    assert clock.now == START + 2 * HOUR - SKEW_SECONDS


def test_with_a_weekly_schedule_a_week_is_usual_from_the_fourth_run_on() -> None:
    clock = after(7 * DAY)
    assert clock.jumped
    assert clock.age(START) == 0
    assert after(*[7 * DAY] * 2).jumped
    clock = after(*[7 * DAY] * 3)
    assert not clock.jumped
    assert clock.age(START) == 8 * DAY


@pytest.mark.parametrize(("pause", "jumped"), [(6 * DAY, False), (6 * DAY + 1, True)])
def test_three_times_the_last_pause_is_usual(pause: float, jumped: bool) -> None:
    """Runs may be missed; a clock that skips more than that is not believed."""
    assert after(DAY, 2 * DAY, pause).jumped == jumped


@pytest.mark.parametrize("second", [10 * DAY, 20 * DAY, 30 * DAY])
def test_a_jump_makes_no_other_jump_usual(second: float) -> None:
    clock = after(HOUR, 10 * DAY, second)
    assert clock.jumped
    assert clock.age(START) < 2 * DAY


def test_a_schedule_that_was_suspended_for_a_month_goes_on_after_one_run() -> None:
    clock = after(*[HOUR] * 24, 30 * DAY)
    assert clock.jumped
    assert clock.age(START) == 25 * HOUR
    assert not clock.advance(clock.now + HOUR, clock.now + HOUR)
    assert not clock.jumped


def test_no_clock_makes_anything_older_than_the_time_that_runs_took() -> None:
    """Each run is a real hour after the one before; the clocks may be anywhere."""
    chosen = random.Random(1)  # noqa: S311 - the same clocks in each run
    for _ in range(300):
        clock, off = Clock(), 0.0
        clock.advance(START, START)
        for run in range(1, 30):
            if chosen.random() < 0.3:
                off = chosen.choice([0, 1, -1]) * chosen.uniform(1.1, 400) * DAY
            now = START + run * HOUR + off
            clock.advance(now, now)
            assert clock.age(START) <= run * (DAY + HOUR), "what is less than a day is usual"
