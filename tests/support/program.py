#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The product, started for a test: as a program of its own, or in this process with stand-in engines, both reached
through real HTTP.

Libraries: none but the standard one.
"""

import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import picture_processes

ROOT = Path(__file__).resolve().parents[2]


class Answer:
    """What came back."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        assert self.headers['Content-Type'].startswith('application/json'), self.body[:200]
        return json.loads(self.body)


def call(port, method, path, body = None, headers = None, host = '127.0.0.1', timeout = 60):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(host, port, timeout = timeout)
    try:
        connection.request(method, path, body, headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def beginning(client):
    """The first twelve bytes of an answer, HTTP version and status, however few come at a time."""
    found = b''
    while len(found) < 12:
        more = client.recv(12 - len(found))
        assert more, found
        found += more
    return found


def form(fields = (), files = ()):
    """
    A multipart body.

    :param fields: (name, value)
    :param files: (name, file name or None, content)
    :return: body and headers
    """
    boundary = uuid.uuid4().hex
    parts = []
    for name, value in fields:
        parts.append(f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode())
    for name, file_name, content in files:
        named = '' if file_name is None else f'; filename="{file_name}"'
        head = f'Content-Disposition: form-data; name="{name}"{named}\r\n'
        head += 'Content-Type: application/octet-stream\r\n\r\n'
        parts.append(head.encode() + content)
    body = b''.join(b'--' + boundary.encode() + b'\r\n' + part + b'\r\n' for part in parts)
    body += b'--' + boundary.encode() + b'--\r\n'
    return body, {'Content-Type': f'multipart/form-data; boundary={boundary}'}


def generate(port, photo, fields = (), name = 'photo.jpg', headers = None, **more):
    """``POST /generate`` with one photo."""
    body, own = form(fields, [('file', name, photo)])
    return call(port, 'POST', '/generate', body, {**own, **(headers or {})}, **more)


@contextmanager
def served(app, web, held = 36, **more):
    """An app of this process behind the real server, with threads for as many requests as most tests hold at once."""
    from modules.web.server import Server
    server = Server(app, web, held, **more)
    thread = threading.Thread(target = server.loop, daemon = True)
    thread.start()
    try:
        with picture_processes.lent(app.extensions['services'].sandbox):
            yield server.port
    finally:
        app.extensions['services'].close()
        server.stop()
        thread.join(10)
        assert not thread.is_alive()


@contextmanager
def started(folder,
            ini = '',
            arguments = (),
            environment = None,
            wait = True,
            script = ROOT / '__main__.py'):
    """
    The program as a person starts it, on a free port.

    :param folder: where its INI goes and where it runs
    :param ini: what the INI says beside the port
    :param arguments: of the command line
    :param environment: variables set for it
    :param wait: whether to wait until it answers
    :param script: what is run, where it is not the program itself
    :return: process and port
    """
    config = Path(folder) / 'test.ini'
    # an INI that says nothing else must not fill the repository
    own = '' if 'OutputsHome' in ini else '[StoreOptions]\nOutputsHome = outputs\n'
    config.write_text(own + ini, encoding = 'utf-8')
    command = [sys.executable, str(script), '--config', str(config), '--port', '0']
    log = Path(folder) / 'log'
    with log.open('w') as output:
        process = subprocess.Popen([*command, *arguments],
                                   cwd = folder,
                                   stdin = subprocess.DEVNULL,
                                   stdout = output,
                                   stderr = subprocess.STDOUT,
                                   env = {
                                       **os.environ, 'LANG': 'C.UTF-8',
                                       'LC_ALL': 'C.UTF-8',
                                       **(environment or {})
                                   })
    try:
        yield process, (port_of(log, process) if wait else 0)
    finally:
        _end(process)


def _end(process, seconds = 10):
    """In order, so that nothing of it stays in the temporary folder; by force where that does not help."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def port_of(log, process, seconds = 120):
    """The port the program says it listens on."""
    patience = time.monotonic() + seconds
    while time.monotonic() < patience and process.poll() is None:
        if found := re.search(r'http://[^/]*:(\d+)/', log.read_text()):
            return int(found[1])
        time.sleep(0.02)
    raise AssertionError(f'the program did not start: {log.read_text()}')


def until(is_so, seconds = 120):
    """Wait until something is so, which it must be sooner or later; what takes long is asked for less often."""
    patience, pause = time.monotonic() + seconds, 0.01
    while not is_so():
        assert time.monotonic() < patience
        time.sleep(pause)
        pause = min(0.1, 1.2 * pause)


def early_in_a_minute():
    """Wait until the clock's minute lasts a while yet: with the next one, the counts of requests begin to fall."""
    until(lambda: time.time() % 60 < 50)


def ready(port, seconds = 120):
    """Wait until ``/health`` says that jobs are taken at once."""
    until(lambda: call(port, 'GET', '/health').json['status'] == 'READY', seconds)
