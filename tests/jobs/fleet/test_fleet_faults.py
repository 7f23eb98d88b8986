#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What befalls a fleet besides death: a Redis that hangs, a disk, a clock or a thread that fails for a worker, results
that are too large, and a web process that is killed while it fetches. Real processes and a real Redis.

Libraries: pytest.
"""

import contextlib
import logging
import shutil
import signal
import threading
import time
import types

import crashing
import fleet
import program
import pytest
from crashing import COLOUR, colour_of, is_like, photo, picture, submitted
from program import until
from storm import Storm

from app import create_app
from modules import errors
from modules.clips.animator import Animator, Outcome
from modules.commands import doctor
from modules.engines.contract import EngineStatus
from modules.engines.registry import Engines
from modules.jobs.fleet.agreement import common
from modules.jobs.fleet.broker import MessageReceiver
from modules.jobs.fleet.connection import Connection
from modules.jobs.fleet.device import Intervals
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.fleet.members import Members
from modules.jobs.fleet.records import JobRecords
from modules.jobs.fleet.worker import Worker
from modules.jobs.job import new_id
from modules.photos.reader import PhotoReader
from modules.progress import Progress

pytestmark = pytest.mark.skipif(not shutil.which('redis-server'), reason = 'needs redis-server')


@pytest.fixture
def members(tmp_path):
    with fleet.fleet(tmp_path) as (redis, members):
        members.redis = redis
        yield members


@contextlib.contextmanager
def serving(url, home):
    """A web process in this one."""
    options = fleet.options_of(url, 2)
    app = create_app(options, home)
    with program.served(app, options.web) as port:
        yield port


@contextlib.contextmanager
def working(ledger, animator = None):
    """A worker in this process, and its thread."""
    options = fleet.options_of('redis://', 2)
    plain = Animator(options, PhotoReader(options.web.max_pixels),
                     Engines(options, table = {'camera': ('fleet', 'Steady')}))
    worker = Worker(
        animator or plain,
        ledger,
        common(options),
        intervals = Intervals(heartbeat = fleet.HEARTBEAT))
    thread = threading.Thread(target = worker.run)
    thread.start()
    try:
        yield worker, thread
    finally:
        worker.stop()
        thread.join(30)
        assert not thread.is_alive()


def test_a_redis_that_hangs_holds_nobody_up(tmp_path):
    """Stopped, it takes connections and answers none: 0.1.0 waited 20 seconds for each question."""
    with fleet.redis_server(tmp_path) as redis, serving(redis.url,
                                                        tmp_path / 'home') as port, working(
                                                            Ledger(redis.url)):
        program.ready(port)
        identity = submitted(port)
        assert is_like(picture(port, identity), COLOUR)
        redis.process.send_signal(signal.SIGSTOP)
        try:
            check_served(port, identity)
        finally:
            redis.process.send_signal(signal.SIGCONT)
        program.ready(port, 60)
        assert is_like(picture(port, submitted(port)), COLOUR)


def check_served(port, identity):
    """Everything that needs no Redis is there, and what needs it is refused, many times over."""
    began = time.monotonic()
    for _ in range(3):
        for path in ('/', '/metrics', f'/jobs/{identity}', f'/jobs/{identity}/photo'):
            assert program.call(port, 'GET', path, timeout = 15).status == 200
        assert is_like(picture(port, identity), COLOUR)
        assert program.call(port, 'GET', '/health', timeout = 15).status in (200, 503)
        body, headers = program.form([], [('file', 'a.png', photo())])
        answer = program.call(port, 'POST', '/jobs', body, headers, timeout = 15)
        assert (answer.status, answer.json['code']) == (503, 'broker_away')
    assert time.monotonic() - began < 15
    until(lambda: program.call(port, 'GET', '/health').json['status'] == 'FAILED')
    assert program.call(port, 'GET', '/health').json['problem']['code'] == 'broker_away'


@pytest.mark.parametrize('is_moment', [True, False])
def test_a_worker_without_its_temporary_folder_hands_jobs_back_and_ends_if_that_stays(
        members, is_moment):
    folder, aside = members.folder / 'temporary', members.folder / 'aside'
    folder.mkdir()
    port, _ = members.web('a')
    worker = members.worker(seconds = 0, TMPDIR = str(folder))
    program.ready(port)
    # where its folder lies it knows from now on
    assert is_like(picture(port, submitted(port)), COLOUR)
    folder.rename(aside)
    identity = submitted(port)
    until(lambda: f'Job {identity} is handed back' in (members.folder / 'log').read_text())
    assert fleet.fetch_job(port, identity)['state'] == 'queued'
    if is_moment:
        aside.rename(folder)
    else:
        assert worker.wait(60) == 1
        assert 'This worker cannot work and ends' in (members.folder / 'log').read_text()
        members.worker(seconds = 0)
    assert is_like(picture(port, identity), COLOUR)
    assert is_moment == (worker.poll() is None)


class BrokenRecords(JobRecords):
    """Cannot be read by a worker, for a reason that nobody thought of."""

    def find(self, identity, folder):
        raise RuntimeError('a thread dies of this')


class BrokenMembers(Members):
    """A heartbeat dies of this."""

    def enrol(self, name, facts, kind = 'workers'):
        raise RuntimeError('a heartbeat dies of this')


def with_broken_records(url):
    ledger = Ledger(url)
    ledger.jobs = BrokenRecords(ledger.connection)
    return ledger


def with_broken_members(url):
    ledger = Ledger(url)
    ledger.members = BrokenMembers(ledger.connection)
    return ledger


@pytest.mark.parametrize('make', [with_broken_records, with_broken_members])
def test_a_worker_whose_thread_has_died_ends_and_another_one_has_its_job(tmp_path, make):
    with fleet.redis_server(tmp_path) as redis, serving(redis.url, tmp_path / 'home') as port:
        ledger = Ledger(redis.url)
        facts = {'shared': common(fleet.options_of(redis.url, 2)), 'engines': ['camera']}
        # the page takes photos as long as a worker was there today
        ledger.members.enrol('one that was there', facts)
        identity = submitted(port)
        with working(make(redis.url)) as (worker, thread):
            thread.join(20)
            assert not thread.is_alive() and worker.state.has_failed
            assert worker.name not in ledger.members.known()
        with working(Ledger(redis.url)):
            assert is_like(picture(port, identity), COLOUR)
        ledger.close()


class Interrupted(JobRecords):
    """Does not get a photo at once, as when Redis is killed between two questions."""

    away = 3

    def photo(self, identity):
        self.away -= 1
        if self.away >= 0:
            raise errors.BrokerAway
        return super().photo(identity)


def test_a_broker_that_goes_just_before_the_photo_comes_is_no_fault_of_the_job(tmp_path):
    with fleet.redis_server(tmp_path) as redis, serving(redis.url, tmp_path / 'home') as port:
        ledger = Ledger(redis.url)
        ledger.jobs = Interrupted(ledger.connection)
        with working(ledger):
            program.ready(port)
            assert is_like(picture(port, submitted(port)), COLOUR)


@pytest.mark.parametrize(('busy', 'idle'), [(-3600, 0), (0, 3600)])
def test_a_machines_clock_decides_nothing(members, busy, idle):
    """Whoever judges by it takes the other for dead, and its job."""
    port, _ = members.web('a')
    members.worker(seconds = 4 * fleet.HEARTBEAT, CLOCK_AHEAD = str(busy))
    program.ready(port)
    identity = submitted(port)
    until(lambda: fleet.fetch_job(port, identity)['state'] == 'running')
    members.worker(seconds = 0, CLOCK_AHEAD = str(idle))
    assert is_like(picture(port, identity), COLOUR)
    ledger = Ledger(members.url)
    assert ledger.client.hget(f'tlp:job:{identity}', 'attempt') == b'1'
    ledger.close()


def test_a_worker_heard_of_in_the_future_is_dead_all_the_same(members):
    """Redis's clock was set back since."""
    ledger, heartbeats = Ledger(members.url), 'tlp-queue:__heartbeats__'
    gone, other = (MessageReceiver(ledger.client, ['queue'], 0.5) for _ in range(2))
    ledger.line.send('queue', identity := new_id())
    assert gone.next() == identity
    ledger.client.zadd(heartbeats, dict.fromkeys(ledger.client.zrange(heartbeats, 0, -1), 2**50))

    def is_taken_back():
        other.send_heartbeat(looks_after_dead = True)
        return other.next() == identity

    until(is_taken_back)
    ledger.close()


class Set(Connection):
    """Knows a clock that is set while it is used."""

    ahead = 0.0

    def probe(self):
        return super().probe() + self.ahead


@pytest.mark.parametrize('ahead', [-60.0, 60.0])
def test_redis_clock_may_be_set_while_workers_work(tmp_path, ahead):
    with fleet.redis_server(tmp_path) as redis, serving(redis.url, tmp_path / 'home') as port:
        ledger = Ledger(redis.url)
        ledger.connection = Set(redis.url)
        with working(ledger) as (worker, _thread):
            program.ready(port)
            until(lambda: not worker.state.is_after_outage)
            ledger.connection.ahead = ahead
            until(lambda: worker.state.is_after_outage)
            until(lambda: not worker.state.is_after_outage)
            assert is_like(picture(port, submitted(port)), COLOUR)
            assert not worker.state.has_failed


class Large:
    """An animator whose clips have as many bytes as the photo's name says."""

    def __init__(self):
        self.engines = types.SimpleNamespace(
            reasons = lambda: {'camera': None}, status = lambda name: EngineStatus())

    def load(self):
        pass

    def prepare(self, stop_if_cancelled):
        pass

    def animate(self, request, path, control, *, created, keep):
        control.report(Progress('step', 1, 2))
        with path.open('wb') as clip:
            # takes no room on the disk
            clip.truncate(int(request.stem))
        return Outcome()


def outcome(port, size):
    """State and code of a job whose clip has so many bytes."""
    body, headers = program.form([], [('file', f'{size}.png', photo())])
    identity = program.call(port, 'POST', '/jobs', body, headers).json['id']
    until(lambda: fleet.fetch_job(port, identity).get('finished'))
    job = fleet.fetch_job(port, identity)
    return job['state'], job['error'] and job['error']['code']


@pytest.mark.parametrize(('options', 'sizes'), [
    ((), (600 * 2**20, 2**31)),
    (('--proto-max-bulk-len', '1mb'), (2 * 2**20, )),
])
def test_a_result_larger_than_what_the_broker_takes_fails_alone(tmp_path, options, sizes):
    with fleet.redis_server(tmp_path, *options) as redis, serving(
            redis.url, tmp_path / 'home') as port, working(Ledger(redis.url),
                                                           Large()) as (worker, _):
        program.ready(port)
        for size in sizes:
            assert outcome(port, size) == ('failed', 'result_too_large')
        assert outcome(port, 1000) == ('done', None)
        assert not worker.state.has_failed


#: calls with which a result comes to rest in a web process
FETCHING = [('mkdir', 1), ('fsync', 2), ('rename', 2), ('pwrite64', 2)]


def test_a_web_process_that_is_killed_while_it_fetches_has_all_of_it_after_its_restart(members):
    if not shutil.which('strace'):
        pytest.skip('strace is not installed')
    gate = members.folder / 'gate'
    members.worker(engine = 'Gated', GATE = str(gate))
    for number, (call, count) in enumerate(FETCHING):
        gate.unlink(missing_ok = True)
        port, process = members.web('a')
        program.ready(port)
        identity = submitted(port, colour_of(number))
        until(lambda port = port, identity = identity: fleet.fetch_job(port, identity)['state'] ==
              'running')
        with crashing.killer(process, call, count):
            gate.touch()
            assert process.wait(60) == -signal.SIGKILL, call
        port, process = members.web('a')
        assert is_like(picture(port, identity), colour_of(number)), call
        assert program.call(port, 'GET', f'/jobs/{identity}/photo').body == photo(colour_of(number))
        # nothing half is left, of this job or any other
        assert not list((members.folder / 'a').glob('*/unfinished/*'))
        process.terminate()
        process.wait(30)


def test_a_redis_that_throws_jobs_away_is_told_in_the_log_and_by_doctor(tmp_path, caplog):
    """Also where CONFIG is forbidden, as hosts do."""
    options = ('--maxmemory', '200mb', '--maxmemory-policy', 'allkeys-lru', '--rename-command',
               'CONFIG', '')
    with fleet.redis_server(tmp_path, *options) as redis:
        configuration = fleet.options_of(redis.url, 2)
        for language in ('en', 'zh'):
            lines = [value for _label, value in doctor.fleet(configuration, language)]
            assert sum('allkeys-lru' in value for value in lines) == 1, language
        with serving(redis.url, tmp_path / 'home'):
            until(lambda: any('allkeys-lru' in line for line in caplog.messages))
        warned = [entry for entry in caplog.records if 'allkeys-lru' in entry.message]
        assert [entry.levelno for entry in warned] == [logging.WARNING]


@pytest.mark.parametrize('options', [(),
                                     ('--maxmemory', '200mb', '--maxmemory-policy', 'noeviction'),
                                     ('--maxmemory', '0', '--maxmemory-policy', 'allkeys-lru')])
def test_a_redis_that_keeps_all_is_not_warned_of(tmp_path, options):
    with fleet.redis_server(tmp_path, *options) as redis:
        ledger = Ledger(redis.url)
        assert ledger.connection.eviction_warning() is None
        ledger.close()


def test_a_redis_fills_up_with_photos_only_so_far_that_workers_can_take_them_away(tmp_path):
    """A worker that may write nothing takes no job: the line would stand for ever."""
    large = photo() + bytes(40_000)
    body, headers = program.form([], [('file', 'a.png', large)])
    with fleet.redis_server(tmp_path, '--maxmemory',
                            '8mb') as redis, serving(redis.url, tmp_path / 'home') as port:
        ledger, accepted = Ledger(redis.url), []
        facts = {'shared': common(fleet.options_of(redis.url, 2)), 'engines': ['camera']}
        ledger.members.enrol('one that was there', facts)
        answer = program.call(port, 'POST', '/jobs', body, headers)
        while answer.status == 202:
            accepted.append(answer.json['id'])
            answer = program.call(port, 'POST', '/jobs', body, headers)
        assert (answer.status, answer.json['code']) == (503, 'broker_refuses')
        assert len(accepted) > 3
        assert program.call(port, 'GET', '/health').json['problem']['code'] == 'broker_refuses'
        with working(Ledger(redis.url)):
            for identity in accepted[:3]:
                assert is_like(picture(port, identity), COLOUR)
        ledger.close()


def test_a_redis_with_a_password_is_for_those_who_have_it(tmp_path):
    with fleet.redis_server(tmp_path, '--requirepass', 'a%b c') as redis:
        url = redis.url.replace('redis://', 'redis://:a%25b%20c@')
        with serving(url, tmp_path / 'home') as port, working(Ledger(url)):
            program.ready(port)
            assert is_like(picture(port, submitted(port)), COLOUR)
        with serving(redis.url, tmp_path / 'other') as port:
            until(lambda: program.call(port, 'GET', '/health').json['problem'])
            assert program.call(port, 'GET', '/health').json['problem']['code'] == 'broker_away'


def test_a_short_storm_loses_no_job_and_mixes_up_no_pictures(members):
    """``bench/fleet.py storm`` is the long one."""
    import random
    weather = Storm(members, members.redis, random.Random(5), 0.2)
    for port in weather.ports.values():
        program.ready(port, 60)
    weather.kill_at_random(20, 4)
    found = weather.outcomes()
    assert set(found) <= {'done', 'crashed'}, found
    assert found['done'] | found['crashed'] == set(range(20))
