#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Uploads go to the disk as they come: the program's memory does not grow with them.

Libraries: Pillow, pytest.
"""

import contextlib
import io
import re
import socket
import sys
from pathlib import Path

import program
import pytest
from PIL import Image

#: of one upload, just below the limit, and how many come at once
SIZE, UPLOADS = 30_000_000, 8


def memory(process):
    """The most a process has ever had, in bytes."""
    words = Path(f'/proc/{process}/status').read_text()
    return 1024 * int(re.search(r'^VmHWM:\s+(\d+)', words, re.M)[1])


def begun(port, content, rest):
    """A connection on which all of an upload was sent but its last ``rest`` bytes."""
    body, headers = program.form([], [('file', 'a.jpg', content)])
    head = ''.join(f'{name}: {value}\r\n' for name, value in headers.items())
    request = f'POST /jobs HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {len(body)}\r\n\r\n'
    client = socket.create_connection(('127.0.0.1', port), 30)
    client.sendall(request.encode() + body[:-rest])
    return client, body[-rest:]


@pytest.mark.skipif(sys.platform != 'linux', reason = 'looks into /proc')
def test_a_form_of_another_kind_is_not_read(tmp_path):
    with program.started(tmp_path, '[ModelOptions]\nEngine = camera\n') as (process, port):
        program.ready(port)
        before = memory(process.pid)
        kind = {'Content-Type': 'application/x-www-form-urlencoded'}
        for path in ('/jobs', '/generate', '/upright'):
            answer = program.call(port, 'POST', path, b'a=1&' * (SIZE // 4), kind)
            assert (answer.status, answer.json['code']) == (400, 'missing_file')
        # read into memory it would be forty times as large
        assert memory(process.pid) - before < SIZE


@pytest.mark.skipif(sys.platform != 'linux', reason = 'looks into /proc')
def test_large_uploads_do_not_stay_in_memory(tmp_path):
    with program.started(tmp_path, '[ModelOptions]\nEngine = camera\n') as (process, port):
        program.ready(port)
        small, headers = program.form([], [('file', 'a.jpg', b'no photo' * 100_000)])
        assert program.call(port, 'POST', '/jobs', small, headers).status == 415
        before = memory(process.pid)
        with contextlib.ExitStack() as closing:
            content = b'no photo' * (SIZE // 8)
            uploads = [begun(port, content, 1000) for _each in range(UPLOADS)]
            for client, rest in uploads:
                closing.enter_context(client)
                client.sendall(rest)
            for client, _rest in uploads:
                assert program.beginning(client) == b'HTTP/1.1 415'
        # less than a third of what came
        assert memory(process.pid) - before < SIZE * UPLOADS / 3
        assert [path for path in (tmp_path / 'outputs').iterdir() if path.is_dir()] == []


def large_photo(side):
    """A photo of next to no bytes and many pixels."""
    content = io.BytesIO()
    Image.new('RGB', (side, side), 'red').save(content, 'JPEG')
    return content.getvalue()


@pytest.mark.skipif(sys.platform != 'linux', reason = 'looks into /proc')
@pytest.mark.parametrize('wanted', ['live-photo', 'motion-photo'])
def test_a_photo_in_full_is_never_in_the_servers_memory(tmp_path, wanted):
    ini = '[ModelOptions]\nEngine = camera\nSeconds = 1\nImagePromptWidth = 128\nImagePromptHeight = 128\n'
    with program.started(tmp_path, ini) as (process, port):
        fields = [('format', wanted)]
        for _time in range(2):
            assert program.generate(port, large_photo(1000), fields).status == 200
        before = memory(process.pid)
        answer = program.generate(port, large_photo(6000), fields, timeout = 120)
        assert answer.status == 200
        # a third of what its pixels would take
        assert memory(process.pid) - before < 6000 * 6000
