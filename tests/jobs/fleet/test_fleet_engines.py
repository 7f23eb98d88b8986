#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Workers of a fleet whose engine cannot work, or not any more: somebody else does the job. A real Redis, and the parts of
the fleet in this process.

Libraries: pytest.
"""

import contextlib
import dataclasses
import shutil

import fleet
import program
import pytest
import stand_ins
from crashing import COLOUR, is_like, photo, picture
from program import until

from app import create_app
from modules import errors
from modules.engines.contract import EngineStatus
from modules.engines.registry import Engines
from modules.i18n import text

pytestmark = pytest.mark.skipif(not shutil.which('redis-server'), reason = 'needs redis-server')

BROKEN = text('engines.device_failed', device = 'cuda:0', error = 'illegal memory access')


class Mortal(stand_ins.Instant):
    """Its GPU fails in the first clip."""

    failure = None
    begun = []

    def status(self):
        return EngineStatus(self.failure)

    def animate(self, photo, request, control):
        self.begun.append(request.stem)
        return self.fail()

    def fail(self):
        self.failure = BROKEN
        raise errors.EngineUnavailable('engine', engine = 'svd', reason = BROKEN)


class Stillborn(Mortal):
    """Its GPU fails the test when it is loaded."""

    def load(self):
        self.fail()


@pytest.fixture
def members(tmp_path):
    """A web process, and what starts a worker with an engine under the name of svd; both in this process."""
    with contextlib.ExitStack() as running:
        redis = running.enter_context(fleet.redis_server(tmp_path))
        options = fleet.options_of(redis.url, 2)
        app = create_app(options, tmp_path / 'home')
        port = running.enter_context(program.served(app, options.web))

        def start(module, kind, preferred = 'svd'):
            own = dataclasses.replace(
                options, model = dataclasses.replace(options.model, engine = preferred))
            table = {'svd': (module, kind), 'camera': ('stand_ins', 'Instant')}
            return fleet.start_worker(running, own, Engines(own, table))

        yield port, start


def submit(port, engine):
    body, headers = program.form([('engine', engine)], [('file', 'a.png', photo())])
    return program.call(port, 'POST', '/jobs', body, headers).json['id']


def test_a_worker_whose_gpu_fails_ends_and_another_one_does_the_job(members):
    port, start = members
    Mortal.begun.clear()
    worker, thread = start(__name__, 'Mortal')
    program.ready(port)
    jobs = [submit(port, 'svd') for _ in range(2)]
    thread.join(20)
    assert not thread.is_alive() and worker.state.has_failed
    assert Mortal.begun == ['a'], 'it takes no further job'
    start('stand_ins', 'Instant')
    for each in jobs:
        assert is_like(picture(port, each), COLOUR)


def test_a_worker_that_cannot_load_an_engine_hands_its_jobs_on_and_does_others(members):
    port, start = members
    worker, thread = start(__name__, 'Stillborn', preferred = 'camera')
    program.ready(port)
    job = submit(port, 'svd')
    until(lambda: worker.animator.engines.reasons()['svd'])
    until(lambda: fleet.fetch_job(port, job)['state'] == 'queued')
    assert is_like(picture(port, submit(port, 'camera')), COLOUR)
    start('stand_ins', 'Instant')
    assert is_like(picture(port, job), COLOUR)
    assert thread.is_alive() and not worker.state.has_failed
    assert is_like(picture(port, submit(port, 'camera')), COLOUR)
