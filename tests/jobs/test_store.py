#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The durable record of jobs: what a crash leaves, who may use it, and what it brings back.

Libraries: pytest.
"""

import contextlib
import errno
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import program
import pytest

from modules import errors
from modules.i18n import text
from modules.jobs import lifecycle
from modules.jobs.database import HomeInUse
from modules.jobs.job import Job, link_id, new_id
from modules.jobs.leftovers import UNFINISHED, remove_folder
from modules.jobs.store import Store
from modules.request import parse_request


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / 'home')
    store.open()
    yield store
    store.close()


def job(store, **values):
    identity = new_id()
    upload = store.home / identity / 'upload'
    upload.parent.mkdir(parents = True)
    upload.write_bytes(b'a photo')
    return Job(identity, upload.parent, parse_request([], upload, '奶奶'), **values)


def again(store):
    """The same store, opened by the next program."""
    store.close()
    fresh = Store(store.home)
    fresh.open()
    return fresh


def test_a_job_comes_back_as_it_was(store):
    moment = datetime(2026, 2, 3, 4, 5, 6, tzinfo = timezone.utc)
    kept = job(store, is_awaited = True, created = moment, attempts = 1, model = 'a/model')
    kept.request = replace(kept.request, seed = 7, loop = 'pingpong', key_frame = 'start')
    store.add(kept)
    lifecycle.begin(kept)
    lifecycle.end(kept, 'failed', errors.TooManyPixels('file', pixels = '7', limit = '5'))
    kept.notes['gif'] = text('encoders.gif_reduced', colours = 4, width = 2, height = 3, frames = 1)
    store.save(kept)
    fresh = again(store)
    found = fresh.find(kept.id)
    fresh.close()
    for name in ('id', 'folder', 'request', 'is_awaited', 'state', 'created', 'started', 'finished',
                 'attempts', 'model', 'version', 'notes'):
        assert getattr(found, name) == getattr(kept, name), name
    assert type(found.error) is errors.TooManyPixels
    assert (found.error.field, found.error.text) == ('file', kept.error.text)


def test_links_lead_to_jobs_of_earlier_versions_too(store):
    kept = job(store)
    store.add(kept)
    assert store.find_by_link(link_id(kept.id)).id == kept.id
    assert store.find_by_link(kept.id) is None
    store.close()
    with contextlib.closing(sqlite3.connect(store.home / 'jobs.sqlite')) as file, file:
        file.execute('DROP INDEX links')
        file.execute('ALTER TABLE jobs DROP COLUMN link')
    fresh = again(store)
    assert fresh.find_by_link(link_id(kept.id)).id == kept.id
    fresh.remove(kept)
    assert fresh.find_by_link(link_id(kept.id)) is None
    fresh.close()


def kinds(kind = errors.Refusal):
    yield kind
    for child in kind.__subclasses__():
        yield from kinds(child)


@pytest.mark.parametrize('kind', list(kinds()), ids = lambda kind: kind.__name__)
def test_every_refusal_comes_back_with_its_words(kind):
    details = dict.fromkeys(
        ('value', 'choices', 'minimum', 'maximum', 'host', 'method', 'allowed', 'limit', 'pixels',
         'engine', 'kind', 'place', 'problem', 'length', 'longest', 'needed', 'there'), 'x')
    refusal = kind('seed', **details, reason = text('doctor.not_installed'))
    found = errors.Refusal.from_dict(refusal.to_dict())
    assert type(found) is kind
    for language in ('en', 'zh'):
        assert found.text.in_(language) == refusal.text.in_(language)


def test_a_refusal_of_a_later_version_is_a_plain_one():
    assert type(errors.Refusal.from_dict({
        'code': 'not_yet',
        'field': None,
        'details': {}
    })) is errors.Refusal


def test_jobs_stand_in_the_order_in_which_they_came(store):
    jobs = [job(store) for _ in range(5)]
    for one in jobs:
        store.add(one)
    lifecycle.end(jobs[1], 'done')
    store.save(jobs[1])
    lifecycle.begin(jobs[3])
    store.save(jobs[3])
    assert [one.id for one in store.find_unfinished()] == [jobs[i].id for i in (0, 2, 3, 4)]
    assert [one.id for one in store.find_ended()] == [jobs[1].id]


@pytest.mark.parametrize('identity', [
    '', '..', '../..', '/etc/passwd', "' OR 1=1 --", "'; DROP TABLE jobs; --", '%', '_' * 32,
    'é' * 40, '\0', '\ud800', 'a' * 10**5
])
def test_a_strangers_id_finds_nothing(store, identity):
    kept = job(store)
    store.add(kept)
    assert store.find(identity) is None
    assert store.find(kept.id)


def test_only_the_very_id_is_found(store):
    kept = job(store)
    store.add(kept)
    for identity in (f'../home/{kept.id}', f'{kept.id}/', f'{kept.id}\n', f'{kept.id}\0',
                     kept.id.upper() + ' ', kept.id[:-1], f'{kept.id}%'):
        assert store.find(identity) is None


def test_a_record_that_is_not_understood_keeps_no_other_away(store):
    jobs = [job(store) for _ in range(4)]
    for one in jobs:
        store.add(one)
    for one, record in zip(jobs, ('{}', 'nonsense', '[]'), strict = False):
        with store._database.connection as database:
            database.execute('UPDATE jobs SET record = ? WHERE id = ?', (record, one.id))
    fresh = again(store)
    fresh.sweep()
    assert [one.id for one in fresh.find_unfinished()] == [jobs[3].id]
    assert [fresh.find(one.id) for one in jobs[:3]] == [None] * 3
    assert all(one.upload.exists() for one in jobs)
    fresh.close()


def test_a_removed_job_is_not_saved_back(store):
    gone = job(store)
    store.add(gone)
    store.remove(gone)
    lifecycle.end(gone, 'done')
    store.save(gone)
    assert store.find(gone.id) is None


def test_what_a_crash_leaves_is_swept_and_nothing_else(store):
    kept = job(store)
    store.add(kept)
    orphan = job(store)
    (kept.folder / UNFINISHED).mkdir()
    (kept.folder / UNFINISHED / 'half').write_bytes(b'x')
    foreign = store.home / 'holiday'
    foreign.mkdir()
    note = store.home / ('f' * 32)
    note.write_text('a file, and none of ours')
    link = store.home / ('e' * 32)
    link.symlink_to(foreign)
    (foreign / 'picture').write_text('precious')
    store.sweep()
    assert kept.upload.exists()
    assert not (kept.folder / UNFINISHED).exists()
    assert not orphan.folder.exists()
    assert (foreign / 'picture').read_text() == 'precious'
    assert note.is_file()


@pytest.mark.parametrize('lose', [
    lambda path: path.unlink(),
    lambda path: path.write_bytes(b''),
    lambda path: path.write_bytes(path.read_bytes()[:4096]),
])
def test_a_record_that_is_lost_takes_no_results_along(store, lose):
    jobs = [job(store), job(store)]
    for one in jobs:
        store.add(one)
    (jobs[0].folder / 'clip.gif').write_bytes(b'a result')
    store.close()
    lose(store.home / 'jobs.sqlite')
    fresh = Store(store.home)
    with contextlib.suppress(errors.DiskFull):
        fresh.open()
        fresh.sweep()
    fresh.close()
    left = {path.name: path for path in store.home.rglob('?' * 32)}
    assert (left[jobs[0].id] / 'clip.gif').read_bytes() == b'a result'
    assert all((left[one.id] / 'upload').read_bytes() == b'a photo' for one in jobs)


def test_a_record_of_yesterday_takes_no_results_of_today_along(store, caplog):
    first, second = job(store), job(store)
    store.add(first)
    copy = (store.home / 'jobs.sqlite').read_bytes()
    store.add(second)
    (second.folder / 'clip.gif').write_bytes(b'a result')
    store.close()
    (store.home / 'jobs.sqlite').write_bytes(copy)
    store.open()
    store.sweep()
    assert first.upload.exists()
    assert (store.home / 'unknown' / second.id / 'clip.gif').read_bytes() == b'a result'
    assert 'unknown' in caplog.text


def test_a_folder_that_may_not_be_looked_into_keeps_the_program_from_nothing(store, monkeypatch):
    closed, orphan, look = job(store), job(store), Path.iterdir

    def iterdir(folder):
        # as the system says it to anybody but root
        if folder.name == closed.id:
            raise PermissionError(errno.EACCES, 'Permission denied', str(folder))
        return look(folder)

    # its record is there, and knows neither
    fresh = again(store)
    monkeypatch.setattr(Path, 'iterdir', iterdir)
    fresh.sweep()
    fresh.close()
    assert (store.home / 'unknown' / closed.id / 'upload').exists()
    assert not orphan.folder.exists() and not (store.home / 'unknown' / orphan.id).exists()


def test_what_was_removed_goes_at_the_next_start_where_it_could_not_at_once(store):
    gone = job(store)
    store.add(gone)
    (gone.folder / 'clip.gif').write_bytes(b'a result')
    # killed before its files are removed
    store.remove(gone)
    fresh = again(store)
    fresh.sweep()
    assert not gone.folder.exists()
    assert not (store.home / 'unknown').exists()
    assert fresh._database.rows('SELECT * FROM removed') == []
    fresh.close()


HOLDER = '''
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from modules.jobs.store import Store
store = Store(Path(sys.argv[1]))
store.open()
print('open', flush = True)
sys.stdin.read()
'''


def test_one_program_at_a_time_and_a_dead_one_keeps_nothing(tmp_path):
    holder = subprocess.Popen([sys.executable, '-c', HOLDER, tmp_path, program.ROOT],
                              stdin = subprocess.PIPE,
                              stdout = subprocess.PIPE)
    assert holder.stdout.readline() == b'open\n'
    store = Store(tmp_path)
    with pytest.raises(HomeInUse):
        store.open()
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    store.open()
    store.close()


def test_deleting_the_lock_lets_no_second_program_in(tmp_path):
    holder = subprocess.Popen([sys.executable, '-c', HOLDER, tmp_path, program.ROOT],
                              stdin = subprocess.PIPE,
                              stdout = subprocess.PIPE)
    assert holder.stdout.readline() == b'open\n'
    (tmp_path / 'jobs.lock').unlink()
    store = Store(tmp_path)
    with pytest.raises(HomeInUse):
        store.open()
    holder.communicate()
    store.open()
    store.close()


ADDER = '''
import os, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:4]
import queues
from modules.jobs.leftovers import remove_folder
from modules.jobs.store import Store
store = Store(Path(sys.argv[1]))
store.open()
print(flush = True)
kept = []
while True:
    one = queues.job(store.home, 'a photo')
    store.add(one)
    os.write(1, f'+{one.id}\\n'.encode())
    kept.append(one)
    if len(kept) > 2:
        gone = kept.pop(0)
        os.write(1, f'-{gone.id}\\n'.encode())
        store.remove(gone)
        remove_folder(gone.folder)
'''


@pytest.mark.parametrize('milliseconds', [0, 3, 7, 11, 19, 40])
def test_a_program_that_is_killed_leaves_whole_jobs_or_none(tmp_path, milliseconds):
    folders = [program.ROOT, program.ROOT / 'tests' / 'support']
    adder = subprocess.Popen([sys.executable, '-c', ADDER, tmp_path, *folders],
                             stdout = subprocess.PIPE,
                             text = True)
    adder.stdout.readline()
    time.sleep(milliseconds / 1000)
    adder.kill()
    output = adder.communicate()[0].split()
    store = Store(tmp_path)
    store.open()
    store.sweep()
    jobs = {one.id for one in store.find_unfinished()}
    store.close()
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == jobs
    assert all((tmp_path / identity / 'upload').read_bytes() == b'a photo' for identity in jobs)
    accepted = {line[1:] for line in output if line[0] == '+'}
    removed = {line[1:] for line in output if line[0] == '-'}
    assert accepted - removed <= jobs
    # at the most the one that was just being added, and the one just being removed
    assert len(jobs - (accepted - removed)) <= 2


def test_a_store_that_was_closed_lets_the_next_one_in(store):
    store.close()
    other = Store(store.home)
    other.open()
    with pytest.raises(HomeInUse):
        Store(store.home).open()
    other.close()


def test_a_home_that_cannot_be_made_is_refused_until_it_can(tmp_path):
    home = tmp_path / 'file' / 'home'
    home.parent.write_text('a file')
    store = Store(home)
    with pytest.raises(errors.DiskFull):
        store.open()
    home.parent.unlink()
    late = job(store)
    store.add(late)
    assert store.find(late.id)
    store.close()


def test_a_full_disk_is_refused_and_what_was_there_stays(store):
    first, second = job(store), job(store)
    store.add(first)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(errors.DiskFull):
            store.add(second)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert store.find(second.id) is None
    assert store.find(first.id)
    store.add(second)
    assert [one.id for one in store.find_unfinished()] == [first.id, second.id]


def filled(disk):
    """A file that leaves no room."""
    file = disk / 'filling'
    with contextlib.suppress(OSError), file.open('ab', buffering = 0) as output:
        while True:
            output.write(b'x' * 4096)
    return file


def test_a_disk_without_room_is_refused_until_there_is_some(small_disk):
    filling = filled(small_disk)
    store = Store(small_disk / 'home')
    with pytest.raises(errors.DiskFull):
        store.open()
    filling.unlink()
    first, second = job(store), job(store)
    store.add(first)
    for change, one in ((store.add, second), (store.remove, first)):
        filled(small_disk)
        with pytest.raises(errors.DiskFull):
            change(one)
        assert store.find(first.id)
        assert store.find(second.id) is None
    filling.unlink()
    store.add(second)
    assert [one.id for one in store.find_unfinished()] == [first.id, second.id]
    store.close()


def test_a_job_whose_folder_was_taken_away_is_refused(store):
    gone = job(store)
    remove_folder(gone.folder)
    with pytest.raises(errors.DiskFull):
        store.add(gone)
    assert store.find(gone.id) is None


def test_a_record_that_is_none_is_refused_and_left_alone(tmp_path):
    (tmp_path / 'jobs.sqlite').write_bytes(b'something else' * 1000)
    with pytest.raises(errors.DiskFull):
        Store(tmp_path).open()
    assert (tmp_path / 'jobs.sqlite').read_bytes() == b'something else' * 1000


def test_every_write_is_awaited(store):
    """EXTRA: the journal's removal too is on the disk before anybody is told."""
    assert store._database.connection.execute('PRAGMA synchronous').fetchone() == (3, )
    assert sqlite3.threadsafety > 0


def test_a_job_is_read_as_long_as_anybody_reads_it(store):
    one, other = job(store), job(store)
    with store.readers.reading(one):
        with store.readers.reading(one):
            assert store.readers.has_any(one)
        assert store.readers.has_any(one)
        assert not store.readers.has_any(other)
    assert not store.readers.has_any(one)
