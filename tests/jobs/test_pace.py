#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How long things take, learnt by a clock that only the test moves.

Libraries: pytest.
"""

import pytest
from queues import Clock

from modules.jobs.pace import FIRST_GUESS, Pace
from modules.progress import Progress


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pace(clock):
    return Pace(clock)


def job(pace, clock, engine = 'svd', loading = 4, step = 10, steps = 5, writing = 2):
    """A whole job, with so many seconds in each of its phases and steps."""
    pace.begin(engine)
    ended = [pace.note(Progress('loading'))]
    clock.now += loading
    for number in range(1, steps + 1):
        if number == 1:
            ended.append(pace.note(Progress('step', 0, steps)))
        clock.now += step
        ended.append(pace.note(Progress('step', number, steps)))
    ended.append(pace.note(Progress('writing')))
    clock.now += writing
    ended.append(pace.end(True))
    return [each for each in ended if each]


def test_phases_are_told_with_their_seconds_when_they_end(pace, clock):
    assert job(pace, clock) == [('loading', 4), ('step', 50), ('writing', 2)]


def test_nothing_is_known_before_anything_was_measured(pace, clock):
    assert pace.left() is None
    assert pace.whole('svd') is None
    pace.begin('svd')
    pace.note(Progress('loading'))
    clock.now += 3
    assert pace.left() is None


def test_the_first_job_learns_from_its_own_steps(pace, clock):
    pace.begin('svd')
    pace.note(Progress('step', 0, 5))
    clock.now += 10
    pace.note(Progress('step', 1, 5))
    assert pace.left() == 40
    clock.now += 4
    assert pace.left() == 36
    # a step that takes longer than those before does not make time run backwards
    clock.now += 100
    assert pace.left() == 0


def test_an_engine_that_tells_of_its_first_step_when_it_is_over_is_not_believed_to_be_done(
        pace, clock):
    pace.begin('svd')
    pace.note(Progress('encoding'))
    clock.now += 30
    pace.note(Progress('step', 1, 5))
    assert pace.left() is None
    clock.now += 10
    pace.note(Progress('step', 2, 5))
    assert pace.left() == 30
    for number in (3, 4, 5):
        clock.now += 10
        pace.note(Progress('step', number, 5))
    assert pace.left() == 0
    pace.end(True)
    pace.begin('svd')
    pace.note(Progress('step', 1, 5))
    assert pace.left() == 40


def test_a_job_that_broke_off_leaves_the_next_one_a_clean_start(pace, clock):
    pace.begin('svd')
    pace.note(Progress('step', 1, 5))
    clock.now += 10
    pace.note(Progress('step', 2, 5))
    pace.end(False)
    assert (pace.left(), pace.whole('svd'), pace.guess()) == (None, None, FIRST_GUESS)
    pace.begin('svd')
    pace.note(Progress('step', 1, 5))
    assert pace.left() is None


def test_a_phase_without_steps_is_counted_down_and_never_below_nothing(pace, clock):
    job(pace, clock)
    pace.begin('svd')
    pace.note(Progress('writing'))
    clock.now += 1.5
    assert pace.left() == 0.5
    clock.now += 60
    assert pace.left() == 0


def test_the_next_job_knows_what_lies_ahead(pace, clock):
    job(pace, clock)
    assert pace.whole('svd') == 56
    pace.begin('svd')
    pace.note(Progress('loading'))
    assert pace.left() == 56
    clock.now += 1
    assert pace.left() == 55
    pace.note(Progress('step', 0, 5))
    clock.now += 20
    pace.note(Progress('step', 1, 5))
    # slower than last time, so the rest is too
    assert pace.left() == 80 + 2
    pace.note(Progress('writing'))
    assert pace.left() == 2


def test_engines_are_learnt_apart(pace, clock):
    job(pace, clock, 'camera', 0, 0.1, 25, 1)
    assert pace.whole('camera') == pytest.approx(3.5)
    assert pace.whole('svd') is None


def test_a_job_that_broke_off_teaches_nothing_of_what_it_did_not_finish(pace, clock):
    job(pace, clock)
    pace.begin('svd')
    pace.note(Progress('loading'))
    clock.now += 1
    pace.note(Progress('step', 0, 5))
    clock.now += 3
    assert pace.end(False) == ('step', 3)
    assert pace.whole('svd') == 1 + 50 + 2
    assert pace.left() is None


def test_when_to_come_back_is_learnt_from_whole_jobs(pace, clock):
    assert pace.guess() == FIRST_GUESS
    for _ in range(30):
        job(pace, clock)
    assert pace.guess() == pytest.approx(56, abs = 1)
