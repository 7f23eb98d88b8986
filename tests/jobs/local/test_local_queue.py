#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What every queue does: the one within this process and the one of a fleet, each with real threads and an animator that
does what the test says; and what only the former does.

Libraries: pytest.
"""

import errno
import inspect
import shutil
import threading
import time
from contextlib import contextmanager

import fleet
import pytest
from program import until
from queues import Animator, fail, finished, hold, job, submit, working

from modules import errors
from modules.configuration import QueueOptions
from modules.jobs.contract import Queue
from modules.jobs.fleet.device import Intervals
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.fleet.remote_queue import RemoteQueue
from modules.jobs.fleet.worker import Worker
from modules.jobs.store import Store
from modules.progress import Progress


@pytest.fixture(scope = 'module')
def redis(tmp_path_factory):
    """A real Redis for all tests of this module."""
    if not shutil.which('redis-server'):
        pytest.skip('needs redis-server')
    with fleet.redis_server(tmp_path_factory.mktemp('redis')) as server:
        yield server


@pytest.fixture(params = ['within', 'fleet'])
def any_queue(request):
    """:func:`working`, or the same with a fleet of one worker."""
    if request.param == 'within':
        return working
    url = request.getfixturevalue('redis').url

    @contextmanager
    def remote(home, animator = None, max_waiting = 16, pause = 30):
        animator, store, ledger = animator or Animator(), Store(home), Ledger(url)
        ledger.client.flushall()
        worker = Worker(animator, Ledger(url), {}, intervals = Intervals(pause = pause))
        thread = threading.Thread(target = worker.run)
        thread.start()
        queue = RemoteQueue(store, ledger, QueueOptions(max_waiting = max_waiting), {})
        # where the tests find it, though a worker has it
        queue.animator = animator
        try:
            yield queue, animator
        finally:
            animator.go.set()
            queue.close()
            worker.stop()
            thread.join(30)
            store.close()
            for each in (ledger, worker.ledger):
                each.client.connection_pool.disconnect()
            assert not thread.is_alive()

    return remote


def test_who_comes_first_is_served_first(tmp_path, any_queue):
    with any_queue(tmp_path) as (queue, animator):
        hold(queue, tmp_path)
        names = [f'number {index}' for index in range(8)]
        jobs = submit(queue, *(job(tmp_path, name) for name in names))
        assert (queue.status().waiting, animator.begun) == (8, ['held'])
        animator.go.set()
        assert [finished(one)[0] for one in jobs] == ['done'] * 8
        assert animator.begun == ['held', *names]


def test_one_job_runs_at_a_time(tmp_path, any_queue):
    at_once, most, lock = [0], [0], threading.Lock()

    def work(_stop):
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.02)
        with lock:
            at_once[0] -= 1

    with any_queue(tmp_path, Animator(work = work)) as (queue, _animator):
        for one in submit(queue, *(job(tmp_path, 'work') for _ in range(6))):
            finished(one)
    assert most == [1]


def test_a_job_that_is_done_has_no_error_and_tells_how_far_it_came(tmp_path, any_queue):
    with any_queue(tmp_path) as (queue, _animator):
        done, = submit(queue, job(tmp_path))
        assert finished(done) == ('done', type(None))
        assert done.progress == Progress('step', 1, 2)


def test_time_in_which_nobody_waits_is_used_until_somebody_comes(tmp_path, any_queue):
    calls = []

    def prepare(stop_if_cancelled):
        calls.append('begun')
        try:
            while True:
                time.sleep(0.01)
                stop_if_cancelled()
        finally:
            calls.append('ended')

    with any_queue(tmp_path, Animator(prepare = prepare), pause = 0.1) as (queue, animator):
        until(lambda: calls == ['begun'])
        assert queue.status().state == 'READY'
        first, second = submit(queue, job(tmp_path, 'held'), job(tmp_path))
        until(lambda: animator.begun == ['held'])
        assert calls == ['begun', 'ended']
        animator.go.set()
        assert finished(first)[0] == finished(second)[0] == 'done'
        until(lambda: calls == ['begun', 'ended', 'begun'])
    until(lambda: calls == ['begun', 'ended', 'begun', 'ended'])


def test_who_comes_again_soon_does_not_find_a_worker_busy_with_something_else(tmp_path, any_queue):
    calls = []
    animator = Animator(prepare = lambda _stop: calls.append(animator.begun.copy()))
    with any_queue(tmp_path, animator, pause = 2) as (queue, _):
        for _ in range(4):
            assert finished(*submit(queue, job(tmp_path)))[0] == 'done'
            time.sleep(0.4)
        assert not calls
        until(lambda: calls)
    assert calls[0] == ['quick'] * 4


def test_what_fails_while_nobody_waits_fails_no_job(tmp_path, any_queue, caplog):
    broken = Animator(prepare = fail(ValueError('no compiler')))
    with any_queue(tmp_path, broken, pause = 0) as (queue, _):
        until(lambda: 'no compiler' in caplog.text)
        done, = submit(queue, job(tmp_path))
        assert finished(done) == ('done', type(None))


def test_an_end_does_not_wait_for_what_is_done_while_nobody_waits(tmp_path, any_queue):
    has_begun, may_end, has_ended = threading.Event(), threading.Event(), threading.Event()

    def prepare(_stop_if_cancelled):
        has_begun.set()
        may_end.wait(30)
        has_ended.set()

    with any_queue(tmp_path, Animator(prepare = prepare), pause = 0):
        assert has_begun.wait(10)
    assert not has_ended.is_set()
    may_end.set()


def retry_after(queue, animator, tmp_path):
    """What a full queue of one place says."""
    animator.go.clear()
    held, waiting = hold(queue, tmp_path), job(tmp_path)
    queue.submit(waiting)
    with pytest.raises(errors.QueueFull) as caught:
        queue.submit(job(tmp_path))
    assert queue.status().waiting == 1
    queue.cancel(waiting)
    animator.go.set()
    finished(held)
    return caught.value.retry_after


def after(tmp_path, *names):
    """The same, after jobs of these names."""
    with working(tmp_path, Animator(slow = lambda _stop: time.sleep(1.2)), 1) as (queue, animator):
        for name in names:
            done, = submit(queue, job(tmp_path, name))
            finished(done)
            until(lambda: queue.status().state == 'READY')
        return retry_after(queue, animator, tmp_path)


def test_when_to_come_back_is_learnt_from_how_long_jobs_took(tmp_path):
    quick = ['quick'] * 5
    assert after(tmp_path) > after(tmp_path, *quick) > after(tmp_path, *quick * 3) == 1
    assert after(tmp_path, *quick, 'slow') > after(tmp_path, *quick, 'quick')


def test_a_waiting_job_is_cancelled_at_once_and_never_begun(tmp_path, any_queue):
    with any_queue(tmp_path) as (queue, animator):
        held = hold(queue, tmp_path)
        unwanted, wanted = submit(queue, job(tmp_path, 'unwanted'), job(tmp_path, 'wanted'))
        queue.cancel(unwanted)
        assert (unwanted.state, held.state, queue.status().waiting) == ('cancelled', 'running', 1)
        assert unwanted.wait(0)
        animator.go.set()
        assert finished(wanted)[0] == 'done'
        assert animator.begun == ['held', 'wanted']


def test_a_cancelled_job_gives_its_place_free(tmp_path, any_queue):
    with any_queue(tmp_path, max_waiting = 1) as (queue, _animator):
        hold(queue, tmp_path)
        first, = submit(queue, job(tmp_path))
        queue.cancel(first)
        submit(queue, job(tmp_path))
        assert queue.status().waiting == 1


def test_a_running_job_is_cancelled_within_a_step_and_the_next_one_runs(tmp_path, any_queue):
    with any_queue(tmp_path) as (queue, _animator):
        held = hold(queue, tmp_path)
        following, = submit(queue, job(tmp_path))
        queue.cancel(held)
        assert finished(held) == ('cancelled', type(None))
        assert finished(following)[0] == 'done'


def test_cancelling_a_job_that_has_ended_changes_nothing(tmp_path, any_queue):
    with any_queue(tmp_path, Animator(broken = fail(ValueError()))) as (queue, _animator):
        done, broken = submit(queue, job(tmp_path), job(tmp_path, 'broken'))
        assert (finished(done)[0], finished(broken)[0]) == ('done', 'failed')
        queue.cancel(done)
        queue.cancel(broken)
        assert (done.state, broken.state) == ('done', 'failed')
        following, = submit(queue, job(tmp_path))
        assert finished(following)[0] == 'done'


class SlowDisk(Store):
    """Takes so long for the record of an end that the clock shows another second."""

    def save(self, job):
        super().save(job)
        if job.has_ended:
            time.sleep(1.1)


def test_an_end_is_told_with_the_moment_that_was_recorded(tmp_path):
    with working(tmp_path, store = SlowDisk(tmp_path)) as (queue, _animator):
        done, = submit(queue, job(tmp_path))
        assert finished(done)[0] == 'done'
        assert done.finished == queue.store.find(done.id).finished


def test_closing_fails_what_somebody_waits_for_and_keeps_the_rest(tmp_path):
    with working(tmp_path) as (queue, animator):
        held = hold(queue, tmp_path)
        waiting, = submit(queue, job(tmp_path, 'one'))
        awaited, = submit(queue, job(tmp_path, 'two', is_awaited = True))
        queue.close()
        assert finished(awaited) == ('failed', errors.ShuttingDown)
        assert (animator.begun, queue.status().waiting) == (['held'], 0)
        assert [(one.id, one.state, one.attempts)
                for one in queue.store.find_unfinished()] == [(held.id, 'queued', 0),
                                                              (waiting.id, 'queued', 0)]
    with working(tmp_path) as (queue, animator):
        animator.go.set()
        for one in (held, waiting):
            assert finished(queue.find(one.id))[0] == 'done'
        assert animator.begun == ['held', 'one']


def test_closing_fails_a_running_job_somebody_waits_for(tmp_path):
    with working(tmp_path) as (queue, animator):
        held, = submit(queue, job(tmp_path, 'held', is_awaited = True))
        until(lambda: animator.begun)
        queue.close()
        assert finished(held) == ('failed', errors.ShuttingDown)


def test_a_closed_queue_takes_no_job_and_has_no_worker(tmp_path):
    before = set(threading.enumerate())
    with working(tmp_path) as (queue, _animator):
        own = set(threading.enumerate()) - before
        assert len(own) == 1
        queue.close()
        assert not [thread for thread in own if thread.is_alive()]
        with pytest.raises(errors.ShuttingDown):
            queue.submit(job(tmp_path))
        assert queue.status().state == 'FAILED'


@pytest.mark.parametrize(('error', 'kind'), [
    (ValueError('secret'), errors.EngineFailed),
    (RuntimeError('secret'), errors.EngineFailed),
    (OSError(errno.EPIPE, 'broken pipe'), errors.EngineFailed),
    (FileNotFoundError(errno.ENOENT, 'no such file'), errors.EngineFailed),
    (OSError('without a number'), errors.EngineFailed),
    (OSError(errno.ENOSPC, 'no space'), errors.DiskFull),
    (OSError(errno.EDQUOT, 'no quota'), errors.DiskFull),
    (PermissionError(errno.EACCES, 'no permission'), errors.DiskFull),
    (OSError(errno.EROFS, 'read only'), errors.DiskFull),
    (MemoryError(), errors.OutOfMemory),
    (errors.DamagedImage('file'), errors.DamagedImage),
    (errors.UnusablePicture(), errors.UnusablePicture),
],
                         ids = repr)
def test_what_breaks_has_its_own_refusal_and_the_worker_goes_on(tmp_path, any_queue, error, kind):
    with any_queue(tmp_path, Animator(broken = fail(error))) as (queue, _animator):
        broken, following = submit(queue, job(tmp_path, 'broken'), job(tmp_path))
        assert finished(broken) == ('failed', kind)
        assert finished(following) == ('done', type(None))
        until(lambda: queue.status().state == 'READY')


def test_what_breaks_unexpectedly_is_in_the_log_with_its_job(tmp_path, any_queue, caplog):
    with any_queue(tmp_path,
                   Animator(broken = fail(ValueError('the cause')))) as (queue, _animator):
        broken, = submit(queue, job(tmp_path, 'broken'))
        finished(broken)
    assert broken.id in caplog.text
    assert 'the cause' in caplog.text


def test_tells_whether_it_starts_is_ready_or_busy(tmp_path, any_queue):
    may_load = threading.Event()
    with any_queue(tmp_path, Animator(load = lambda: may_load.wait(10))) as (queue, animator):
        assert queue.status().state == 'STARTING'
        may_load.set()
        until(lambda: queue.status().state == 'READY')
        held = hold(queue, tmp_path)
        assert (queue.status().state, queue.status().waiting) == ('BUSY', 0)
        animator.go.set()
        finished(held)
        until(lambda: queue.status().state == 'READY')


def test_jobs_that_come_while_it_loads_wait_and_are_done(tmp_path, any_queue):
    may_load = threading.Event()
    with any_queue(tmp_path, Animator(load = lambda: may_load.wait(10))) as (queue, animator):
        early, = submit(queue, job(tmp_path))
        assert (early.state, queue.status().waiting, animator.begun) == ('queued', 1, [])
        may_load.set()
        assert finished(early)[0] == 'done'


@pytest.mark.parametrize(
    'error', [
        errors.EngineUnavailable('engine', engine = 'svd', reason = 'none'),
        ImportError('a library that is not whole'),
        MemoryError()
    ],
    ids = repr)
def test_an_engine_that_cannot_be_loaded_does_not_end_the_worker(tmp_path, any_queue, error):
    with any_queue(tmp_path, Animator(load = fail(error))) as (queue, _animator):
        one, = submit(queue, job(tmp_path))
        assert finished(one)[0] == 'done'
        until(lambda: queue.status().state == 'READY')


def parameters(function):
    return list(inspect.signature(function).parameters.values())


def test_a_queue_offers_all_that_is_called_on_one(tmp_path, any_queue):
    with any_queue(tmp_path) as (queue, _animator):
        assert isinstance(queue, Queue)
        for name, function in inspect.getmembers(Queue, inspect.isfunction):
            if not name.startswith('_'):
                offered = parameters(getattr(type(queue), name))
                assert [(each.name, each.default) for each in offered
                        ] == [(each.name, each.default) for each in parameters(function)], name
