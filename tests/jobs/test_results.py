#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Files of finished jobs: made once, without the engine, and gone when they are old.

Libraries: Pillow (in the judges), pytest.
"""

import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import judges
import pytest
import stand_ins
from program import until
from queues import unwritable

from modules import errors
from modules.clips.animator import Animator
from modules.configuration import Configuration, OutputOptions, QueueOptions, StoreOptions
from modules.engines.registry import Engines
from modules.i18n import text
from modules.jobs.job import Job, new_id, now
from modules.jobs.leftovers import UNFINISHED
from modules.jobs.local.local_queue import LocalQueue
from modules.jobs.results import Results
from modules.jobs.retention import Retention, measure_folder
from modules.jobs.store import Store
from modules.photos.reader import PhotoReader
from modules.request import parse_request


@contextmanager
def working(home, engine = 'Drifting', output = None):
    """A queue with one job that is done, and the animator behind it."""
    options = Configuration(output = output or OutputOptions())
    engines = Engines(options, stand_ins.table(camera = engine))
    animator, store = Animator(options, PhotoReader(10**8), engines), Store(home)
    queue = LocalQueue(animator, store, QueueOptions())
    try:
        yield queue, done(queue), animator
    finally:
        queue.close()
        store.close()


def submitted(queue, **fields):
    identity = new_id()
    folder = queue.store.home / identity
    folder.mkdir()
    judges.scenery(160, 96).save(folder / 'upload', 'PNG')
    request = parse_request(fields.items(), folder / 'upload', 'grandmother')
    job = Job(identity, folder, queue.animator.with_defaults(request))
    queue.submit(job)
    return job


def done(queue, **fields):
    job = submitted(queue, **fields)
    assert job.wait(30)
    assert job.state == 'done'
    return job


def names(folder):
    return {path.name for path in folder.iterdir()} - {UNFINISHED}


def test_what_was_asked_for_is_there_with_what_the_rest_is_made_of(tmp_path):
    with working(tmp_path) as (_queue, job, _animator):
        assert names(
            job.folder) == {'upload', 'clip.gif', 'frames.mkv', 'settings.json', 'preview.jpg'}


def test_other_formats_need_no_engine(tmp_path):
    with working(tmp_path) as (queue, job, animator):
        animator.engines = None
        results = Results(animator, queue.store)
        for name in ('mp4', 'webp', 'live-photo', 'motion-photo'):
            path = results.file(job, name)
            assert path.stat().st_size > 1000
            assert results.file(job, name) == path
        assert not list((job.folder / UNFINISHED).iterdir())


def test_a_file_made_later_is_the_one_that_would_have_been_asked_for(tmp_path):
    with working(tmp_path) as (queue, job, animator):
        asked = done(queue, format = 'webp', seed = str(job.request.seed))
        made = Results(animator, queue.store).file(job, 'webp')
        assert made.read_bytes() == asked.file('webp').read_bytes()


def test_many_who_ask_at_once_get_one_file_made_once(tmp_path):
    with working(tmp_path) as (queue, job, animator):
        made = []

        class Counting:

            def encode(self, *arguments):
                made.append(arguments)
                time.sleep(0.1)
                return animator.encode(*arguments)

        results, paths = Results(Counting(), queue.store), []
        people = [
            threading.Thread(target = lambda: paths.append(results.file(job, 'mp4')))
            for _ in range(8)
        ]
        for person in people:
            person.start()
        for person in people:
            person.join()
        assert (len(paths), len(set(paths)), len(made)) == (8, 1, 1)


def test_what_a_gif_gave_up_is_kept_with_the_job(tmp_path):
    with working(
            tmp_path, output = OutputOptions(gif_max_bytes = 20_000)) as (queue, job, _animator):
        assert job.file('gif').stat().st_size <= 20_000
        note = queue.store.find(job.id).notes['gif']
        assert note.key == 'encoders.gif_reduced'
        assert note == job.notes['gif']


def test_a_file_that_cannot_be_made_leaves_nothing_and_can_be_made_later(tmp_path):
    with working(tmp_path) as (queue, job, animator):
        results = Results(animator, queue.store)
        (job.folder / 'frames.mkv').rename(job.folder / 'away')
        with pytest.raises(errors.EngineFailed):
            results.file(job, 'mp4')
        assert not job.file('mp4').exists()
        (job.folder / 'away').rename(job.folder / 'frames.mkv')
        assert results.file(job, 'mp4').exists()


def test_a_job_that_was_removed_has_no_files(tmp_path):
    with working(tmp_path) as (queue, job, animator):
        queue.remove(job)
        assert not job.folder.exists()
        with pytest.raises(errors.NotFound):
            Results(animator, queue.store).file(job, 'mp4')
        assert not job.folder.exists()


class Meddling:
    """
    An animator to which something happens while it makes a file.

    :param animator: does the work
    :param before: what happens before
    :param after: what happens after
    """

    def __init__(self, animator, before = bool, after = bool):
        self.animator = animator
        self.before = before
        self.after = after

    def encode(self, *arguments):
        self.before()
        note = self.animator.encode(*arguments)
        self.after()
        return note


@pytest.mark.parametrize('moment', ['before', 'after'])
def test_a_job_that_is_removed_while_its_file_is_made_has_none(tmp_path, moment):
    with working(tmp_path) as (queue, job, animator):
        meddling = Meddling(animator, **{moment: lambda: queue.remove(job)})
        with pytest.raises(errors.NotFound):
            Results(meddling, queue.store).file(job, 'mp4')
        assert not job.folder.exists()
        assert queue.store.find(job.id) is None


def test_a_note_of_a_file_made_later_is_recorded_before_the_file_is_there(tmp_path):
    with working(
            tmp_path, output = OutputOptions(gif_max_bytes = 20_000)) as (queue, _job, animator):
        job = done(queue, format = 'mp4')
        assert queue.store.find(job.id).notes == {}
        results = Results(animator, queue.store)
        with unwritable(tmp_path), pytest.raises(errors.DiskFull):
            results.file(queue.store.find(job.id), 'gif')
        assert not job.file('gif').exists()
        results.file(queue.store.find(job.id), 'gif')
        assert queue.store.find(job.id).notes['gif'].key == 'encoders.gif_reduced'


def test_what_a_folder_holds_is_told_though_parts_of_it_vanish(tmp_path):
    (tmp_path / 'room').mkdir()
    (tmp_path / 'room' / 'file').write_bytes(b'12345')
    (tmp_path / 'file').write_bytes(b'123')
    (tmp_path / 'link').symlink_to('/nowhere')
    stop = threading.Event()

    def come_and_go():
        while not stop.is_set():
            (tmp_path / 'passing').mkdir()
            (tmp_path / 'passing' / 'file').touch()
            (tmp_path / 'passing' / 'file').unlink()
            (tmp_path / 'passing').rmdir()

    passing = threading.Thread(target = come_and_go)
    passing.start()
    try:
        sizes = {measure_folder(tmp_path) for _ in range(300)}
    finally:
        stop.set()
        passing.join()
    assert sizes == {8 + len('/nowhere')}
    assert measure_folder(tmp_path / 'gone') == 0


@pytest.fixture
def three(tmp_path):
    """A queue and three jobs that are done, the first of them finished last."""
    with working(tmp_path) as (queue, first, _animator):
        jobs = [first, done(queue), done(queue)]
        for hours, job in zip((1, 3, 2), jobs, strict = True):
            job.finished = now() - timedelta(hours = hours)
            queue.store.save(job)
        yield queue, jobs


class Clock:
    """
    Both clocks of a machine on which no time passes by itself.

    :param hours: before now
    """

    def __init__(self, hours = 0):
        self.wall, self.steady = time.time() - hours * 3600, 1000.0

    def pass_by(self, hours):
        self.wall += hours * 3600
        self.steady += hours * 3600


def looking(queue, clock, **options):
    """What removes results, without a thread of its own."""
    retention = Retention(
        queue,
        queue.store,
        replace(StoreOptions(), **options),
        clock = lambda: clock.wall,
        steady = lambda: clock.steady)
    retention.close()
    return retention


def tidied(queue, **options):
    """After four hours in which somebody looks every quarter of an hour."""
    clock = Clock(4)
    retention = looking(queue, clock, **options)
    for _quarter in range(16):
        clock.pass_by(0.25)
        retention.clean_up()


def left(jobs):
    return [job.folder.exists() for job in jobs]


def test_what_is_too_old_goes(three):
    queue, jobs = three
    tidied(queue, retention_hours = 2.5)
    assert left(jobs) == [True, False, True]
    assert [job.id for job in queue.store.find_ended()] == [jobs[0].id, jobs[2].id]


def test_the_oldest_go_first_until_the_rest_is_small_enough(three):
    queue, jobs = three
    size = sum(path.stat().st_size for path in jobs[0].folder.iterdir() if path.is_file())
    tidied(queue, max_outputs_bytes = int(1.5 * size))
    assert left(jobs) == [True, False, False]


def test_who_sends_most_loses_the_oldest_and_others_keep_theirs(three):
    queue, jobs = three
    jobs += [done(queue), done(queue)]
    # the oldest is of somebody who has no other
    for job, sender, hours in zip(jobs, 'abccc', (1, 9, 5, 4, 3), strict = True):
        job.sender, job.finished = sender, now() - timedelta(hours = hours)
        queue.store.save(job)
    one = measure_folder(jobs[0].folder)
    tidied(queue, max_outputs_bytes = int(3.5 * one))
    assert left(jobs) == [True, True, False, False, True]
    assert [job.sender for job in queue.store.find_ended()] == ['a', 'b', 'c']


def test_a_clock_that_is_ahead_once_removes_nothing(three):
    queue, jobs = three
    clock = Clock()
    retention = looking(queue, clock, retention_hours = 168)
    retention.clean_up()
    # ten years, for twenty hours of this run, and of the next
    clock.wall += 10 * 365 * 86400
    for _hour in range(20):
        clock.pass_by(1)
        retention.clean_up()
    assert left(jobs) == [True, True, True]
    clock.wall -= 10 * 365 * 86400
    retention.clean_up()
    clock.wall += 10 * 365 * 86400
    retention = looking(queue, clock, retention_hours = 168)
    for _hour in range(11):
        clock.pass_by(1)
        retention.clean_up()
    assert left(jobs) == [True, True, True]
    # and once it is right, they go when their time has come
    clock.wall -= 10 * 365 * 86400
    for _hour in range(200):
        clock.pass_by(1)
        retention.clean_up()
    assert left(jobs) == [False, False, False]


def test_what_looks_old_at_the_first_glance_stays_for_a_while(three):
    queue, jobs = three
    for job in jobs:
        job.finished = now() - timedelta(days = 3000)
        queue.store.save(job)
    retention = Retention(queue, queue.store, StoreOptions())
    retention.close()
    retention.clean_up()
    assert left(jobs) == [True, True, True]


def test_a_program_that_runs_for_minutes_a_day_removes_what_is_old(three):
    queue, jobs = three
    clock = Clock()
    for day in range(12):
        retention = looking(queue, clock, retention_hours = 168)
        retention.clean_up()
        clock.pass_by(0.1)
        retention.clean_up()
        assert left(jobs) == [day < 8] * 3
        clock.wall += 86400
        clock.steady = 5.0


@pytest.mark.parametrize('words', ['', '{', '[]', '{"since": 3}', '{"since": {"a": "x"}}'])
def test_ages_that_are_not_understood_are_begun_anew(three, words):
    queue, jobs = three
    (queue.store.home / 'jobs.ages').write_text(words)
    tidied(queue, retention_hours = 2.5)
    assert left(jobs) == [True, False, True]


def test_what_was_set_aside_goes_when_it_is_old(three):
    queue, jobs = three
    aside = queue.store.home / 'unknown' / ('a' * 32)
    aside.mkdir(parents = True)
    (aside / 'clip.gif').write_bytes(b'x' * 100)
    (aside.parent / 'holiday').mkdir()
    tidied(queue, retention_hours = 100)
    assert aside.exists()
    clock = Clock(-99)
    retention = looking(queue, clock, retention_hours = 100)
    for _hour in range(30):
        clock.pass_by(1)
        retention.clean_up()
    assert not aside.exists()
    assert (aside.parent / 'holiday').exists()


def test_without_limits_all_stay(three):
    queue, jobs = three
    tidied(queue, retention_hours = 0, max_outputs_bytes = 0)
    assert left(jobs) == [True, True, True]


def test_what_is_being_read_stays(three):
    queue, jobs = three
    with queue.store.readers.reading(jobs[1]):
        tidied(queue, retention_hours = 0.5)
        assert left(jobs) == [False, True, False]
    tidied(queue, retention_hours = 0.5)
    assert left(jobs) == [False, False, False]


def test_what_has_not_ended_stays_however_old_and_large(tmp_path):
    stand_ins.Held.go.clear()
    options = Configuration()
    engines = Engines(options, stand_ins.table(camera = 'Held'))
    animator, store = Animator(options, PhotoReader(10**8), engines), Store(tmp_path)
    queue = LocalQueue(animator, store, QueueOptions())
    try:
        jobs = [submitted(queue) for _ in range(2)]
        for job in jobs:
            job.created = now() - timedelta(days = 100)
        tidied(queue, retention_hours = 0.001, max_outputs_bytes = 1)
        assert left(jobs) == [True, True]
        stand_ins.Held.go.set()
        assert [job.wait(30) and job.state for job in jobs] == ['done', 'done']
        tidied(queue, retention_hours = 1)
        assert left(jobs) == [True, True]
        tidied(queue, max_outputs_bytes = 1)
        assert left(jobs) == [False, False]
    finally:
        stand_ins.Held.go.set()
        queue.close()
        store.close()


def test_a_retention_that_runs_looks_after_every_job(tmp_path):
    with working(tmp_path) as (queue, job, _animator):
        retention = Retention(queue, queue.store, StoreOptions(max_outputs_bytes = 1))
        queue.on_end = retention.request_cleanup
        try:
            until(lambda: not job.folder.exists())
            second = done(queue)
            until(lambda: not second.folder.exists())
        finally:
            retention.close()


class Noting:
    """Makes any file, and gives something up for it."""

    def encode(self, request, _kept, path):
        path.write_text(request.format)
        return text('notes.both', first = request.format, second = '')


def test_what_two_files_give_up_that_are_made_at_once_is_kept_of_both(tmp_path):
    with working(tmp_path) as (queue, job, _animator):
        results = Results(Noting(), queue.store)
        # each of two requests has its own copy of the job
        copies = [queue.find(job.id) for _ in range(2)]
        for name, copy in zip(('mp4', 'webp'), copies, strict = True):
            results.file(copy, name)
        assert {'mp4', 'webp'} <= set(queue.find(job.id).notes)
