#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The server against strangers who know how it works: every request is answered or refused at once, and none keeps it from
serving others.

Libraries: pytest, waitress.
"""

import base64
import contextlib
import gc
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import browser
import program
import pytest
import stand_ins
from flask import Flask
from waitress.adjustments import Adjustments

from app import create_app
from modules import terminal
from modules.configuration import Configuration, WebOptions
from modules.engines.registry import Engines
from modules.web import parser, uploads
from modules.web.server import Server

ROOT = Path(__file__).resolve().parents[2]
LOCAL = b'Host: localhost\r\n'
LAST = LOCAL + b'Connection: close\r\n'
UPLOAD = b'POST /jobs HTTP/1.1\r\n' + LAST


@pytest.fixture(scope = 'module')
def port(tmp_path_factory):
    options = Configuration(web = WebOptions(port = 0))
    engines = Engines(options, stand_ins.table(camera = 'Instant'))
    app = create_app(options, tmp_path_factory.mktemp('home'), engines = engines)
    with program.served(app, options.web) as port:
        program.ready(port)
        yield port


def answers(port, request, seconds = 10):
    """The statuses of all answers to what is sent, until the server closes the connection."""
    with socket.create_connection(('127.0.0.1', port), seconds) as client:
        client.sendall(request)
        said = b''
        with contextlib.suppress(ConnectionError):
            while more := client.recv(65536):
                said += more
    return [int(status) for status in re.findall(rb'HTTP/1\.[01] (\d{3}) ', said)]


@pytest.mark.parametrize('lines', [b'', b'Content-Length: 0\r\n'])
def test_who_asks_whether_to_send_nothing_is_answered(port, lines):
    request = b'GET /health HTTP/1.1\r\n' + LAST + lines + b'Expect: 100-continue\r\n\r\n'
    assert answers(port, request) == [200]


@pytest.mark.parametrize(('lines', 'status'), [(b'Content-Length: 99999999999', 413),
                                               (b'Content-Length: 5, 5', 400),
                                               (b'Content-Length: -5', 400),
                                               (b'Transfer-Encoding: gzip', 501)])
def test_who_asks_whether_to_send_what_is_refused_is_told(port, lines, status):
    assert answers(port, UPLOAD + lines + b'\r\nExpect: 100-continue\r\n\r\n') == [status]


def test_who_asks_whether_to_send_may(port):
    head = UPLOAD + b'Content-Length: 5\r\nExpect: 100-continue\r\n\r\n'
    with socket.create_connection(('127.0.0.1', port), 10) as client:
        client.sendall(head)
        assert program.beginning(client) == b'HTTP/1.1 100'
        client.sendall(b'hello')
        assert b'HTTP/1.1 400' in client.makefile('rb').read()


@pytest.fixture(scope = 'module')
def locked(tmp_path_factory):
    """The same, behind a password."""
    options = Configuration(web = WebOptions(port = 0, password = 'secret'))
    engines = Engines(options, stand_ins.table(camera = 'Instant'))
    app = create_app(options, tmp_path_factory.mktemp('home'), engines = engines)
    with program.served(app, options.web) as port:
        yield port


def answer_to_head(port, head, seconds = 10):
    """All that is said to a head, whose body never comes, until the server says no more."""
    with socket.create_connection(('127.0.0.1', port), seconds) as client:
        client.sendall(head + b'\r\n')
        return client.makefile('rb').read()


LARGE = b'Content-Length: 30000000\r\n'
OTHERS = b'POST /jobs HTTP/1.1\r\nHost: evil.example\r\n'
#: what a head has beside the length of its body → status and code
UNWANTED = {
    'no password': (b'POST /jobs HTTP/1.1\r\n' + LOCAL, 401, 'password_needed'),
    'a wrong one':
    (b'POST /jobs HTTP/1.1\r\nAuthorization: Basic YTpi\r\n' + LOCAL, 401, 'password_needed'),
    'a name of a stranger': (OTHERS, 403, 'host_not_served'),
    'another site':
    (b'POST /jobs HTTP/1.1\r\nSec-Fetch-Site: cross-site\r\n' + LOCAL, 403, 'cross_site'),
}


@pytest.mark.parametrize('asks', [b'', b'Expect: 100-continue\r\n'])
@pytest.mark.parametrize('length', [LARGE, b'Transfer-Encoding: chunked\r\n'])
@pytest.mark.parametrize('name', UNWANTED)
def test_no_body_is_taken_of_who_is_not_let_in(locked, name, length, asks):
    head, status, code = UNWANTED[name]
    said = answer_to_head(locked, head + length + asks)
    assert said.startswith(b'HTTP/1.1 %d ' % status)
    assert json.loads(said.partition(b'\r\n\r\n')[2])['code'] == code
    assert b'Connection: close' in said
    assert (b'www-authenticate' in said.lower()) == (status == 401)


@pytest.mark.parametrize('asks', [b'', b'Expect: 100-continue\r\n'])
@pytest.mark.parametrize('length', [LARGE, b'Transfer-Encoding: chunked\r\n'])
def test_no_body_is_taken_where_everybody_is_let_in(locked, length, asks):
    said = answer_to_head(locked, b'GET /health HTTP/1.1\r\n' + LOCAL + length + asks)
    assert said.startswith(b'HTTP/1.1 200 ') and b'Connection: close' in said


def test_who_sends_a_body_unasked_is_told_and_nothing_of_it_is_a_request(locked):
    smuggled = b'GET /health HTTP/1.1\r\n' + LOCAL + b'\r\n'
    request = b'POST /jobs HTTP/1.1\r\n' + LOCAL + LARGE + b'\r\n' + smuggled * 100
    assert answers(locked, request) == [401]


def test_who_has_the_password_is_asked_for_the_body(locked):
    password = b'Authorization: Basic ' + base64.b64encode(b':secret') + b'\r\n'
    head = UPLOAD + password + b'Content-Length: 5\r\nExpect: 100-continue\r\n\r\n'
    with socket.create_connection(('127.0.0.1', locked), 10) as client:
        client.sendall(head)
        assert program.beginning(client) == b'HTTP/1.1 100'
        client.sendall(b'hello')
        assert b'HTTP/1.1 400' in client.makefile('rb').read()


def unfinished(port, address = '127.0.0.1', size = 90_000):
    """A connection that has sent so much of a longer body."""
    client = socket.create_connection(('127.0.0.1', port), 10, (address, 0))
    client.sendall(b'POST /jobs HTTP/1.1\r\n' + LOCAL + b'Content-Length: 100000\r\n\r\n')
    client.sendall(b'x' * size)
    return client


def test_unfinished_bodies_have_a_sum_and_who_has_most_makes_room(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, 'MAX_BYTES', 800_000)
    monkeypatch.setattr(uploads, 'MIN_LARGEST', 1)
    options = Configuration(web = WebOptions(port = 0, max_content_length = 100_000))
    app = create_app(
        options, tmp_path, engines = Engines(options, stand_ins.table(camera = 'Instant')))
    with program.served(app, options.web) as port, contextlib.ExitStack() as closing:
        honest = closing.enter_context(unfinished(port, '127.0.0.2', 95_000))
        others = [closing.enter_context(unfinished(port)) for _number in range(8)]
        readable, _w, _x = select.select([honest, *others], [], [], 10)
        assert len(readable) == 1
        assert readable[0] is not honest
        said = readable[0].makefile('rb').read()
        assert said.startswith(b'HTTP/1.1 503 ')
        assert b'Retry-After: ' in said
        assert json.loads(said.partition(b'\r\n\r\n')[2])['code'] == 'disk_full'
        # one that gives up makes room as well
        others[0 if readable[0] is not others[0] else 1].close()
        closing.enter_context(unfinished(port))
        honest.sendall(b'x' * 5_000)
        assert honest.makefile('rb').readline().startswith(b'HTTP/1.1 400 ')


# a file that waitress had just begun is closed by Python
@pytest.mark.filterwarnings('ignore::ResourceWarning',
                            'ignore::pytest.PytestUnraisableExceptionWarning')
def test_a_full_folder_for_temporary_files_is_told(tmp_path, small_disk, monkeypatch):
    monkeypatch.setattr('tempfile.tempdir', str(small_disk))
    options = Configuration(web = WebOptions(port = 0))
    app = create_app(
        options, tmp_path, engines = Engines(options, stand_ins.table(camera = 'Instant')))
    with program.served(app, options.web) as port:
        for _time in range(2):
            body, headers = program.form([], [('file', 'a.jpg', b'no photo' * 500_000)])
            answer = program.call(port, 'POST', '/jobs', body, headers)
            assert (answer.status, answer.json['code']) == (503, 'disk_full')
            assert answer.headers['Retry-After']
        # nothing of it is left
        small, headers = program.form([], [('file', 'a.jpg', b'no photo')])
        assert program.call(port, 'POST', '/jobs', small, headers).status == 415
    gc.collect()


def test_whatever_is_refused_can_be_told_in_the_log():
    # waitress writes the path when an answer fails; without one it would fail once more, and never answer
    request = parser.Parser(Adjustments())
    request.received(b'no request\r\n\r\n')
    assert (request.error.code, request.path) == (400, '')


@pytest.mark.parametrize('first', [b'GET http://[::1/ HTTP/1.1', b'GET http://[/ HTTP/1.1'])
def test_an_address_that_is_none_is_refused(port, first):
    assert answers(port, first + b'\r\n' + LAST + b'\r\n') == [400]


def test_a_length_that_is_no_number_of_this_world_is_refused(port):
    assert answers(port, UPLOAD + b'Content-Length: ' + b'9' * 5000 + b'\r\n\r\n') == [400]


@pytest.mark.parametrize('framing', [
    b'HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked',
    b'HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked',
])
def test_a_request_with_two_ends_is_refused_with_all_that_follows(port, framing):
    smuggled = b'GET /health HTTP/1.1\r\n' + LAST + b'\r\n'
    request = b'POST /jobs ' + framing + b'\r\n' + LOCAL + b'\r\n0\r\n\r\n' + smuggled
    assert answers(port, request) == [400]


SIZE = 30_000
#: heads that took minutes, during which nobody was served
HEADS = {
    'blanks': b'GET / HTTP/1.1\r\nX:' + b' ' * SIZE + b'x\r\n',
    'blanks and a zero': b'GET / HTTP/1.1\r\nX: ' + b' ' * SIZE + b'\0\r\n',
    'tabs': b'GET / HTTP/1.1\r\nX:' + b'\t' * SIZE + b'x\r\n',
    'blank lines that go on': b'GET / HTTP/1.1\r\nX: a\r\n' + b' \r\n' * (SIZE // 3),
    'an address of digits': b'GET http://' + b'1' * SIZE + b' x\r\n',
    'languages': b'GET / HTTP/1.1\r\nAccept-Language: ' + b'a,' * (SIZE // 2) + b'\r\n',
}


@pytest.mark.parametrize('head', HEADS.values(), ids = HEADS)
def test_no_head_takes_long_to_be_looked_at(port, head):
    began = time.process_time()
    assert answers(port, head + LAST + b'\r\n', 60) == [400]
    # of this process, which serves too
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(('first', 'more'), [(b'', b'a' * 64), (b'0\r\n', b'a' * 64),
                                             (b'', b'1\r\na\r\n' * 10)],
                         ids = ['a line without end', 'a trailer without end', 'chunks of a byte'])
def test_what_tells_of_chunks_is_limited(port, first, more):
    request = UPLOAD + b'Transfer-Encoding: chunked\r\n\r\n' + first + more * 40_000
    assert answers(port, request) == [400]


def test_an_upload_in_small_chunks_is_taken(port):
    body, headers = program.form([], [('file', 'a.jpg', browser.photo() + bytes(2_000_000))])
    chunks = (body[start:start + 100] for start in range(0, len(body), 100))
    assert program.call(port, 'POST', '/jobs', chunks, headers).status == 202


def half_sent(port, source = '127.0.0.1'):
    """A connection on which an upload has begun."""
    client = socket.create_connection(('127.0.0.1', port), 10, (source, 0))
    client.sendall(UPLOAD + b'Content-Length: 5\r\n\r\nhell')
    return client


@pytest.mark.skipif(sys.platform != 'linux', reason = 'has more than one address of its own')
def test_who_keeps_connections_makes_room_for_others(tmp_path):
    options = Configuration(web = WebOptions(port = 0))
    engines = Engines(options, stand_ins.table(camera = 'Instant'))
    app = create_app(options, tmp_path, engines = engines)
    with program.served(
            app, options.web, connections = 50) as port, contextlib.ExitStack() as closing:
        program.ready(port)
        patient = closing.enter_context(half_sent(port, '127.0.0.2'))
        for _number in range(120):
            closing.enter_context(half_sent(port))
        assert program.call(port, 'GET', '/health').status == 200
        # somebody else, who is not in a hurry either
        patient.sendall(b'o')
        assert program.beginning(patient) == b'HTTP/1.1 400'


@pytest.mark.skipif(sys.platform == 'win32', reason = 'has no such limit')
@pytest.mark.parametrize(('may', 'most', 'found'), [(256, 5000, '1000 2400'),
                                                    (1024, 1024, '312 1024'),
                                                    (4000, 4000, '1000 4000')])
def test_every_connection_may_have_a_file(may, most, found):
    code = f'''
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({may}, {most}))
from modules.web import server
print(server.max_connections(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
'''
    done = subprocess.run([sys.executable, '-c', code],
                          cwd = ROOT,
                          capture_output = True,
                          text = True,
                          check = True)
    assert done.stdout.strip() == found


@pytest.fixture
def own_signals():
    """Signals are received as before, when the test is over."""
    before = {number: signal.getsignal(number) for number in terminal.stop_signals()}
    yield
    for number, receiver in before.items():
        signal.signal(number, receiver)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def interrupt_when_it_answers(server):
    program.call(server.port, 'GET', '/')
    interrupt()


@pytest.mark.usefixtures('own_signals')
def test_a_second_ctrl_c_does_not_disturb_what_tidies_up():
    server = Server(Flask('small'), WebOptions(port = 0), 1)
    threading.Thread(target = interrupt_when_it_answers, args = [server]).start()
    server.run(on_stop = lambda: None)
    try:
        interrupt()
    except KeyboardInterrupt:
        pytest.fail('interrupted although the server had ended')


@pytest.mark.usefixtures('own_signals')
def test_a_second_ctrl_c_ends_a_server_that_waits():
    server = Server(Flask('small'), WebOptions(port = 0), 1)
    goes_on, ends = threading.Event(), []

    def wait():
        interrupt()
        goes_on.wait(20)
        ends.append(1)

    threading.Thread(target = interrupt_when_it_answers, args = [server]).start()
    server.run(on_stop = wait)
    assert not ends
    goes_on.set()
    server.stop()
    server.loop()
