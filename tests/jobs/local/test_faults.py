#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The program is killed, by strace at chosen system calls or at random, and started again: nothing that was accepted is
lost, nothing half is served, nothing else stays. ``bench/crashes.py`` walks through every call.

Libraries: Pillow (in the helpers), pytest.
"""

import http.client
import random
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager

import crashing
import program
import pytest
from crashing import is_like, photo, picture, served, submitted, until_running

#: every kind of call, at its beginning and further on
POINTS = [
    ('accepting', 'mkdir', (1, )),
    ('accepting', 'write', (1, 2)),
    ('accepting', 'fsync', (1, 3)),
    ('accepting', 'fdatasync', (1, 2, 3)),
    ('accepting', 'pwrite64', (1, 3, 7, 11)),
    ('accepting', 'unlink', (1, )),
    ('working', 'rename', (1, 2, 4)),
    ('working', 'fsync', (1, 3, 5)),
    ('working', 'fdatasync', (1, 3)),
    ('working', 'pwrite64', (1, 5)),
    ('working', 'unlink', (1, )),
    ('working', 'rmdir', (1, )),
    ('working', 'write', (1, 3)),
]


@pytest.mark.parametrize(('phase', 'call', 'numbers'), POINTS)
def test_a_kill_at_a_system_call_loses_nothing_and_leaves_nothing(phase, call, numbers):
    if not shutil.which('strace'):
        pytest.skip('strace is not installed')
    killed = crashing.walk(getattr(crashing, f'killed_while_{phase}'), (call, ), numbers)
    assert killed == {call: len(numbers)}


def test_a_kill_between_two_jobs_loses_neither(tmp_path):
    home, gate = tmp_path / 'home', tmp_path / 'gate'
    colours = [(200, 60, 30), (30, 200, 60), (60, 30, 200)]
    with served(home) as (_process, port):
        jobs = [submitted(port, colour) for colour in colours]
        until_running(port, jobs[0])
    gate.touch()
    with served(home) as (_process, port):
        for identity, colour in zip(jobs, colours, strict = True):
            assert is_like(picture(port, identity), colour)
    with served(home) as (_process, port):
        assert program.call(port, 'GET', f'/jobs/{jobs[0]}').json['state'] == 'done'


def test_a_job_that_ends_the_program_three_times_is_given_up_and_its_photo_can_be_tried_again(
        tmp_path):
    home = tmp_path / 'home'
    for attempt in range(3):
        with served(home, 'Deadly') as (process, port):
            if attempt == 0:
                deadly = submitted(port)
            process.wait(20)
    (tmp_path / 'gate').touch()
    with served(home) as (_process, port):
        job = program.call(port, 'GET', f'/jobs/{deadly}').json
        assert (job['state'], job['error']['code']) == ('failed', 'crashed')
        kept = program.call(port, 'GET', f'/jobs/{deadly}/photo')
        assert (kept.status, kept.body) == (200, photo())
        assert is_like(picture(port, submitted(port)), crashing.COLOUR)


def asked(port):
    """A client of ``/generate`` that gets no answer."""
    with pytest.raises((OSError, http.client.HTTPException)):
        program.generate(port, photo())


def test_a_generate_whose_client_died_with_the_program_is_dropped(tmp_path):
    home = tmp_path / 'home'
    with served(home) as (process, port):
        client = threading.Thread(target = asked, args = (port, ))
        client.start()
        patience = time.monotonic() + 20
        while program.call(port, 'GET', '/health').json['status'] != 'BUSY':
            assert time.monotonic() < patience
            time.sleep(0.02)
        process.kill()
        client.join()
    with served(home) as (_process, port):
        program.ready(port)
        assert crashing.recorded(home) == []
        assert [path for path in home.iterdir() if path.is_dir()] == []


def test_kills_at_random_under_load_lose_no_job_and_mix_up_no_pictures(tmp_path):
    kills, given_up = crashing.storm(tmp_path / 'home', 60, random.Random(7))
    assert kills >= 1
    assert given_up <= kills


#: of the list of files, when the journal has gone and the row can no longer be rolled back
LAST_SYNC = 5

#: calls that write what a job's acceptance rests on: its folder and upload, their lists of files, the record
WRITES = [('mkdir', 1), ('write', 1), ('fsync', 1), ('fsync', 2), ('fsync', 3), ('pwrite64', 1),
          ('fdatasync', 1), ('unlink', 1), ('fdatasync', LAST_SYNC)]


@contextmanager
def disk_error(process, home, call, number, error):
    """One call of the home's fails, or with ``5+`` all from that one on; the program is not stopped."""
    calls = home.parent / 'calls'
    # a file for each thread: in one of all, a call is in two halves where another thread's came between
    command = [
        'strace', '-ff', '-y', '-p',
        str(process.pid), '-o',
        str(calls), '-e', f'trace={call}', '-e', f'inject={call}:error={error}:when={number}'
    ]
    with subprocess.Popen(command, stderr = subprocess.PIPE, text = True) as tracer:
        assert 'attached' in tracer.stderr.readline()
        drain = threading.Thread(target = tracer.stderr.read, daemon = True)
        drain.start()
        try:
            yield
        finally:
            tracer.terminate()
            drain.join()
    failed = [
        line for each in calls.parent.glob(f'{calls.name}.*')
        for line in each.read_text().splitlines() if '(INJECTED)' in line
    ]
    assert len(failed) == 1 or (failed and str(number).endswith('+')), failed
    assert all(str(home) in line for line in failed), failed


@pytest.mark.parametrize('error', ['ENOSPC', 'EIO'])
@pytest.mark.parametrize(('call', 'number'), WRITES)
def test_a_disk_error_refuses_the_job_it_hits_and_no_other(tmp_path, call, number, error):
    if not shutil.which('strace'):
        pytest.skip('strace is not installed')
    home = tmp_path / 'home'
    (tmp_path / 'gate').touch()
    with served(home) as (process, port):
        program.ready(port)
        body, headers = program.form([], [('file', 'a.png', photo())])
        with disk_error(process, home, call, number, error):
            answer = program.call(port, 'POST', '/jobs', body, headers)
        assert (answer.status, answer.json['code']) == (503, 'disk_full')
        assert 'written' in (tmp_path / 'log').read_text()
        following = submitted(port)
        assert is_like(picture(port, following), crashing.COLOUR)
        assert [path.name for path in home.iterdir() if path.is_dir()] == [following]
        assert crashing.recorded(home) == [following]


@pytest.mark.parametrize('is_killed', [False, True])
def test_a_refused_job_whose_row_cannot_be_taken_back_goes_later(tmp_path, is_killed):
    if not shutil.which('strace'):
        pytest.skip('strace is not installed')
    home = tmp_path / 'home'
    (tmp_path / 'gate').touch()
    with served(home) as (process, port):
        program.ready(port)
        body, headers = program.form([], [('file', 'a.png', photo())])
        with disk_error(process, home, 'fdatasync', f'{LAST_SYNC}+', 'EIO'):
            answer = program.call(port, 'POST', '/jobs', body, headers)
        assert (answer.status, answer.json['code']) == (503, 'disk_full')
        refused, = crashing.recorded(home)
        if not is_killed:
            following = submitted(port)
            assert crashing.recorded(home) == [following]
    with served(home) as (_process, port):
        program.ready(port)
        assert refused not in crashing.recorded(home)
        assert program.call(port, 'GET', f'/jobs/{refused}').status == 404
        assert is_like(picture(port, submitted(port)), crashing.COLOUR)


@pytest.mark.parametrize('is_killed', [False, True])
def test_temporary_results_go_with_the_program_or_at_the_next_start(tmp_path, is_killed):
    temporary = tmp_path / 'temporary'
    temporary.mkdir()
    small = '[ModelOptions]\nEngine = camera\nImagePromptWidth = 64\nImagePromptHeight = 64\n'

    def started():
        return program.started(
            tmp_path, small, ['--output-temp'], environment = {'TMPDIR': str(temporary)})

    with started() as (process, port):
        assert is_like(picture(port, submitted(port)), crashing.COLOUR)
        assert list(temporary.glob('*/outputs/*/clip.gif'))
        if is_killed:
            process.kill()
            process.wait()
    assert bool(list(temporary.iterdir())) == is_killed
    with started() as (_process, port):
        assert not list(temporary.glob('*/outputs/*/clip.gif'))
    assert list(temporary.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {'temporary', 'test.ini', 'log'}
