#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Queues with real threads and an animator that does what the test says. Not a test itself.

Libraries: none but the standard one.
"""

import threading
import types
from contextlib import contextmanager

from program import until

from modules.clips.animator import Outcome
from modules.configuration import QueueOptions
from modules.engines.contract import EngineStatus
from modules.jobs.database import DATABASE
from modules.jobs.job import Job, new_id
from modules.jobs.local.local_queue import LocalQueue
from modules.jobs.local.workers import WorkerOptions
from modules.jobs.store import Store
from modules.progress import Progress
from modules.request import parse_request


class Animator:
    """
    Does what the job's name has a function for, and nothing for other names; ``held`` waits for :attr:`go`.

    :param load: what loading does
    :param prepare: what is done while nobody waits
    :param doings: name → function of ``stop_if_cancelled``
    """

    def __init__(self, load = bool, prepare = bool, **doings):
        self.load = load
        self.prepare = prepare
        self.go = threading.Event()
        self.doings = {'held': self._hold, **doings}
        self.begun = []
        # a job of these tests names no engine
        self.engines = types.SimpleNamespace(
            reasons = lambda: {'auto': None},
            own_reasons = lambda: {'auto': None},
            status = lambda name: EngineStatus())

    def animate(self, request, path, control, *, created, keep):
        self.begun.append(request.stem)
        control.report(Progress('step', 1, 2))
        self.doings.get(request.stem, bool)(control.stop_if_cancelled)
        path.write_text(request.stem)
        return Outcome(None, 'a model')

    def _hold(self, stop_if_cancelled):
        while not self.go.wait(0.01):
            stop_if_cancelled()


def fail(error):
    """A doing that breaks."""

    def doing(*_):
        raise error

    return doing


def job(home, name = 'quick', is_awaited = False):
    identity = new_id()
    upload = home / identity / 'upload'
    upload.parent.mkdir(parents = True)
    upload.write_text(name)
    return Job(identity, upload.parent, parse_request([], upload, name), is_awaited)


@contextmanager
def working(home, animator = None, max_waiting = 16, pause = 30, store = None):
    """A queue and its animator."""
    animator, store = animator or Animator(), store or Store(home)
    queue = LocalQueue(animator, store, QueueOptions(max_waiting = max_waiting),
                       WorkerOptions(idle_seconds = pause))
    try:
        yield queue, animator
    finally:
        animator.go.set()
        queue.close()
        store.close()


def submit(queue, *jobs):
    for one in jobs:
        queue.submit(one)
    return jobs


def hold(queue, tmp_path):
    """Occupy the worker."""
    held = job(tmp_path, 'held')
    queue.submit(held)
    until(lambda: held.state == 'running' and 'held' in queue.animator.begun)
    return held


def finished(one):
    assert one.wait(60)
    return one.state, type(one.error)


@contextmanager
def working_devices(home, *animators):
    """A queue whose further devices are found when the first one is ready."""
    store = Store(home)
    queue = LocalQueue(animators[0], store, QueueOptions(), WorkerOptions(lambda: animators[1:]))
    try:
        yield queue
    finally:
        for animator in animators:
            animator.go.set()
        queue.close()
        store.close()


def begun(*animators):
    return [len(animator.begun) for animator in animators]


@contextmanager
def unwritable(home):
    """The record is taken from under the program, as on a drive that fails."""
    aside = home / 'aside'
    (home / DATABASE).rename(aside)
    (home / DATABASE).mkdir()
    try:
        yield
    finally:
        (home / DATABASE).rmdir()
        aside.rename(home / DATABASE)


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now
