#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What another version of the program, a worker that was taken over, or a mishap may have written into Redis: it concerns
its own job and no other.

Libraries: Pillow, pytest.
"""

import contextlib
import json
import shutil
import threading
import time

import fleet
import program
import pytest
from crashing import COLOUR, is_like, photo, picture, submitted
from program import until

from app import create_app
from modules import errors
from modules.clips.animator import Animator
from modules.engines.registry import Engines
from modules.jobs import record
from modules.jobs.fleet.agreement import common, queue_name
from modules.jobs.fleet.device import Intervals
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.fleet.worker import Worker
from modules.jobs.job import new_id
from modules.jobs.store import FOLDER
from modules.photos.reader import PhotoReader

pytestmark = pytest.mark.skipif(not shutil.which('redis-server'), reason = 'needs redis-server')


@pytest.fixture(scope = 'module')
def redis(tmp_path_factory):
    with fleet.redis_server(tmp_path_factory.mktemp('redis')) as redis:
        yield redis


@pytest.fixture(scope = 'module')
def ledger(redis):
    ledger = Ledger(redis.url)
    yield ledger
    ledger.close()


class Web:
    """A web process in this one."""

    def __init__(self, port, app, home):
        self.port, self.home, self.services = port, home, app.extensions['services']

    def folders(self):
        return {path.name for path in self.home.iterdir() if path.is_dir()}


@contextlib.contextmanager
def serving(url, home):
    options = fleet.options_of(url, 2)
    app = create_app(options, home)
    with program.served(app, options.web) as port:
        yield Web(port, app, home)


@pytest.fixture(scope = 'module')
def web(redis, tmp_path_factory):
    with serving(redis.url, tmp_path_factory.mktemp('web') / 'home') as web:
        yield web


@pytest.fixture(scope = 'module')
def worker(redis, web, ledger):
    """A worker in this process."""
    options = fleet.options_of(redis.url, 2)
    animator = Animator(options, PhotoReader(options.web.max_pixels),
                        Engines(options, table = {'camera': ('fleet', 'Steady')}))
    worker = Worker(
        animator,
        Ledger(redis.url),
        common(options),
        intervals = Intervals(heartbeat = fleet.HEARTBEAT))
    thread = threading.Thread(target = worker.run)
    thread.start()
    program.ready(web.port)
    yield worker
    worker.stop()
    thread.join(20)
    assert not thread.is_alive()


def health(port):
    return program.call(port, 'GET', '/health').json


def news(ledger, identity):
    """A job has ended, as a script of whatever version says it."""
    ledger.client.zadd('tlp:news', {identity: int(ledger.connection.probe() * 1000)})
    ledger.client.publish('tlp:changed', identity)


def put(ledger, fields, identity = None):
    """Something lies where a job would, and is told to have ended."""
    identity = identity or new_id()
    if isinstance(fields, dict):
        ledger.client.hset(f'tlp:job:{identity}', mapping = fields)
    else:
        ledger.client.set(f'tlp:job:{identity}', fields)
    news(ledger, identity)
    return identity


def a_record(**changes):
    """A record as this version writes it, changed; None takes a field out."""
    wanted = {'seed': 1, 'engine': 'camera', 'format': 'gif', **changes.pop('request', {})}
    found = {
        'request': {
            name: value
            for name, value in wanted.items() if value is not None
        },
        'is_awaited': False,
        'created': '2026-11-28T10:00:00+00:00',
        'started': None,
        'finished': None,
        'attempts': 1,
        'error': None,
        'model': None,
        'version': '0.1.0',
        'notes': {},
        **changes
    }
    return json.dumps({name: value for name, value in found.items() if value is not None})


#: what lies where a job would
ODD = {
    'no JSON': {'state': 'done', 'record': 'nonsense', 'attempt': 1},
    'no record at all': b'a string',
    'a list': {'state': 'done', 'record': '[]', 'attempt': 1},
    'a list of lists': {'state': 'done', 'record': '[' * 100_000, 'attempt': 1},
    'no text': {'state': 'done', 'record': b'\xff\xfe', 'attempt': 1},
    'no request': {'state': 'done', 'record': '{}', 'attempt': 1},
    'no seed': {'state': 'done', 'record': a_record(request = {'seed': None}), 'attempt': 1},
    'a format nobody knows': {
        'state': 'done', 'record': a_record(request = {'format': '../../x'}), 'attempt': 1
    },
    'a number that is none': {
        'state': 'done', 'record': a_record(request = {'noise_aug_strength': float('nan')}), 'attempt': 1
    },
    'a state nobody knows': {'state': 'paused', 'record': a_record(), 'attempt': 1},
    'no attempt': {'state': 'done', 'record': a_record()},
    'attempts without a number': {'state': 'done', 'record': a_record(attempts = 'two'), 'attempt': 1},
    'a moment without a zone': {
        'state': 'done', 'record': a_record(finished = '2026-11-28T10:00:00'), 'attempt': 1
    },
}  # yapf: disable


@pytest.mark.parametrize('kind', ODD)
def test_what_is_no_record_is_one_error(ledger, tmp_path, kind):
    identity = put(ledger, ODD[kind])
    with pytest.raises(errors.BadRecord):
        ledger.jobs.find(identity, tmp_path / identity)


def test_nothing_that_lies_in_redis_keeps_other_jobs_from_their_clients(
        web, worker, ledger, caplog):
    before = web.folders()
    odd = {put(ledger, fields): kind for kind, fields in ODD.items()}
    ledger.client.zadd('tlp:news', {'../../x': 2**60, b'\xff': 5, 'nothing': float('inf')})
    ledger.client.publish('tlp:changed', b'\xff')
    identity = submitted(web.port)
    assert is_like(picture(web.port, identity), COLOUR)
    until(lambda: sum('left aside' in line for line in caplog.messages) == len(odd))
    # fetched, and not just when somebody asked for it
    other = submitted(web.port)
    until(lambda: web.services.store.find(other))
    assert health(web.port)['status'] == 'READY'
    for each, kind in odd.items():
        answer = program.call(web.port, 'GET', f'/jobs/{each}')
        assert (answer.status, answer.json['code']) == (503, 'bad_record'), kind
    # each of them once in the log, although it is looked at again and again
    time.sleep(1.5)
    assert sum('left aside' in line for line in caplog.messages) == len(odd)
    assert web.folders() - before == {identity, other}


def test_odd_words_among_workers_leave_the_others(web, worker, ledger):
    good = next(iter(ledger.members.known()))
    for number, words in enumerate(
        ('nonsense', '[]', '{}', '{"seen": 1}', '{"seen": "x", "shared": {}}', '[' * 100_000,
         b'\xff\xfe', '{"seen": 1e999, "shared": {}}', '{"seen": 1, "shared": 5}')):
        ledger.client.hset('tlp:workers', f'odd {number}', words)
        ledger.client.hset('tlp:webs', f'odd {number}', words)
    ledger.client.hset('tlp:workers', b'\xff', '{}')
    assert list(ledger.members.known()) == [good]
    answer = program.call(web.port, 'GET', '/health')
    assert (answer.status, answer.json['engine']) == (200, 'camera')
    assert program.call(web.port, 'GET', '/').status == 200
    assert b'turn_live_photos_workers 1.0' in program.call(web.port, 'GET', '/metrics').body
    assert is_like(picture(web.port, submitted(web.port)), COLOUR)
    ledger.client.delete('tlp:workers', 'tlp:webs')
    until(ledger.members.known)


def test_words_of_the_future_do_not_make_a_worker_alive(ledger):
    ledger.members.enrol('gone', {'shared': {}, 'engines': ['camera']})
    facts = json.loads(ledger.client.hget('tlp:workers', 'gone'))
    ledger.client.hset('tlp:workers', 'gone', json.dumps({**facts, 'seen': facts['seen'] + 3600}))
    assert ledger.members.known()['gone']['silent'] > 3000
    ledger.members.dismiss('gone')


@pytest.fixture
def newer(monkeypatch):
    """The records of a later version: it writes fields, and words, that this one does not have."""
    plain = record.job_to_json

    def job_to_json(job):
        found = json.loads(plain(job))
        found |= {'weather': {'wind': 3}, 'version': '9.0.0'}
        found['request'] |= {'mood': 'calm', 'horizon': [1, 2]}
        found['notes'] = {'gif': {'key': 'notes.of_the_future', 'values': {'sea': 'blue'}}}
        return json.dumps(found)

    return job_to_json


def test_two_versions_read_each_others_jobs(web, worker, ledger, newer, monkeypatch):
    """During a rolling update: one of them writes fields that the other does not have."""
    for part in ('line', 'task'):
        monkeypatch.setattr(f'modules.jobs.fleet.{part}.job_to_json', newer)
    identity = submitted(web.port)
    assert 'horizon' in json.loads(ledger.client.hget(f'tlp:job:{identity}', 'record'))['request']
    assert is_like(picture(web.port, identity), COLOUR)
    assert 'horizon' in json.loads(ledger.client.hget(f'tlp:job:{identity}', 'record'))['request']
    job = fleet.fetch_job(web.port, identity)
    assert job['version'] == '9.0.0' and job['state'] == 'done'
    assert [result['note'] for result in job['results']] == [None] * 5


def test_what_an_earlier_version_did_not_write_has_its_default(web, ledger):
    identity = put(
        ledger, {
            'state':
            'failed',
            'attempt':
            1,
            'record':
            json.dumps({
                'request': {
                    'seed': 7,
                    'engine': 'camera'
                },
                'error': {
                    'code': 'of_the_future',
                    'field': None,
                    'details': {}
                }
            })
        })
    until(lambda: web.services.store.find(identity))
    job = fleet.fetch_job(web.port, identity)
    assert job['parameters']['format'] == 'gif' and job['seed'] == 7
    assert job['error']['code'] == 'internal_error' and job['finished']


def test_an_error_whose_words_cannot_be_filled_in_is_a_plain_one(web, ledger):
    fault = {'code': 'out_of_range', 'field': 'seed', 'details': {}}
    identity = put(ledger, {'state': 'failed', 'attempt': 1, 'record': a_record(error = fault)})
    until(lambda: web.services.store.find(identity))
    assert fleet.fetch_job(web.port, identity)['error']['code'] == 'engine_failed'


def waiting(ledger, url, identity, **fields):
    """Stand something in line for a worker."""
    job = {
        'state': 'queued',
        'attempt': 0,
        'record': a_record(),
        'client': '',
        'number': 1,
        **fields
    }
    ledger.client.hset(
        f'tlp:job:{identity}',
        mapping = {
            name: value
            for name, value in job.items() if value is not None
        })
    ledger.line.send(queue_name('camera', common(fleet.options_of(url, 2))), identity)


def test_a_waiting_job_without_attempts_is_done(web, worker, ledger, redis):
    identity, lacking = new_id(), json.loads(a_record())
    del lacking['attempts']
    ledger.client.set(f'tlp:photo:{identity}', photo())
    waiting(ledger, redis.url, identity, record = json.dumps(lacking))
    assert is_like(picture(web.port, identity), COLOUR)


@pytest.mark.parametrize('fields', [{
    'record': 'nonsense'
}, {
    'attempt': None
}, {
    'attempt': 'many'
}, {
    'state': 'paused'
}, {
    'pictures': 'x'
}])
def test_a_waiting_job_that_cannot_be_read_fails_with_an_answer(web, worker, ledger, redis, fields):
    identity = new_id()
    waiting(ledger, redis.url, identity, **fields)
    until(lambda: fleet.fetch_job(web.port, identity).get('state') == 'failed')
    assert fleet.fetch_job(web.port, identity)['error']['code'] == 'bad_record'
    # the worker works on
    assert is_like(picture(web.port, submitted(web.port)), COLOUR)
    assert not worker.state.has_failed


def test_messages_that_name_no_job_are_dropped(web, worker, ledger, redis, tmp_path):
    from modules.jobs.fleet.broker import NAMESPACE
    queue = queue_name('camera', common(fleet.options_of(redis.url, 2)))
    path = f'{NAMESPACE}:{queue}'
    good = '{"queue_name":"q","actor_name":"a","args":%s,"kwargs":{},"options":%s,'
    good += '"message_id":"m","message_timestamp":1}'
    for number, words in enumerate(
        ('nonsense', '[]', '{"args": 5}', good % ('[]', '{}'), good % ('[5]', '{}'),
         good % ('["../../x"]', '{"redis_message_id": "other"}'),
         good % (f'["{new_id()}"]', '{}'))):
        ledger.client.hset(f'{path}.msgs', f'odd {number}', words)
        ledger.client.rpush(path, f'odd {number}')
    ledger.line.send(queue, '../../' + tmp_path.name)
    assert is_like(picture(web.port, submitted(web.port)), COLOUR)
    until(lambda: not ledger.client.hlen(f'{path}.msgs'))
    assert not ledger.client.keys(f'{NAMESPACE}:__acks__*') and not worker.state.has_failed


def test_only_files_of_a_clip_are_taken_from_a_worker(web, ledger):
    """A worker that was taken over names files as it likes."""
    identity, base = new_id(), web.home.parent
    names = [
        'clip.gif', '../../up', '../other', f'{base}/elsewhere', 'upload', 'jobs.sqlite',
        'clip.html', 'clip.mp4', 'unfinished/x', ''
    ]
    ledger.client.hset(f'tlp:files:{identity}:1', mapping = dict.fromkeys(names, b'GIF89a'))
    ledger.client.set(f'tlp:photo:{identity}', photo())
    before = {path for path in base.rglob('*') if path.is_file()}
    put(ledger, {'state': 'done', 'attempt': 1, 'files': 1, 'record': a_record()}, identity)
    until(lambda: web.services.store.find(identity))
    assert web.services.store.find(identity).state == 'done'
    written = {path for path in base.rglob('*') if path.is_file()} - before
    mine = {web.home / identity / name for name in ('clip.gif', 'upload')}
    assert {path for path in written if 'jobs.sqlite' not in path.name} == mine
    # the photo is what its client sent, not what the worker says
    assert program.call(web.port, 'GET', f'/jobs/{identity}/photo').body == photo()


@pytest.mark.parametrize('identity', ['../../up', '/etc/up', '.' * 32, 'A' * 32, 'a' * 31])
def test_an_id_that_is_none_leads_nowhere(web, ledger, tmp_path, identity):
    put(ledger, {'state': 'done', 'attempt': 1, 'files': 1, 'record': a_record()}, identity)
    with pytest.raises(errors.BadRecord):
        ledger.jobs.find(identity, tmp_path / identity)
    assert identity not in [name for name, _moment in ledger.jobs.ended_since(0)]
    # what came after it was heard
    following = put(ledger, {'state': 'failed', 'attempt': 1, 'record': a_record()})
    until(lambda: web.services.store.find(following))
    assert all(FOLDER.fullmatch(name) for name in web.folders())
    assert not list(web.home.parent.glob('up*'))


def test_more_than_a_result_may_have_is_not_read_into_memory(web, ledger, monkeypatch):
    monkeypatch.setattr('modules.jobs.fleet.records.MOST_BYTES', 1_000_000)
    identity = new_id()
    ledger.client.hset(
        f'tlp:files:{identity}:1',
        mapping = {
            'clip.gif': bytes(600_000),
            'frames.mkv': bytes(600_000)
        })
    ledger.client.set(f'tlp:photo:{identity}', bytes(1_100_000))
    put(ledger, {'state': 'done', 'attempt': 1, 'files': 1, 'record': a_record()}, identity)
    until(lambda: web.services.store.find(identity))
    job = fleet.fetch_job(web.port, identity)
    assert (job['state'], job['error']['code']) == ('failed', 'result_too_large')
    assert [path for path in (web.home / identity).rglob('*') if path.is_file()] == []
    assert ledger.jobs.photo(identity) is None


def test_frames_of_a_worker_are_decoded_in_a_process_of_their_own(web, worker):
    answer = program.generate(web.port, photo(), [('engine', 'camera')])
    identity = answer.headers['X-Job-Id']
    address = f'/jobs/{identity}/result?format='
    sandbox, frames = web.services.sandbox, web.home / identity / 'frames.mkv'
    patience, sandbox.timeout = sandbox.timeout, 0.001
    try:
        assert program.call(web.port, 'GET', address + 'mp4').status == 500
    finally:
        sandbox.timeout = patience
    assert program.call(web.port, 'GET', address + 'mp4').status == 200
    # FFmpeg would follow this playlist to a file that is there
    frames.write_text('ffconcat version 1.0\nfile clip.gif\n')
    assert program.call(web.port, 'GET', address + 'webp').json['code'] == 'engine_failed'


def test_a_picture_as_it_forms_that_is_none_is_left_out(web, ledger):
    for content in (b'nonsense', b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff', bytes(2_000_000)):
        identity = new_id()
        ledger.client.set(f'tlp:picture:{identity}', content)
        job = {
            'state': 'running',
            'attempt': 1,
            'record': a_record(),
            'pictures': 1,
            'progress': '["step", 1, 2]'
        }
        ledger.client.hset(f'tlp:job:{identity}', mapping = job)
        answer = fleet.fetch_job(web.port, identity)
        assert (answer['state'], answer['step'], answer['preview']) == ('running', 1, None)


def test_the_listener_begins_anew_after_anything_and_health_tells_that_it_is_not_there(
        web, worker, ledger):
    ledger.client.delete('tlp:news')
    ledger.client.set('tlp:news', 'no list of news')
    until(lambda: health(web.port)['status'] == 'FAILED')
    answer = program.call(web.port, 'GET', '/health', headers = {'Accept-Language': 'zh'})
    assert answer.status == 503 and answer.json['problem']['code'] == 'not_listening'
    assert '工作机' in answer.json['problem']['message']
    ledger.client.delete('tlp:news')
    program.ready(web.port)
    assert health(web.port)['problem'] is None
    identity = submitted(web.port)
    until(lambda: web.services.store.find(identity))


def test_a_listener_that_is_gone_is_told(redis, tmp_path):
    with serving(redis.url, tmp_path / 'home') as web:
        web.services.queue._listener.close()
        assert health(web.port)['problem']['code'] == 'not_listening'


def test_what_is_removed_is_gone_from_redis_too(web, worker, ledger):
    identity = submitted(web.port)
    assert is_like(picture(web.port, identity), COLOUR)
    assert ledger.client.keys(f'tlp:files:{identity}:*')
    assert program.call(web.port, 'DELETE', f'/jobs/{identity}').status == 204
    # that it was removed is told to the other web processes
    assert ledger.client.keys(f'*{identity}*') == [f'tlp:job:{identity}'.encode()]


def test_what_could_not_be_fetched_is_fetched_later_though_other_news_came_meanwhile(
        web, ledger, monkeypatch):
    monkeypatch.setattr('modules.jobs.fleet.listener.OVERLAP', 0)
    monkeypatch.setattr('modules.jobs.fleet.listener.HINDERED', 0.5)
    identity = new_id()
    # a disk on which this folder cannot be made just now
    obstacle = web.home / identity
    obstacle.write_bytes(b'')
    put(ledger, {'state': 'failed', 'attempt': 1, 'record': a_record()}, identity)
    until(lambda: identity in web.services.queue._news._hindered)
    for _ in range(2):
        other = put(ledger, {'state': 'failed', 'attempt': 1, 'record': a_record()})
        until(lambda other = other: web.services.store.find(other))
    obstacle.unlink()
    # nobody asks for it
    until(lambda: web.services.store.find(identity))


def test_news_are_heard_when_the_clock_of_redis_was_set_back(web, ledger):
    early = put(ledger, {'state': 'failed', 'attempt': 1, 'record': a_record()})
    ledger.client.zadd('tlp:news', {early: int((ledger.connection.probe() + 3600) * 1000)})
    until(lambda: web.services.store.find(early))
    late = put(ledger, {'state': 'failed', 'attempt': 1, 'record': a_record()})
    until(lambda: web.services.store.find(late))
