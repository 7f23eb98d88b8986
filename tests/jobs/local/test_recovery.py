#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The queue after the program was ended, and on disks that cannot be written.

Libraries: pytest.
"""

import threading
from contextlib import contextmanager

import pytest
from program import until
from queues import Animator, finished, hold, job, submit, unwritable, working

from modules import errors
from modules.configuration import QueueOptions
from modules.jobs import lifecycle
from modules.jobs.local.local_queue import LocalQueue
from modules.jobs.store import Store


@pytest.fixture
def home(tmp_path):
    return tmp_path / 'home'


def left(home, *jobs):
    """What a program that was killed has left."""
    store = Store(home)
    store.open()
    for one in jobs:
        store.add(one)
    store.close()


def begun(home, times, **more):
    """A job that ran when the program was killed."""
    one = job(home, **more)
    for _ in range(times):
        lifecycle.begin(one)
    return one


def recorded(home):
    """The states and attempts a next program would find."""
    store = Store(home)
    store.open()
    jobs = store.find_unfinished() + store.find_ended()
    store.close()
    return {one.id: (one.state, one.attempts) for one in jobs}


def test_a_job_that_ran_when_the_program_died_runs_again(home):
    first, second = begun(home, 1, name = 'held'), job(home)
    left(home, first, second)
    with working(home) as (queue, animator):
        until(lambda: animator.begun)
        assert queue.find(first.id).attempts == 2
        animator.go.set()
        assert [finished(queue.find(one.id))[0] for one in (first, second)] == ['done', 'done']
        assert animator.begun == ['held', 'quick']


def test_a_job_that_stands_in_line_again_has_not_started(home):
    again = begun(home, 1)
    left(home, job(home, 'held'), again)
    with working(home) as (queue, animator):
        until(lambda: animator.begun)
        found = queue.find(again.id)
        assert (found.state, found.started, queue.place(found).position) == ('queued', None, 1)


def test_a_job_that_ran_when_the_machine_lost_power_twice_is_no_poisoned_one(home):
    unlucky = begun(home, 2)
    left(home, unlucky)
    with working(home) as (queue, _animator):
        assert finished(queue.find(unlucky.id))[0] == 'done'


def test_a_job_that_ended_the_program_three_times_is_given_up_and_keeps_its_photo(home):
    deadly, innocent = begun(home, 3, name = 'deadly'), job(home)
    left(home, deadly, innocent)
    with working(home) as (queue, animator):
        found = queue.find(deadly.id)
        assert finished(found) == ('failed', errors.Crashed)
        assert found.error.code == 'crashed'
        assert found.finished
        assert finished(queue.find(innocent.id))[0] == 'done'
        assert animator.begun == ['quick']
    with working(home) as (queue, _animator):
        assert queue.find(deadly.id).error.code == 'crashed'
        # the page tries it again with what it fetches from here
        assert queue.find(deadly.id).upload.read_text() == 'deadly'


def test_what_somebody_waited_for_is_dropped_with_its_files(home):
    awaited, running = job(home, is_awaited = True), begun(home, 1, is_awaited = True)
    left(home, awaited, running)
    with working(home) as (queue, animator):
        for one in (awaited, running):
            with pytest.raises(errors.NotFound):
                queue.find(one.id)
            assert not one.folder.exists()
        assert animator.begun == []
    assert recorded(home) == {}


def test_an_upload_without_a_job_is_swept_away_at_the_start(home):
    orphan = job(home)
    with working(home):
        assert not orphan.folder.exists()


def test_a_removed_job_leaves_nothing_whether_it_waits_runs_or_has_ended(home):
    with working(home) as (queue, animator):
        done, = submit(queue, job(home))
        finished(done)
        running = hold(queue, home)
        waiting, other = submit(queue, job(home), job(home))
        # while one runs no other is begun
        for one in (done, waiting, running):
            queue.remove(one)
            with pytest.raises(errors.NotFound):
                queue.find(one.id)
        assert not done.folder.exists()
        assert not waiting.folder.exists()
        assert finished(running) == ('cancelled', type(None))
        until(lambda: not running.folder.exists())
        assert finished(other)[0] == 'done'
        assert animator.begun == ['quick', 'held', 'quick']
    assert list(recorded(home)) == [other.id]


def test_an_end_that_cannot_be_recorded_is_told_all_the_same_and_recorded_later(home):
    with working(home) as (queue, animator):
        held = hold(queue, home)
        with unwritable(home):
            animator.go.set()
            assert finished(held) == ('done', type(None))
            until(lambda: queue.status().state == 'READY')
            assert queue.find(held.id) is held
            late = job(home)
            with pytest.raises(errors.DiskFull):
                queue.submit(late)
            assert queue.find(held.id).state == 'done'
        queue.submit(late)
        assert finished(late)[0] == 'done'
        assert queue.store.find(held.id).state == 'done'
    assert recorded(home)[held.id] == ('done', 1)


def test_an_end_that_could_not_be_recorded_is_when_the_program_ends(home):
    with working(home) as (queue, _animator):
        held = hold(queue, home)
        with unwritable(home):
            queue.cancel(held)
            assert finished(held)[0] == 'cancelled'
            until(lambda: queue.status().state == 'READY')
    assert recorded(home)[held.id] == ('cancelled', 1)


def test_a_home_that_can_be_written_later_is_used_then_and_its_uploads_stay(home):
    earlier, dropped = job(home), job(home, is_awaited = True)
    left(home, earlier, dropped)
    aside = home.with_name('aside')
    home.rename(aside)
    home.write_text('in the way')
    with working(home) as (queue, _animator):
        with pytest.raises(errors.DiskFull):
            queue.find(earlier.id)
        home.unlink()
        aside.rename(home)
        uploading, late = job(home), job(home)
        assert finished(queue.find(earlier.id))[0] == 'done'
        assert uploading.upload.exists()
        queue.submit(late)
        queue.submit(uploading)
        assert [finished(one)[0] for one in (late, uploading)] == ['done', 'done']
        assert not dropped.folder.exists()


class Stubborn(Store):
    """Removes nothing while :attr:`is_full`."""

    is_full = True

    def remove(self, job):
        if self.is_full:
            raise errors.DiskFull
        super().remove(job)


def test_what_could_be_restored_only_in_part_is_restored_once(home):
    earlier = job(home)
    left(home, earlier, job(home, is_awaited = True))
    animator, store = Animator(), Stubborn(home)
    queue = LocalQueue(animator, store, QueueOptions())
    try:
        with pytest.raises(errors.DiskFull):
            queue.submit(job(home, 'refused'))
        store.is_full = False
        late, = submit(queue, job(home, 'late'))
        assert finished(late)[0] == 'done'
        assert animator.begun == ['quick', 'late']
    finally:
        queue.close()
        store.close()


@contextmanager
def closing(queue):
    """While the program ends."""
    thread = threading.Thread(target = queue.close)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_an_ending_program_counts_no_attempt_of_a_job_that_does_not_let_go(home):
    animator = Animator(deaf = lambda _stop: animator.go.wait(30))
    with working(home, animator) as (queue, _animator):
        deaf, = submit(queue, job(home, 'deaf'))
        until(lambda: animator.begun)
        assert queue.store.find(deaf.id).attempts == 1
        with closing(queue):
            until(lambda: queue.store.find(deaf.id).state == 'queued')
            assert queue.store.find(deaf.id).attempts == 0
            animator.go.set()
        assert finished(deaf)[0] == 'done'
    assert recorded(home)[deaf.id] == ('done', 1)


@pytest.mark.parametrize('is_closing', [False, True])
def test_what_a_person_cancelled_stays_cancelled_though_the_program_ends(home, is_closing):
    lets_go = threading.Event()

    def deaf(stop):
        lets_go.wait(30)
        stop()

    with working(home, Animator(deaf = deaf)) as (queue, animator):
        one, = submit(queue, job(home, 'deaf'))
        until(lambda: animator.begun)
        if not is_closing:
            queue.cancel(one)
        with closing(queue):
            until(lambda: queue.is_closing)
            if is_closing:
                queue.cancel(one)
            lets_go.set()
        assert finished(one) == ('cancelled', type(None))
    assert recorded(home)[one.id] == ('cancelled', 1)
