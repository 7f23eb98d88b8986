#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Several devices in one machine: one queue, a worker and an engine for each.

Libraries: pytest.
"""

import sys
import threading
import types
from dataclasses import replace

import program
import pytest
import stand_ins
from crashing import is_like, picture, submitted
from program import until
from queues import Animator, begun, fail, finished, job, submit, working_devices

from app import create_app
from modules import errors
from modules.configuration import Configuration, ModelOptions, QueueOptions, WebOptions
from modules.engines.diffusion import gpus
from modules.engines.registry import Engines
from modules.jobs.local.local_queue import LocalQueue
from modules.jobs.local.workers import WorkerOptions
from modules.jobs.pace import assign
from modules.jobs.store import Store


def test_every_device_has_a_job_of_its_own_and_the_next_one_waits(tmp_path):
    animators = [Animator() for _ in range(3)]
    with working_devices(tmp_path, *animators) as queue:
        jobs = submit(queue, *(job(tmp_path, 'held') for _ in range(4)))
        until(lambda: begun(*animators) == [1, 1, 1])
        assert [one.state for one in jobs] == ['running'] * 3 + ['queued']
        status = queue.status()
        assert (status.waiting, queue.place(jobs[3]).position, status.state) == (1, 1, 'BUSY')
        animators[1].go.set()
        assert finished(jobs[3])[0] == 'done'
        assert begun(*animators) == [1, 2, 1]


def test_cancelling_one_leaves_the_others_at_work(tmp_path):
    animators = [Animator(), Animator()]
    with working_devices(tmp_path, *animators) as queue:
        jobs = submit(queue, *(job(tmp_path, 'held') for _ in range(2)))
        until(lambda: begun(*animators) == [1, 1])
        queue.cancel(jobs[0])
        assert finished(jobs[0])[0] == 'cancelled'
        assert jobs[1].state == 'running'


def test_the_end_of_the_program_hands_every_running_job_back(tmp_path):
    animators = [Animator(), Animator()]
    with working_devices(tmp_path, *animators) as queue:
        jobs = submit(queue, *(job(tmp_path, 'held') for _ in range(2)),
                      job(tmp_path, 'held', is_awaited = True))
        until(lambda: begun(*animators) == [1, 1])
        queue.close()
        assert finished(jobs[2]) == ('failed', errors.ShuttingDown)
        left = queue.store.find_unfinished()
        assert [(one.id, one.state, one.attempts) for one in left] == [(one.id, 'queued', 0)
                                                                       for one in jobs[:2]]


def test_a_device_that_cannot_work_takes_no_job(tmp_path, caplog):
    reason = errors.EngineUnavailable('engine', engine = 'svd', reason = 'none')
    broken = Animator(load = fail(reason))
    good = Animator()
    with working_devices(tmp_path, good, broken) as queue:
        until(lambda: 'A further device takes no jobs' in caplog.text)
        for one in submit(queue, *(job(tmp_path) for _ in range(5))):
            assert finished(one)[0] == 'done'
        assert begun(good, broken) == [5, 0]


def test_a_device_that_was_dismissed_is_not_loaded_again_while_nobody_waits(tmp_path):
    tries, idle = [], []

    def load():
        tries.append(None)
        raise errors.EngineUnavailable('engine', engine = 'svd', reason = 'none')

    first, store = Animator(prepare = idle.append), Store(tmp_path)
    options = WorkerOptions(lambda: [Animator(load = load)], idle_seconds = 0.01)
    queue = LocalQueue(first, store, QueueOptions(), options)
    try:
        until(lambda: tries and len(idle) > 20)
        assert len(tries) == 1
    finally:
        queue.close()
        store.close()


def test_devices_that_show_themselves_with_the_first_job_are_used_from_then_on(tmp_path):
    first, second, are_known = Animator(), Animator(), threading.Event()
    first.doings['telling'] = lambda _stop: are_known.set()
    store = Store(tmp_path)
    queue = LocalQueue(first, store, QueueOptions(),
                       WorkerOptions(lambda: [second] if are_known.is_set() else []))
    try:
        submit(queue, job(tmp_path, 'telling'))
        jobs = submit(queue, job(tmp_path, 'held'), job(tmp_path, 'held'))
        until(lambda: begun(first, second) == [2, 1])
        first.go.set()
        second.go.set()
        assert [finished(one)[0] for one in jobs] == ['done', 'done']
    finally:
        queue.close()
        store.close()


@pytest.mark.parametrize(('left', 'workers', 'waiting', 'seconds'), [
    ([], 1, [5.0], 5),
    ([3.0], 1, [5.0, 5.0], 13),
    ([3.0], 2, [5.0], 5),
    ([3.0, 4.0], 2, [5.0], 8),
    ([3.0, 4.0], 2, [5.0, 5.0], 9),
    ([3.0, 4.0], 2, [5.0, 5.0, 5.0], 13),
])
def test_the_time_left_counts_whoever_is_free_first(left, workers, waiting, seconds):
    free = dict(enumerate(left + [0.0] * (workers - len(left))))
    ends = [done for _, _, done in assign(free, (dict.fromkeys(free, one) for one in waiting))]
    assert ends[-1] == seconds


@pytest.mark.parametrize(('device', 'count', 'others'), [
    ('auto', 3, ['cuda:1', 'cuda:2']),
    ('cuda', 2, ['cuda:1']),
    ('cuda:1', 3, []),
    ('cpu', 3, []),
    ('auto', 1, []),
    ('auto', 0, []),
])
def test_every_visible_gpu_is_found_where_none_is_named(monkeypatch, device, count, others):
    torch = types.ModuleType('torch')
    torch.cuda = types.SimpleNamespace(
        is_available = lambda: count > 0, device_count = lambda: count)
    monkeypatch.setitem(sys.modules, 'torch', torch)
    options = Configuration(model = ModelOptions(device = device))
    assert [each.model.device for each in gpus.others(options)] == others
    for each in gpus.others(options):
        assert replace(each, model = options.model) == options


def test_no_library_is_imported_to_look_for_gpus(monkeypatch):
    monkeypatch.delitem(sys.modules, 'torch', raising = False)
    assert gpus.others(Configuration()) == []
    assert 'torch' not in sys.modules


def test_the_program_serves_two_jobs_at_once_each_with_its_own_picture(tmp_path):
    stand_ins.Held.go.clear()
    options = Configuration(web = WebOptions(port = 0), queue = QueueOptions(max_waiting = 4))
    engines = [Engines(options, stand_ins.table(camera = 'Held')) for _ in range(2)]
    app = create_app(options, tmp_path, engines = engines)
    with program.served(app, options.web) as port:
        colours = [(200, 60, 30), (30, 60, 200), (60, 200, 30)]
        jobs = [submitted(port, colour) for colour in colours]

        def states():
            return [program.call(port, 'GET', f'/jobs/{each}').json['state'] for each in jobs]

        until(lambda: states() == ['running', 'running', 'queued'])
        stand_ins.Held.go.set()
        for each, colour in zip(jobs, colours, strict = True):
            assert is_like(picture(port, each), colour)
