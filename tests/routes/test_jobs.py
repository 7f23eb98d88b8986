#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The jobs API through real HTTP, with stand-in engines; byte ranges and events as curl sees them.

Libraries: numpy, Pillow, pytest.
"""

import contextlib
import http.client
import io
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import zipfile
from datetime import datetime, timedelta

import numpy
import program
import pytest
import stand_ins
from PIL import Image
from program import until

from app import create_app
from modules.configuration import Configuration, QueueOptions, WebOptions
from modules.engines.registry import Engines
from modules.progress import Progress
from modules.routes import jobs
from modules.web import services

FORMATS = {
    'live-photo': ('application/zip', 'grandmother.pvt.zip'),
    'motion-photo': ('image/jpeg', 'IMG_*_MP.jpg'),
    'gif': ('image/gif', 'grandmother.gif'),
    'mp4': ('video/mp4', 'grandmother.mp4'),
    'webp': ('image/webp', 'grandmother.webp'),
}


def photo(colour = 'red', size = (64, 48)):
    content = io.BytesIO()
    Image.new('RGB', size, colour).save(content, 'JPEG', quality = 95)
    return content.getvalue()


class Paused(stand_ins.Instant):
    """Waits after three of twenty steps until :attr:`stand_ins.Held.go` is set; larger than a preview may be."""

    def animate(self, photo, request, control):
        picture = numpy.asarray(photo.image.resize((640, 900)))
        for step in range(3):
            time.sleep(0.5)
            control.report(Progress('step', step + 1, 20, picture))
        while not stand_ins.Held.go.wait(0.05):
            control.stop_if_cancelled()
        return numpy.stack([picture, picture])


class Api:
    """The program, and what a client does with it."""

    def __init__(self, port, app):
        self.port = port
        self.services = app.extensions['services']

    def call(self, method, path, body = None, headers = None):
        return program.call(self.port, method, path, body, headers)

    def submit(self, content = None, fields = (), name = 'grandmother.jpg'):
        body, headers = program.form(fields, [('file', name, content or photo())])
        answer = self.call('POST', '/jobs', body, headers)
        assert answer.status == 202, answer.body
        assert answer.headers['Location'] == f'/jobs/{answer.json["id"]}'
        return answer.json

    def job(self, identity):
        answer = self.call('GET', f'/jobs/{identity}')
        assert answer.status == 200
        return answer.json

    def until(self, identity, **expected):
        """The job, once it is so."""
        patience = time.monotonic() + 20
        while True:
            job = self.job(identity)
            if all(job[name] == value for name, value in expected.items()):
                return job
            assert time.monotonic() < patience, job
            time.sleep(0.02)

    def until_followed(self, streams):
        until(lambda: services.MAX_STREAMS - self.services.streams._value == streams)

    def done(self, **more):
        return self.until(self.submit(**more)['id'], state = 'done')

    def url(self, path):
        return f'http://127.0.0.1:{self.port}/{path}'

    def left(self):
        return [path.name for path in self.services.store.home.iterdir() if path.is_dir()]


@pytest.fixture
def serve(tmp_path):
    """Engine's class name → a context manager that gives the :class:`Api`."""

    @contextlib.contextmanager
    def serve(engine = 'Instant', waiting = 16, room = 'stand_ins', **more):
        options = Configuration(
            web = WebOptions(port = 0), queue = QueueOptions(max_waiting = waiting))
        table = {'camera': (room, engine)}
        app = create_app(options, tmp_path / 'home', engines = Engines(options, table))
        with program.served(app, options.web, **more) as port:
            program.ready(port)
            yield Api(port, app)

    return serve


@pytest.fixture
def api(serve):
    with serve() as api:
        yield api


@pytest.fixture
def held(serve):
    """Jobs wait in their first step until :attr:`stand_ins.Held.go` is set."""
    stand_ins.Held.go.clear()
    with serve('Held') as api:
        yield api
        stand_ins.Held.go.set()


@pytest.fixture
def crowded(serve):
    """The same, with a thread for everybody who may follow a job."""
    stand_ins.Held.go.clear()
    with serve('Held', held = services.MAX_STREAMS + 36) as api:
        yield api
        stand_ins.Held.go.set()


@pytest.fixture
def paused(serve):
    """Jobs wait after their third step until :attr:`stand_ins.Held.go` is set."""
    stand_ins.Held.go.clear()
    with serve('Paused', room = __name__) as api:
        yield api
        stand_ins.Held.go.set()


def refused(answer, status, code):
    assert (answer.status, answer.json['code']) == (status, code)
    return answer


# ---- submitting and looking ----


def test_a_job_tells_how_it_is_from_its_beginning_to_its_end(api):
    answer = api.submit(fields = [('seed', '7'), ('motion_bucket', '9'), ('format', 'webp')])
    assert re.fullmatch(r'[0-9a-f]{32}', answer['id'])
    assert (answer['state']
            in ('queued', 'running'), answer['error'], answer['results']) == (True, None, [])
    job = api.until(answer['id'], state = 'done')
    assert (job['seed'], job['engine'], job['name'], job['model']) == (7, 'camera', 'grandmother',
                                                                       None)
    assert job['parameters'] == {
        'motion_bucket_id': 9,
        'noise_aug_strength': 0.02,
        'max_guidance_scale': 3.0,
        'seed': 7,
        'format': 'webp',
        'engine': 'camera',
        'loop': 'none',
        'key_frame': 'end',
        'smooth': None,
        'preset': 'quality',
        'seconds': None,
        'move': 'auto',
        'focus': None,
        'blur': 0.0,
        'flow': None,
        'prompt': None,
        'negative_prompt': None
    }
    assert job['created'] <= job['started'] <= job['finished']
    assert (job['position'], job['phase'], job['eta_seconds']) == (None, None, None)
    assert [result['format'] for result in job['results']] == list(FORMATS)
    assert [result['bytes'] is not None
            for result in job['results']] == [name == 'webp' for name in FORMATS]


@pytest.mark.parametrize(('method', 'rest'), [('GET', ''), ('GET', '/events'), ('GET', '/preview'),
                                              ('GET', '/photo'), ('GET', '/result'),
                                              ('POST', '/cancel'), ('DELETE', '')])
def test_a_job_that_is_not_there_is_404(api, method, rest):
    for identity in ('0' * 32, 'x', '%2e%2e', '..', '%2e%2e%2f%2e%2e%2fetc', "'%20OR%201=1", '%00',
                     '%ff%fe', '%0d%0aX:1', 'jobs.sqlite', '%E7%8C%AB', 'a' * 3000):
        refused(api.call(method, f'/jobs/{identity}{rest}'), 404, 'not_found')


@pytest.mark.parametrize(('method', 'path', 'allowed'), [('GET', '/jobs', 'POST'),
                                                         ('PUT', '/jobs/1', 'DELETE, GET, HEAD'),
                                                         ('GET', '/jobs/1/cancel', 'POST'),
                                                         ('POST', '/jobs/1', 'DELETE, GET, HEAD'),
                                                         ('POST', '/jobs/1/events', 'GET, HEAD'),
                                                         ('POST', '/jobs/1/preview', 'GET, HEAD'),
                                                         ('DELETE', '/jobs/1/photo', 'GET, HEAD'),
                                                         ('POST', '/jobs/1/result', 'GET, HEAD')])
def test_a_wrong_method_is_405_and_nothing_lists_jobs(api, method, path, allowed):
    answer = refused(api.call(method, path), 405, 'method_not_allowed')
    assert answer.headers['Allow'] == allowed


@pytest.mark.parametrize('path', ['/jobs/', '/jobs?all=1', '/jobs/*', '/health', '/'])
def test_nobody_learns_of_other_peoples_jobs(api, path):
    identity = api.done()['id']
    answer = api.call('GET', path)
    assert identity.encode() not in answer.body + str(answer.headers).encode()


def test_what_flows_is_told_as_it_was_drawn_and_what_is_wrong_with_it_by_its_place(api):
    points = [[round(i / 500, 4), 0.5] for i in range(490)]
    drawn = {'strokes': [{'points': points, 'width': 0.1, 'speed': 1}] * 9}
    fetched = api.submit(fields = [('flow', json.dumps(drawn))])
    assert json.loads(fetched['parameters']['flow']) == drawn
    api.until(fetched['id'], state = 'done')
    drawn['strokes'][3] = {'points': [[0, 0], [0, 'x']]}
    for flow, place in ((json.dumps(drawn), 'flow.strokes[3].points[1]'), ('[' * 65000, 'flow')):
        body, headers = program.form([('flow', flow)], [('file', 'a.jpg', photo())])
        answer = refused(api.call('POST', '/jobs', body, headers), 400, 'bad_drawing')
        assert answer.json['field'] == 'flow'
        assert answer.json['message'].startswith(f'{place}: ')


def test_an_id_is_no_prefix_and_knows_one_spelling(held):
    identity = held.submit()['id']
    for other in (identity[:-1], identity + '0', identity + '%00', identity + '/',
                  f'0/../{identity}', identity.upper()):
        refused(held.call('GET', f'/jobs/{other}'), 404, 'not_found')


def test_what_generate_refuses_is_refused_here_too(api):
    body, headers = program.form([], [('file', 'a.jpg', b'no photo')])
    refused(api.call('POST', '/jobs', body, headers), 415, 'unreadable_image')
    body, headers = program.form([('seed', 'x')], [('file', 'a.jpg', photo())])
    refused(api.call('POST', '/jobs', body, headers), 400, 'not_a_number')
    assert api.left() == []


def test_a_full_line_is_503_and_leaves_nothing(serve):
    stand_ins.Held.go.clear()
    with serve('Held', waiting = 1) as api:
        first = api.until(api.submit()['id'], state = 'running')
        second = api.submit()
        body, headers = program.form([], [('file', 'a.jpg', photo())])
        answer = refused(api.call('POST', '/jobs', body, headers), 503, 'queue_full')
        assert int(answer.headers['Retry-After']) >= 1
        assert sorted(api.left()) == sorted([first['id'], second['id']])
        stand_ins.Held.go.set()


def test_places_in_line_move_up(held):
    jobs = [held.submit()['id'] for _ in range(4)]
    held.until(jobs[0], state = 'running', position = None)
    assert [held.job(job)['position'] for job in jobs[1:]] == [1, 2, 3]
    held.call('POST', f'/jobs/{jobs[1]}/cancel')
    assert [held.job(job)['position'] for job in jobs[2:]] == [1, 2]


def test_the_time_left_is_unknown_at_first_and_then_learnt(paused):
    answer = paused.submit()
    first = answer['id']
    assert answer['eta_seconds'] is None
    assert 0 < paused.until(first, step = 3)['eta_seconds'] <= 60
    second = paused.submit()['id']
    assert paused.job(second)['eta_seconds'] is None
    stand_ins.Held.go.set()
    paused.until(first, state = 'done')
    stand_ins.Held.go.clear()
    third = paused.submit()['id']
    assert paused.job(third)['eta_seconds'] >= 1


def test_moments_are_told_in_utc(api):
    job = api.done()
    for name in ('created', 'started', 'finished'):
        moment = datetime.fromisoformat(job[name])
        assert (moment.utcoffset(), abs(moment.timestamp() - time.time())
                < 600) == (timedelta(0), True)


def test_failures_are_told_in_the_readers_language(serve):
    with serve('OutOfMemory') as api:
        job = api.until(api.submit()['id'], state = 'failed')
        assert (job['error']['code'], job['results']) == ('out_of_memory', [])
        path = f'/jobs/{job["id"]}'
        assert '内存' in api.call(
            'GET', path, headers = {
                'Accept-Language': 'zh'
            }).json['error']['message']
        assert 'memory' in api.call('GET', f'{path}?lang=en').json['error']['message']
        refused(api.call('GET', f'{path}/result'), 409, 'not_done')
        refused(api.call('POST', f'{path}/cancel'), 409, 'already_ended')


def test_everybody_gets_their_own_picture(api):
    colours = [(index * 20, 255 - index * 20, 90) for index in range(12)]
    jobs = {}

    def ask(colour):
        jobs[colour] = api.done(content = photo(colour))

    people = [threading.Thread(target = ask, args = (colour, )) for colour in colours]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert len(jobs) == 12
    for colour, job in jobs.items():
        for part in ('result', 'result?format=webp', 'result?format=motion-photo', 'preview',
                     'photo'):
            content = api.call('GET', f'/jobs/{job["id"]}/{part}').body
            with Image.open(io.BytesIO(content)) as image:
                found = image.convert('RGB').getpixel((20, 20))
            assert max(abs(a - b) for a, b in zip(found, colour, strict = True)) <= 12


# ---- following ----


def curl(*arguments):
    if not shutil.which('curl'):
        pytest.skip('curl is not installed')
    return subprocess.run(['curl', '-sS', '--noproxy', '*', '--max-time', '60', *arguments],
                          capture_output = True,
                          check = True).stdout


def events(text):
    """(id, job) of a stream."""
    found = re.findall(r'^id: (\S+)\ndata: (.*)\n\n', text.decode(), re.M)
    return [(identity, json.loads(content)) for identity, content in found]


@contextlib.contextmanager
def following(api, identity, **headers):
    """(id, job) of a stream as they come, until it closes."""
    connection = http.client.HTTPConnection('127.0.0.1', api.port, timeout = 30)
    connection.request('GET', f'/jobs/{identity}/events', headers = headers)
    response = connection.getresponse()
    assert response.status == 200

    def stream():
        tag = None
        for line in response:
            name, _, value = line.decode().rstrip().partition(': ')
            if name == 'id':
                tag = value
            elif name == 'data':
                yield tag, json.loads(value)

    try:
        yield stream()
    finally:
        response.close()
        connection.close()


def test_events_tell_at_once_and_every_change_and_end_with_the_job(serve):
    with serve('Slow') as api:
        identity = api.submit()['id']
        answer = [job for _id, job in events(curl('-N', api.url(f'jobs/{identity}/events')))]
        assert answer[-1] == api.job(identity)
        assert answer[-1]['state'] == 'done'
        steps = [job['step'] for job in answer if job['phase'] == 'step']
        assert steps == sorted(steps)
        assert len(set(steps)) >= 5
        states = [job['state'] for job in answer]
        assert [s for i, s in enumerate(states)
                if states[i - 1] != s or i == 0][-2:] == ['running', 'done']


def test_who_has_the_last_event_is_not_told_it_again(api):
    identity = api.done()['id']
    (tag, _job), = events(curl(api.url(f'jobs/{identity}/events')))
    assert events(curl('-H', f'Last-Event-ID: {tag}', api.url(f'jobs/{identity}/events'))) == []
    assert len(events(curl('-H', 'Last-Event-ID: other', api.url(f'jobs/{identity}/events')))) == 1


def test_polling_tells_the_same_as_events(held):
    identity = held.until(held.submit()['id'], phase = 'loading')['id']
    with following(held, identity) as stream:
        tag, found = next(stream)
        assert found == held.job(identity)
    with following(held, identity, **{'Last-Event-ID': tag}) as stream:
        # nothing is told again; what is new is
        stand_ins.Held.go.set()
        new_tag, new = next(stream)
        assert (new_tag != tag, new != found) == (True, True)
        assert [new, *(job for _tag, job in stream)][-1] == held.job(identity)


def test_events_speak_the_readers_language(serve):
    with serve('OutOfMemory') as api:
        identity = api.until(api.submit()['id'], state = 'failed')['id']
        for headers, word in (({
                'Accept-Language': 'zh'
        }, '内存'), ({
                'Accept-Language': 'fr'
        }, 'memory'), ({
                'Cookie': 'lang=zh',
                'Accept-Language': 'en'
        }, '内存')):
            with following(api, identity, **headers) as stream:
                assert word in next(stream)[1]['error']['message']


def test_who_asks_for_the_head_of_events_holds_no_place(held):
    identity = held.until(held.submit()['id'], state = 'running')['id']
    answer = held.call('HEAD', f'/jobs/{identity}/events')
    assert (answer.status, answer.body) == (200, b'')
    held.until_followed(0)


def test_the_places_of_those_behind_are_told_as_they_move_up(held):
    jobs = [held.submit()['id'] for _ in range(3)]
    held.until(jobs[0], state = 'running')
    with following(held, jobs[2]) as stream:
        assert next(stream)[1]['position'] == 2
        held.call('POST', f'/jobs/{jobs[0]}/cancel')
        assert next(job for _tag, job in stream if job['position'] != 2)['position'] == 1


def test_a_silent_job_sends_heartbeats_that_are_no_events(held, monkeypatch):
    # proxies close what is silent for longer
    assert jobs.HEARTBEAT_INTERVAL < 30
    monkeypatch.setattr(jobs, 'HEARTBEAT_INTERVAL', 2)
    identity = held.until(held.submit()['id'], phase = 'loading')['id']
    connection = http.client.HTTPConnection('127.0.0.1', held.port, timeout = 30)
    connection.request('GET', f'/jobs/{identity}/events')
    response = connection.getresponse()
    assert response.headers['Content-Type'].startswith('text/event-stream')
    lines = []
    while lines.count(b': \n') < 2:
        lines.append(response.readline())
    connection.close()
    assert len([line for line in lines if line.startswith(b'data:')]) <= 2


def test_a_follower_that_goes_frees_its_place_and_too_many_are_refused(crowded):
    identity = crowded.until(crowded.submit()['id'], state = 'running')['id']
    request = f'GET /jobs/{identity}/events HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode()
    places = services.MAX_STREAMS
    with contextlib.ExitStack() as following:
        for _place in range(places):
            client = following.enter_context(
                socket.create_connection(('127.0.0.1', crowded.port), 30))
            client.sendall(request)
            assert program.beginning(client) == b'HTTP/1.1 200'
        answer = refused(crowded.call('GET', f'/jobs/{identity}/events'), 503, 'too_many_streams')
        assert int(answer.headers['Retry-After']) >= 1
        assert crowded.call('GET', '/health').status == 200
    crowded.until_followed(0)
    stand_ins.Held.go.set()
    assert events(curl(crowded.url(f'jobs/{identity}/events')))[-1][1]['state'] == 'done'


# ---- stopping and removing ----


def test_a_waiting_job_is_cancelled_at_once(held):
    first, second = held.submit()['id'], held.submit()['id']
    held.until(first, state = 'running')
    answer = held.call('POST', f'/jobs/{second}/cancel')
    assert (answer.status, answer.json['state']) == (200, 'cancelled')
    assert held.call('POST', f'/jobs/{second}/cancel').status == 200
    refused(held.call('GET', f'/jobs/{second}/result'), 409, 'not_done')


def test_a_running_job_is_cancelled_within_a_step(held):
    first, second = held.submit()['id'], held.submit()['id']
    held.until(first, state = 'running')
    assert held.call('POST', f'/jobs/{first}/cancel').status == 200
    held.until(first, state = 'cancelled')
    held.until(second, state = 'running')


@pytest.mark.parametrize('state', ['queued', 'running', 'done', 'failed', 'cancelled'])
def test_a_job_is_removed_in_every_state(serve, state):
    stand_ins.Held.go.clear()
    with serve({'done': 'Instant', 'failed': 'Failing'}.get(state, 'Held')) as api:
        before = api.submit()['id'] if state == 'queued' else None
        identity = api.submit()['id']
        if state == 'cancelled':
            api.call('POST', f'/jobs/{identity}/cancel')
        api.until(identity, state = state)
        assert api.call('DELETE', f'/jobs/{identity}').status == 204
        refused(api.call('GET', f'/jobs/{identity}'), 404, 'not_found')
        refused(api.call('DELETE', f'/jobs/{identity}'), 404, 'not_found')
        until(lambda: api.left() == [before] * bool(before))
        stand_ins.Held.go.set()


def test_who_reads_a_result_that_is_removed_gets_all_of_it(api):
    job = api.services.queue.find(api.done()['id'])
    content = os.urandom(20_000_000)
    job.file('gif').write_bytes(content)
    with socket.socket() as client:
        # so that most of it is still to be sent
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(('127.0.0.1', int(api.port)))
        client.sendall(f'GET /jobs/{job.id}/result HTTP/1.0\r\nHost: localhost\r\n\r\n'.encode())
        received = program.beginning(client)
        assert received.endswith(b' 200')
        assert api.call('DELETE', f'/jobs/{job.id}').status == 204
        refused(api.call('GET', f'/jobs/{job.id}/result'), 404, 'not_found')
        with client.makefile('rb') as rest:
            received += rest.read()
    is_whole = received.partition(b'\r\n\r\n')[2] == content
    assert is_whole
    until(lambda: api.left() == [])


def test_a_file_that_waits_to_be_made_when_its_job_is_removed_is_404(api):
    job = api.services.queue.find(api.done()['id'])
    answers = []
    with contextlib.ExitStack() as busy:
        for lock in api.services.results._locks:
            busy.enter_context(lock)
        reader = threading.Thread(
            target = lambda: answers.append(api.call('GET', f'/jobs/{job.id}/result?format=mp4')))
        reader.start()
        until(lambda: api.services.store.readers.has_any(job))
        assert api.call('DELETE', f'/jobs/{job.id}').status == 204
    reader.join(20)
    refused(answers[0], 404, 'not_found')
    assert (api.left(), api.services.store.readers.has_any(job)) == ([], False)


@pytest.mark.parametrize('_round', range(3))
def test_files_that_are_being_made_when_their_job_is_removed_are_whole_or_404(api, _round):
    identity = api.done(content = photo('blue', (640, 480)))['id']
    answers = {}

    def ask(wanted):
        answers[wanted] = api.call('GET', f'/jobs/{identity}/result?format={wanted}')

    readers = [threading.Thread(target = ask, args = (wanted, )) for wanted in FORMATS]
    for reader in readers:
        reader.start()
    until(lambda: len(answers) > _round)
    assert api.call('DELETE', f'/jobs/{identity}').status == 204
    for reader in readers:
        reader.join(20)
    assert len(answers) == len(FORMATS)
    for answer in answers.values():
        if answer.status != 200:
            refused(answer, 404, 'not_found')
    until(lambda: api.left() == [])


def test_the_next_job_runs_when_a_running_one_is_removed(held):
    first, second = held.submit()['id'], held.submit()['id']
    held.until(first, state = 'running')
    assert held.call('DELETE', f'/jobs/{first}').status == 204
    held.until(second, state = 'running')
    stand_ins.Held.go.set()
    held.until(second, state = 'done')
    assert held.left() == [second]


def test_a_client_of_generate_that_hangs_up_leaves_no_job(held):
    body, headers = program.form([], [('file', 'a.jpg', photo())])
    head = ''.join(f'{name}: {value}\r\n' for name, value in headers.items())
    head += f'Host: localhost\r\nContent-Length: {len(body)}\r\n\r\n'
    with socket.create_connection(('127.0.0.1', held.port)) as client:
        client.sendall(f'POST /generate HTTP/1.1\r\n{head}'.encode() + body)
        until(lambda: held.call('GET', '/health').json['status'] == 'BUSY')
        identity, = held.left()
        held.until(identity, state = 'running')
    until(lambda: held.call('GET', f'/jobs/{identity}').status == 404)
    until(lambda: held.left() == [])


def test_who_follows_a_job_that_is_removed_hears_of_its_end(held):
    identity = held.until(held.submit()['id'], state = 'running')['id']
    stream = []
    follower = threading.Thread(
        target = lambda: stream.extend(events(curl('-N', held.url(f'jobs/{identity}/events')))))
    follower.start()
    held.until_followed(1)
    held.call('DELETE', f'/jobs/{identity}')
    follower.join(20)
    assert stream[-1][1]['state'] == 'cancelled'


# ---- pictures and files ----


def test_a_preview_is_there_as_soon_as_there_is_a_picture_and_stays(paused):
    identity = paused.submit(content = photo('blue', (640, 900)))['id']
    shown = set()
    for expected in ({'step': 3, 'state': 'running'}, {'state': 'done'}):
        job = paused.until(identity, **expected)
        shown.add(job['preview'])
        answer = paused.call('GET', '/' + job['preview'])
        assert (answer.status, answer.headers['Content-Type']) == (200, 'image/jpeg')
        with Image.open(io.BytesIO(answer.body)) as image:
            assert (image.format, image.size) == ('JPEG', (364, 512))
            red, _green, blue = image.convert('RGB').getpixel((5, 5))
            assert blue > 150 > red
        stand_ins.Held.go.set()
    assert len(shown) == 2


def test_there_is_no_preview_before_there_is_a_picture(held):
    job = held.until(held.submit()['id'], phase = 'loading')
    assert job['preview'] is None
    refused(held.call('GET', f'/jobs/{job["id"]}/preview'), 404, 'not_found')


def test_the_photo_comes_back_as_it_went_and_is_never_shown_by_a_browser(api):
    content = photo() + b'<script>alert(1)</script>'
    identity = api.done(content = content)['id']
    answer = api.call('GET', f'/jobs/{identity}/photo')
    assert answer.body == content
    assert answer.headers['Content-Type'] == 'application/octet-stream'
    assert answer.headers['Content-Disposition'].startswith('attachment')
    assert answer.headers['X-Content-Type-Options'] == 'nosniff'


@pytest.mark.parametrize(('name', 'path'), [('upload', 'photo'), ('clip.gif', 'result?format=gif'),
                                            ('preview.jpg', 'preview'),
                                            ('upload', 'result?format=motion-photo')])
def test_a_link_among_a_jobs_files_leads_nowhere(api, tmp_path, name, path):
    identity = api.done()['id']
    api.call('GET', f'/jobs/{identity}/result?format=gif')
    secret = tmp_path / 'secret'
    secret.write_bytes(photo())
    for file in api.services.store.home.rglob(f'{identity}/{name}'):
        file.unlink()
        file.symlink_to(secret)
    answer = api.call('GET', f'/jobs/{identity}/{path}')
    assert answer.status in (404, 500)
    assert 'code' in answer.json


@pytest.mark.parametrize('wanted', FORMATS)
def test_every_format_has_its_type_and_name_and_its_size_once_made(api, wanted):
    job = api.done()
    kind, name = FORMATS[wanted]
    answer = api.call('GET', f'/jobs/{job["id"]}/result?format={wanted}')
    assert (answer.status, answer.headers['Content-Type']) == (200, kind)
    fetched = next(r for r in api.job(job['id'])['results'] if r['format'] == wanted)
    assert (fetched['bytes'], fetched['type']) == (len(answer.body), kind)
    assert re.fullmatch(name.replace('*', r'\d{8}_\d{6}_\d{6}'), fetched['name'])
    assert fetched['name'] in answer.headers['Content-Disposition']
    assert fetched['url'] == f'jobs/{job["id"]}/result?format={wanted}'
    attached = api.call('GET', f'/{fetched["url"]}&download=1').headers['Content-Disposition']
    assert attached.startswith('attachment')
    if wanted == 'live-photo':
        assert answer.headers['Content-Disposition'].startswith('attachment')
        assert zipfile.ZipFile(io.BytesIO(answer.body)).testzip() is None
    else:
        assert answer.headers['Content-Disposition'].startswith('inline')


def test_without_a_format_the_one_asked_for_comes(api):
    job = api.done(fields = [('format', 'webp')])
    assert api.call('GET', f'/jobs/{job["id"]}/result').headers['Content-Type'] == 'image/webp'


@pytest.mark.parametrize('wanted', ['bmp', 'GIF', '../upload', 'gif%00', '%E7%8C%AB'])
def test_an_unknown_format_is_400(api, wanted):
    identity = api.submit()['id']
    answer = api.call('GET', f'/jobs/{identity}/result?format={wanted}')
    assert refused(answer, 400, 'unknown_choice').json['field'] == 'format'


@pytest.mark.parametrize('query', ['format=gif&format=mp4', 'format=mp4&format=mp4'])
def test_a_format_given_twice_is_400(api, query):
    answer = api.call('GET', f'/jobs/{api.done()["id"]}/result?{query}')
    assert refused(answer, 400, 'repeated_field').json['field'] == 'format'


def test_a_result_is_409_until_it_is_there(held):
    identity = held.submit()['id']
    path = f'/jobs/{identity}/result'
    english = refused(held.call('GET', path, headers = {'Accept-Language': 'en'}), 409, 'not_done')
    held.until(identity, state = 'running')
    chinese = refused(held.call('GET', f'{path}?lang=zh'), 409, 'not_done')
    assert (english.body.isascii(), chinese.body.isascii()) == (True, False)
    switched = held.call('GET', path, headers = {'Cookie': 'lang=zh', 'Accept-Language': 'en'})
    assert switched.json['message'] == chinese.json['message']


def test_parts_of_a_result_come_as_video_players_ask_for_them(api, tmp_path):
    identity = api.done()['id']
    url = api.url(f'jobs/{identity}/result?format=mp4')
    whole = curl(url)
    for part, expected in (('0-99', whole[:100]), ('100-', whole[100:]), ('-7', whole[-7:])):
        head = tmp_path / 'head'
        assert curl('-D', str(head), '-r', part, url) == expected
        assert ' 206 ' in head.read_text().splitlines()[0] + ' '
        assert f'/{len(whole)}' in head.read_text()
    path = f'/jobs/{identity}/result?format=mp4'
    beyond = api.call('GET', path, headers = {'Range': f'bytes={len(whole)}-'})
    assert (beyond.status, beyond.headers['Content-Range']) == (416, f'bytes */{len(whole)}')
    tag = api.call('HEAD', path).headers['ETag']
    assert api.call('GET', path, headers = {'If-None-Match': tag}).status == 304
    fresh = api.call('GET', path, headers = {'Range': 'bytes=0-1', 'If-Range': tag})
    stale = api.call('GET', path, headers = {'Range': 'bytes=0-1', 'If-Range': '"other"'})
    assert (fresh.status, len(fresh.body), stale.status, stale.body) == (206, 2, 200, whole)


def test_curl_goes_on_with_a_broken_download_and_asks_whether_a_result_is_new(api, tmp_path):
    identity = api.done()['id']
    url = api.url(f'jobs/{identity}/result?format=motion-photo')
    whole = curl(url)
    broken, tag = tmp_path / 'broken', tmp_path / 'tag'
    broken.write_bytes(whole[:500])
    curl('-C', '-', '-o', str(broken), url)
    assert broken.read_bytes() == whole
    status = ('-o', str(tmp_path / 'answer'), '-w', '%{http_code} %{size_download}')
    assert curl(*status, '--etag-save', str(tag), url) == f'200 {len(whole)}'.encode()
    assert curl(*status, '--etag-compare', str(tag), url) == b'304 0'
    assert curl(*status, '-r', f'{len(whole)}-', url).startswith(b'416 ')
    stale = ('-H', 'If-Range: "other"', '-r', '0-1')
    assert curl(*status, *stale, url) == f'200 {len(whole)}'.encode()
    head = curl('-I', url).decode()
    assert f'\r\nContent-Length: {len(whole)}\r\n' in head
    assert '\r\nAccept-Ranges: bytes\r\n' in head


@pytest.mark.parametrize(('method', 'part', 'status'), [
    ('GET', 'bytes=0-1,5-6', 200),
    ('GET', 'bytes=9-2', 200),
    ('GET', 'bytes=x', 200),
    ('GET', 'lines=1-2', 200),
    ('HEAD', 'bytes=0-1', 200),
    ('GET', 'bytes=-99999999', 206),
    ('GET', 'bytes=0-99999999', 206),
])
def test_whoever_asks_for_no_single_part_gets_the_whole(api, method, part, status):
    path = f'/jobs/{api.done()["id"]}/result'
    whole = api.call('GET', path).body
    answer = api.call(method, path, headers = {'Range': part})
    assert (answer.status, answer.headers['Content-Length']) == (status, str(len(whole)))
    assert answer.body == (whole if method == 'GET' else b'')


def test_a_clip_of_generate_can_be_had_in_other_formats(api):
    made = program.generate(api.port, photo())
    identity = made.headers['X-Job-Id']
    assert api.call('GET', f'/jobs/{identity}/result').body == made.body
    other = api.call('GET', f'/jobs/{identity}/result?format=mp4')
    assert (other.status, other.headers['Content-Type']) == (200, 'video/mp4')


def test_a_failed_generate_keeps_nothing(serve):
    with serve('Failing') as api:
        refused(program.generate(api.port, photo()), 500, 'engine_failed')
        assert api.left() == []
