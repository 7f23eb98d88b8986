#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How long a job of a fleet takes, by what the ones before took.

Libraries: pytest.
"""

import types
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from modules.jobs.fleet.estimates import Estimates
from modules.jobs.job import Job, new_id, now
from modules.progress import Progress
from modules.request import parse_request


def job(seconds = None, preset = 'quality', **more):
    wanted = parse_request([], Path(), 'a', 'wan')
    return Job(new_id(), Path(), replace(wanted, seconds = seconds, preset = preset), **more)


@pytest.fixture
def estimates():
    """Of a fleet with one worker, who has nothing to do."""
    line = types.SimpleNamespace(counts = lambda: (1, 0), position = lambda identity: 1)
    members = types.SimpleNamespace(known = lambda: {'a': {'silent': 0}})
    return Estimates(types.SimpleNamespace(line = line, members = members))


def done(taken, **kind):
    end = now()
    return job(state = 'done', started = end - timedelta(seconds = taken), finished = end, **kind)


def test_a_long_clip_is_known_by_long_ones_alone(estimates):
    estimates.learn(done(60))
    assert estimates.place(job()).seconds == 60
    assert estimates.place(job(10)).seconds is None
    assert estimates.place(job(preset = 'draft')).seconds is None
    estimates.learn(done(400, seconds = 10))
    assert [estimates.place(job(seconds)).seconds for seconds in (None, 10)] == [60, 400]


def test_the_first_of_its_kind_is_known_by_its_own_steps(estimates):
    first = job(10, state = 'running', started = now() - timedelta(seconds = 100))
    assert estimates.place(first).seconds is None
    first.progress = Progress('step', 20, 80)
    assert estimates.place(first).seconds == pytest.approx(300, abs = 10)
    first.progress = Progress('step', 80, 80)
    assert estimates.place(first).seconds == pytest.approx(0, abs = 10)
