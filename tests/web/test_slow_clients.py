#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Clients that are slow or break off: everybody else is served as before.

Libraries: Pillow, pytest.
"""

import contextlib
import io
import os
import socket
import struct

import program
import pytest
import stand_ins
from PIL import Image
from program import until

from app import create_app
from modules.configuration import Configuration, WebOptions
from modules.engines.registry import Engines

#: more than the server has threads
MANY = 80
#: of a file; more than the system's own buffers take
SIZE = 20_000_000


@pytest.fixture
def served(tmp_path):
    """The port, and the app's services."""
    options = Configuration(web = WebOptions(port = 0))
    engines = Engines(options, stand_ins.table(camera = 'Instant'))
    app = create_app(options, tmp_path, engines = engines)
    with program.served(app, options.web, held = MANY // 2) as port:
        program.ready(port)
        yield port, app.extensions['services']


def photo():
    content = io.BytesIO()
    Image.new('RGB', (64, 48)).save(content, 'JPEG')
    return content.getvalue()


@contextlib.contextmanager
def clients(port, request, count = MANY):
    """So many connections that have sent this."""
    with contextlib.ExitStack() as closing:
        sockets = []
        for _number in range(count):
            client = closing.enter_context(socket.create_connection(('127.0.0.1', port)))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(request)
            sockets.append(client)
        yield sockets


def is_served(port):
    """Whether somebody else is."""
    assert program.call(port, 'GET', '/health').status == 200
    assert program.generate(port, photo()).status == 200


def large_result(served):
    """A job whose file is large, and the request for it."""
    port, services = served
    job = services.queue.find(program.generate(port, photo()).headers['X-Job-Id'])
    job.file('gif').write_bytes(os.urandom(SIZE))
    return job, f'GET /jobs/{job.id}/result HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode()


def test_half_sent_uploads_hinder_nobody(served):
    port, services = served
    body, headers = program.form([], [('file', 'a.jpg', photo() + bytes(600_000))])
    head = ''.join(f'{name}: {value}\r\n' for name, value in headers.items())
    request = f'POST /jobs HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {len(body)}\r\n\r\n'
    with clients(port, request.encode() + body[:len(body) // 2]):
        is_served(port)
    is_served(port)
    assert {path.name
            for path in services.store.home.iterdir()
            if path.is_dir()} == {job.id
                                  for job in services.store.find_ended()}


@pytest.mark.parametrize('part', [b'', b'Range: bytes=5-19999990\r\n'])
def test_slow_readers_hinder_nobody_and_keep_what_they_read(served, part):
    port, services = served
    job, request = large_result(served)
    request = request[:-2] + part + b'\r\n'
    with clients(port, request) as sockets:
        for client in sockets:
            assert program.beginning(client) == (b'HTTP/1.1 206' if part else b'HTTP/1.1 200')
        is_served(port)
        assert services.store.readers.has_any(job)
    until(lambda: not services.store.readers.has_any(job))
    is_served(port)


@pytest.mark.parametrize('part', [b'', b'Range: bytes=5-19999990\r\n'])
def test_readers_that_break_off_hinder_nobody(served, part):
    port, services = served
    job, request = large_result(served)
    request = request[:-2] + part + b'\r\n'
    for _round in range(3):
        with clients(port, request, 20) as sockets:
            for client in sockets:
                assert program.beginning(client) == (b'HTTP/1.1 206' if part else b'HTTP/1.1 200')
                # a reset rather than a farewell
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    is_served(port)
    until(lambda: not services.store.readers.has_any(job))


def test_who_reads_all_of_it_gets_all_of_it(served):
    port, services = served
    job, _request = large_result(served)
    answer = program.call(port, 'GET', f'/jobs/{job.id}/result')
    content = job.file('gif').read_bytes()
    assert answer.body == content
    for part, expected in (('7-15000000', content[7:15000001]), ('-9', content[-9:])):
        headers = {'Range': f'bytes={part}'}
        answer = program.call(port, 'GET', f'/jobs/{job.id}/result', headers = headers)
        assert (answer.status, answer.body == expected) == (206, True)
    until(lambda: not services.store.readers.has_any(job))


@pytest.mark.parametrize(('method', 'headers', 'status'), [
    ('HEAD', {}, 200),
    ('GET', {
        'If-None-Match': None
    }, 304),
    ('GET', {
        'Range': 'bytes=99999999-'
    }, 416),
])
def test_an_answer_without_content_keeps_nothing_open(served, method, headers, status):
    port, services = served
    job, _request = large_result(served)
    path = f'/jobs/{job.id}/result'
    tag = program.call(port, 'HEAD', path).headers['ETag']
    headers = {name: value or tag for name, value in headers.items()}
    answer = program.call(port, method, path, headers = headers)
    assert answer.status == status
    assert not services.store.readers.has_any(job)
