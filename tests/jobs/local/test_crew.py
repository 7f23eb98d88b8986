#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Who does which job, where devices differ in what they can and in how fast they are, by a clock that only the test moves;
and devices of a real queue that fail at work.

Libraries: pytest.
"""

import types
from dataclasses import replace
from pathlib import Path

import pytest
from program import until
from queues import Animator, Clock, begun, finished, job, submit, working_devices

from modules import errors
from modules.i18n import text
from modules.jobs.job import Job, new_id
from modules.jobs.local.crew import Crew
from modules.jobs.pace import Pace, kind_of
from modules.progress import Progress
from modules.request import parse_request

GONE = text('engines.device_failed', device = 'cuda:1', error = 'illegal memory access')


class Device:
    """What a worker works with, which can do what there is no reason against."""

    def __init__(self, **reasons):
        able = {'svd': None, 'camera': None, **reasons}
        self.engines = types.SimpleNamespace(own_reasons = lambda: able)


def waiting(engine = 'svd', preset = 'quality', seconds = None):
    wanted = parse_request([], Path(), 'a', engine)
    return Job(new_id(), Path(), replace(wanted, preset = preset, seconds = seconds))


class Team:
    """A crew, what it has learnt, and its clock."""

    def __init__(self, *devices):
        self.clock = Clock()
        self.pace = Pace(self.clock)
        self.crew = Crew(self.pace)
        for each in devices:
            assert self.crew.next_for(each, []) is None

    def begin(self, device, job):
        self.crew.jobs[device] = job
        self.pace.begin(kind_of(job), job, device)
        self.pace.note(Progress('step', 0, 10), job)

    def learn(self, device, seconds, job = None):
        """A whole job is done."""
        job = job or waiting()
        self.begin(device, job)
        self.clock.now += seconds
        self.pace.note(Progress('step', 10, 10), job)
        self.pace.end(True, job)
        del self.crew.jobs[device]


@pytest.fixture
def devices():
    return Device(), Device()


@pytest.fixture
def team(devices):
    """A fast device and a slow one, as they were found to be."""
    team = Team(*devices)
    for each, seconds in zip(devices, (20, 200), strict = True):
        team.learn(each, seconds)
    return team


def test_a_job_goes_to_the_fast_device_when_both_are_idle(team, devices):
    fast, slow = devices
    line = [waiting()]
    assert team.crew.next_for(slow, line) is None
    assert team.crew.next_for(fast, line) is line[0]


def test_the_slow_device_takes_what_it_will_have_done_before_the_fast_one_comes_to_it(
        team, devices):
    fast, slow = devices
    team.begin(fast, waiting())
    line = [waiting() for _ in range(12)]
    # the fast one has done the ninth in 20 + 9 · 20 seconds, and the tenth too late
    assert team.crew.next_for(slow, line[:8]) is None
    assert team.crew.next_for(slow, line) is line[9]
    team.clock.now += 15
    assert team.crew.next_for(slow, line) is line[9]
    team.clock.now += 4
    team.pace.note(Progress('step', 9, 10), team.crew.jobs[fast])
    assert team.crew.next_for(slow, line) is line[9]


def test_how_long_it_takes_is_told_for_whoever_will_do_it(team, devices):
    fast, slow = devices
    team.begin(fast, waiting())
    line = [waiting() for _ in range(10)]
    assert team.crew.seconds_left(line[:1]) == 40
    assert team.crew.seconds_left(line[:9]) == 200
    assert team.crew.seconds_left(line) == 200
    team.begin(slow, waiting())
    assert team.crew.seconds_left(line) == 220


def test_nobody_waits_for_a_device_that_takes_much_longer_than_it_did(team, devices):
    fast, slow = devices
    line = [waiting()]
    team.begin(fast, waiting())
    team.clock.now += 39
    assert team.crew.next_for(slow, line) is None
    team.clock.now += 2
    assert team.crew.next_for(slow, line) is line[0]


def test_a_device_whose_pace_is_not_known_is_tried(devices):
    team = Team(*devices)
    fast, other = devices
    line = [waiting(), waiting()]
    assert team.crew.next_for(fast, line) is line[0]
    assert team.crew.next_for(other, line) is line[1]
    team.learn(fast, 20)
    team.begin(fast, waiting())
    assert team.crew.next_for(other, line) is line[0]
    assert Team(*devices).crew.seconds_left(line) is None


def test_presets_are_learnt_apart(team, devices):
    fast, slow = devices
    team.learn(fast, 2, waiting(preset = 'draft'))
    assert team.pace.whole(('svd', 'quality', None), fast) == 20
    assert team.pace.whole(('svd', 'draft', None), fast) == 2
    assert team.pace.whole(('svd', 'draft', None), slow) is None


def test_lengths_are_learnt_apart(team, devices):
    short, long = ([waiting(seconds = seconds)] for seconds in (2, 10))
    for device in devices:
        team.learn(device, 7, short[0])
    assert team.crew.seconds_left(short) is not None
    assert team.crew.seconds_left(long) is None


def test_who_cannot_do_a_job_is_not_given_it_unless_nobody_can():
    able, unable = Device(), Device(svd = GONE)
    team = Team(unable, able)
    line = [waiting(), waiting('camera')]
    assert team.crew.next_for(unable, line) is line[1]
    assert team.crew.next_for(able, line) is line[0]
    assert team.crew.has_substitute(unable, line[0]) and not team.crew.has_substitute(able, line[0])
    team.crew.dismiss(able)
    # it is answered, if only with a refusal
    assert team.crew.next_for(unable, line) is line[0]


def test_a_device_that_loads_is_not_counted_on(devices):
    team = Team(devices[0])
    line = [waiting()]
    team.begin(devices[0], waiting())
    third = Device()
    assert team.crew.next_for(third, line) is line[0]


class Mortal(Animator):
    """Its engine fails in the job called ``deadly``, once."""

    is_sound = True

    def __init__(self):
        super().__init__(deadly = lambda _stop: self.fail())
        self.engines.own_reasons = lambda: {'auto': None if self.is_sound else GONE}

    def fail(self):
        self.is_sound = False
        raise errors.EngineUnavailable('engine', engine = 'auto', reason = GONE)

    def redirect(self, request, refusal):
        raise refusal


def test_what_a_further_device_fails_at_is_done_by_the_first_and_it_takes_no_more_jobs(
        tmp_path, caplog):
    first, second = Animator(), Mortal()
    with working_devices(tmp_path, first, second) as queue:
        held, = submit(queue, job(tmp_path, 'held'))
        until(lambda: begun(first, second) == [1, 0])
        deadly, = submit(queue, job(tmp_path, 'deadly'))
        until(lambda: 'A further device takes no jobs' in caplog.text)
        assert (deadly.state, deadly.attempts, queue.place(deadly).position) == ('queued', 0, 1)
        others = submit(queue, *(job(tmp_path) for _ in range(3)))
        assert 'illegal memory access' in caplog.text
        first.go.set()
        assert [finished(one)[0] for one in (held, deadly, *others)] == ['done'] * 5
        assert begun(first, second) == [5, 1]


def test_what_the_first_device_fails_at_is_done_by_another(tmp_path):
    first, second = Mortal(), Animator()
    with working_devices(tmp_path, first, second) as queue:
        until(lambda: len(queue._crew._ready) == 2)
        held, = submit(queue, job(tmp_path, 'held'))
        until(lambda: first.begun)
        second.go.set()
        other, = submit(queue, job(tmp_path))
        assert finished(other)[0] == 'done'
        deadly, = submit(queue, job(tmp_path, 'deadly'))
        first.go.set()
        assert finished(held)[0] == finished(deadly)[0] == 'done'


def test_where_the_last_device_fails_the_job_and_those_behind_it_are_answered(tmp_path):
    alone = Mortal()
    alone.doings['after'] = lambda _stop: alone.fail()
    with working_devices(tmp_path, alone) as queue:
        jobs = submit(queue, job(tmp_path, 'deadly'), job(tmp_path, 'after'))
        for one in jobs:
            assert finished(one) == ('failed', errors.EngineUnavailable)
            assert 'illegal memory access' in str(one.error)
