#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``/health`` says so when jobs are refused, and why: in this process, and with a broker.

Libraries: pytest.
"""

import contextlib
import shutil
import subprocess

import fleet
import program
import pytest
import stand_ins
from crashing import photo, submitted
from program import until

from app import create_app
from modules.configuration import Configuration, WebOptions
from modules.engines.registry import Engines
from modules.jobs import database as records
from modules.jobs import store
from modules.jobs.fleet.ledger import Ledger


@pytest.fixture(autouse = True)
def no_memory(monkeypatch):
    """What was found a moment ago is not waited out."""
    monkeypatch.setattr(records, 'CHECKED', 0.0)


@contextlib.contextmanager
def local(home):
    options = Configuration(web = WebOptions(port = 0))
    engines = Engines(options, stand_ins.table(camera = 'Instant'))
    app = create_app(options, home, engines = engines)
    with program.served(app, options.web) as port:
        yield port


def health(port, language = 'en'):
    return program.call(port, 'GET', '/health', headers = {'Accept-Language': language})


def refused(port):
    """With which code a photo is refused."""
    body, headers = program.form([], [('file', 'a.png', photo())])
    answer = program.call(port, 'POST', '/jobs', body, headers)
    return (answer.status, answer.json.get('code'))


def check_told(port, code):
    """A submission is refused, and /health told it."""
    assert refused(port) == (503, code)
    answer = health(port)
    assert (answer.status, answer.json['status'], answer.json['problem']['code']) == (503, 'FAILED',
                                                                                      code)
    assert answer.json['problem']['message'] != health(port, 'zh').json['problem']['message']


def test_a_record_of_jobs_that_is_corrupt_is_told(tmp_path):
    with local(tmp_path) as port:
        program.ready(port)
        assert health(port).json['problem'] is None
        # as a drive does that loses what it was given
        path = tmp_path / records.DATABASE
        with path.open('r+b') as database:
            database.write(b'\xff' * path.stat().st_size)
        check_told(port, 'disk_full')


def test_a_folder_of_results_that_cannot_be_written_is_told_until_it_can(tmp_path):
    disk = tmp_path / 'disk'
    disk.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', disk]
    if subprocess.run(mount, capture_output = True, check = False).returncode:
        pytest.skip('only root can mount')
    try:
        with local(disk / 'home') as port:
            program.ready(port)
            with contextlib.suppress(OSError), (disk / 'all').open('wb', buffering = 0) as filling:
                while True:
                    filling.write(bytes(4096))
            check_told(port, 'disk_full')
            (disk / 'all').unlink()
            program.ready(port)
            assert submitted(port)
        subprocess.run(['mount', '-o', 'remount,ro', disk], capture_output = True, check = True)
        with local(disk / 'other') as port:
            check_told(port, 'disk_full')
            subprocess.run(['mount', '-o', 'remount,rw', disk], check = True)
            program.ready(port)
            assert submitted(port)
    finally:
        subprocess.run(['umount', '-l', disk], check = True)


def test_looking_leaves_nothing_in_the_record_of_jobs(tmp_path):
    with local(tmp_path) as port:
        program.ready(port)
        identity = submitted(port)
    kept = store.Store(tmp_path)
    kept.open()
    found = kept.find_ended() + kept.find_unfinished()
    assert [job.id for job in found] == [identity]
    kept.close()


@pytest.fixture
def broker(tmp_path):
    if not shutil.which('redis-server'):
        pytest.skip('redis-server is not installed')
    with fleet.redis_server(tmp_path) as redis:
        ledger = Ledger(redis.url)
        options = fleet.options_of(redis.url, 2)
        app = create_app(options, tmp_path / 'home')
        facts = {'shared': app.extensions['services'].queue.shared, 'engines': ['camera']}
        ledger.members.enrol('a worker', facts)
        with program.served(app, options.web) as port:
            program.ready(port)
            yield ledger.client, port
        ledger.close()


def test_a_redis_that_is_full_is_told_and_what_is_finished_is_served(broker):
    client, port = broker
    client.config_set('maxmemory-policy', 'noeviction')
    client.config_set('maxmemory', 1)
    check_told(port, 'broker_refuses')
    assert program.call(port, 'GET', '/').status == 200
    assert program.call(port, 'GET', '/metrics').status == 200
    client.config_set('maxmemory', 0)
    program.ready(port)
    assert submitted(port)


def test_a_redis_that_may_only_be_read_is_told_before_anybody_sends_a_photo(broker):
    client, port = broker
    client.replicaof('127.0.0.1', 1)
    client.config_set('replica-serve-stale-data', 'yes')
    until(lambda: health(port).json['status'] == 'FAILED')
    check_told(port, 'broker_refuses')
    client.replicaof('NO', 'ONE')
    program.ready(port)
