#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Two hundred people upload 12-megapixel photos for a minute, with hardly a pause whatever they are answered: what the
program does then, beside the same app under Werkzeug's development server and under gunicorn. The people are in a
process of their own, the clock that asks ``/health`` in another. Linux only.

Limits are the defaults: 16 jobs wait, four of one person, and one person asks 600 times a minute. To be two hundred
people rather than this machine, they stand behind a proxy here that the INI names. Every twentieth sends a file that is
too large, every twentieth waits for the clip at ``/generate``. Clips are small, so that the uploads are the load.

Statuses other than 200, 202, 413, 429 and 503 are faults; so is a connection that breaks without an answer, and a
request that has none after a minute.

    python bench/load.py [SECONDS [PEOPLE [SERVER...]]]

Libraries: gunicorn, Pillow, Werkzeug.
"""

import asyncio
import collections
import contextlib
import io
import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'support'), str(ROOT / 'bench')]

import processes  # noqa: E402
import program  # noqa: E402

if TYPE_CHECKING:
    from flask import Flask

OPTIONS = '''
[WebOptions]
TrustedProxies = 127.0.0.0/8
[StoreOptions]
OutputsHome = outputs
MaxOutputsBytes = 200000000
[ModelOptions]
Engine = camera
Seconds = 1
ImagePromptWidth = 192
ImagePromptHeight = 128
'''

SERVERS = ('program', 'werkzeug', 'gunicorn')
#: threads of gunicorn's one worker, which keeps the queue and cannot be several
THREADS = 32
ALLOWED = (200, 202, 413, 429, 503)
#: seconds after which a request hangs; between an answer and the next request; between two looks at /health
PATIENCE, PAUSE, GLANCE = 60, 0.5, 0.05


def make_app() -> 'Flask':
    """
    The app as the program makes it.

    :return: the app
    :rtype: Flask
    """
    from app import create_app
    from modules import configuration, logs
    logs.start('warning')
    folder = Path(os.environ['BENCH'])
    return create_app(configuration.read(folder / 'test.ini', {}), folder / 'outputs')


def serve_by_werkzeug(port: int) -> None:
    """
    Werkzeug's development server.

    :param port: to listen on
    :type port: int
    """
    from werkzeug.serving import run_simple
    run_simple('127.0.0.1', port, make_app(), threaded = True)


@contextlib.contextmanager
def served(server: str) -> Iterator[tuple[int, int]]:
    """
    A server, and nothing of it afterwards.

    :param server: one of :data:`SERVERS`
    :type server: str
    :yield: the number of its process, and its port
    :ytype: tuple[int, int]
    """
    with tempfile.TemporaryDirectory() as folder:
        if server == 'program':
            arguments = ['--logging-level', 'info']
            with program.started(folder, OPTIONS, arguments) as (process, port):
                yield process.pid, port
            return
        (Path(folder) / 'test.ini').write_text(OPTIONS)
        port = _free_port()
        bind = ['--bind', f'127.0.0.1:{port}', '--pythonpath', str(ROOT / 'bench')]
        command = {
            'werkzeug': [__file__, 'werkzeug', str(port)],
            'gunicorn': ['-m', 'gunicorn', *bind, '--threads',
                         str(THREADS), 'load:make_app()']
        }[server]
        environment = {**os.environ, 'BENCH': folder}
        with (Path(folder) / 'log').open('w') as log, subprocess.Popen([sys.executable, *command],
                                                                       env = environment,
                                                                       stdout = log,
                                                                       stderr = log) as process:
            try:
                yield process.pid, port
            finally:
                process.terminate()


def upload(people: int) -> None:
    """
    Be the people: asked by a line on standard input for port and seconds, answers with the statuses as JSON.

    :param people: how many
    :type people: int
    """
    port, seconds = (int(word) for word in sys.stdin.readline().split())
    print(json.dumps(asyncio.run(_all(people, port, seconds))))


async def _all(people: int, port: int, seconds: int) -> dict[str, int]:
    photo = _photo()
    bodies = {
        False: program.form([], [('file', 'photo.jpg', photo)]),
        True: program.form([], [('file', 'photo.jpg', photo + bytes(34_000_000))])
    }
    statuses: collections.Counter[str] = collections.Counter()
    end = time.monotonic() + seconds
    await asyncio.gather(*[_person(each, port, bodies, statuses, end) for each in range(people)])
    return dict(statuses)


async def _person(number: int, port: int, bodies: dict, statuses: collections.Counter,
                  end: float) -> None:
    body, headers = bodies[number % 20 == 0]
    path = '/generate' if number % 20 == 1 else '/jobs'
    headers = {
        **headers, 'Host': 'localhost',
        'Connection': 'close',
        'Content-Length': len(body),
        'X-Forwarded-For': f'198.18.{number // 250}.{number % 250}'
    }
    lines = [f'POST {path} HTTP/1.1', *(f'{name}: {value}' for name, value in headers.items())]
    request = '\r\n'.join([*lines, '', '']).encode()
    await asyncio.sleep(number % 20 / 20)
    while time.monotonic() < end:
        try:
            status = await asyncio.wait_for(_answer(port, request, body), PATIENCE)
        except asyncio.TimeoutError:
            status = 'hung'
        except OSError:
            status = 'broken'
        statuses[status] += 1
        await asyncio.sleep(PAUSE)


async def _answer(port: int, request: bytes, body: bytes) -> str:
    """The status, also of an answer that comes before all is sent."""
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    sending = asyncio.create_task(_send(writer, request, body))
    try:
        first = await reader.readline()
        await reader.read()
    finally:
        sending.cancel()
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await sending
        writer.close()
    found = re.match(rb'HTTP/1\.[01] (\d+)', first)
    return found[1].decode() if found else 'broken'


async def _send(writer: asyncio.StreamWriter, request: bytes, body: bytes) -> None:
    writer.write(request)
    for start in range(0, len(body), 1 << 18):
        writer.write(body[start:start + (1 << 18)])
        await writer.drain()


def _photo() -> bytes:
    """Twelve megapixels, a few megabytes."""
    from PIL import Image
    planes = [Image.effect_noise((1000, 750), 70).resize((4000, 3000)) for _colour in 'RGB']
    content = io.BytesIO()
    Image.merge('RGB', planes).save(content, 'JPEG', quality = 93)
    return content.getvalue()


def _free_port() -> int:
    import socket
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def _until_ready(port: int) -> None:
    patience = time.monotonic() + PATIENCE
    while time.monotonic() < patience:
        with contextlib.suppress(OSError):
            return program.ready(port, PATIENCE)
        time.sleep(0.1)
    raise SystemExit('the server did not start')


def _health(port: int, people: subprocess.Popen) -> tuple[list[float], int]:
    """Milliseconds of every ``/health`` until the people have gone, and how many had no answer."""
    times, lost = [], 0
    while people.poll() is None:
        before = time.perf_counter()
        try:
            program.call(port, 'GET', '/health', timeout = PATIENCE)
            times.append(1000 * (time.perf_counter() - before))
        except OSError:
            lost += 1
        time.sleep(GLANCE)
    return sorted(times), lost


def row(server: str, people: int, seconds: int) -> bool:
    """
    Load one server and print its line.

    :param server: one of :data:`SERVERS`
    :type server: str
    :param people: how many
    :type people: int
    :param seconds: for how long
    :type seconds: int
    :return: whether all answers were allowed ones
    :rtype: bool
    """
    with served(server) as (pid, port):
        _until_ready(port)
        command = [sys.executable, __file__, 'people', str(people)]
        with subprocess.Popen(
                command, stdin = subprocess.PIPE, stdout = subprocess.PIPE, text = True) as others:
            watch = processes.Watch(pid)
            watch.start()
            began = time.monotonic()
            asked, answers = cast(IO[str], others.stdin), cast(IO[str], others.stdout)
            asked.write(f'{port} {seconds}\n')
            asked.close()
            times, lost = _health(port, others)
            took = time.monotonic() - began
            statuses = json.loads(answers.read())
        most = watch.end()
    return _told(server, statuses, times, lost, took, most)


def _told(server: str, statuses: dict, times: list[float], lost: int, took: float,
          most: processes.Needs) -> bool:
    known = {str(status) for status in ALLOWED} | {'broken', 'hung'}
    other = {status: count for status, count in statuses.items() if status not in known}
    counts = [statuses.get(name, 0) for name in (*map(str, ALLOWED), 'broken', 'hung')]
    rate = sum(counts[:len(ALLOWED)]) / took
    health = f'{statistics.median(times):10.0f}{times[int(len(times) * 0.99)]:8.0f}{lost:6}'
    print(
        f'{server:10}{sum(statuses.values()):6}',
        ''.join(f'{count:7}' for count in counts),
        f'{sum(other.values()):6}{rate:9.1f}{health}{most.all_memory:9.0f}{most.threads:9}',
        other or '',
        flush = True)
    return not other and not counts[-1] and not counts[-2] and not lost


def main(seconds: int = 60, people: int = 200, *servers: str) -> None:
    """
    Print the table.

    :param seconds: of each row
    :type seconds: int
    :param people: who upload at once
    :type people: int
    :param servers: of :data:`SERVERS`; all, if none is given
    :type servers: str
    """
    print(
        f'{people} people upload 12 megapixels for {seconds} s, {multiprocessing.cpu_count()} cores'
    )
    print('server     asked ', ''.join(f'{name:>7}' for name in (*ALLOWED, 'broken', 'hung')),
          ' other  ans./s  health ms  p99  lost  RSS MB  threads')
    is_good = {server: row(server, people, seconds) for server in servers or SERVERS}
    if not is_good.get('program', True):
        raise SystemExit('the program gave answers that are faults')


if __name__ == '__main__':
    if sys.argv[1:2] == ['werkzeug']:
        serve_by_werkzeug(int(sys.argv[2]))
    elif sys.argv[1:2] == ['people']:
        upload(int(sys.argv[2]))
    else:
        given: list[Any] = [*map(int, sys.argv[1:3]), *sys.argv[3:]]
        main(*given)
