#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What people who follow a job cost everybody else: how long ``/health`` takes while so many event streams are open, and
what the server needs for them. The job takes ten steps a second, as camera motion does, so every stream is told ten
times a second. Server, followers and the clock are processes of their own; threads and memory are told where there is
``/proc``.

    python bench/streams.py [STREAMS...]

Libraries: numpy, Pillow.
"""

import io
import multiprocessing
import re
import selectors
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import cast

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'support')]

import numpy  # noqa: E402
import program  # noqa: E402
import stand_ins  # noqa: E402
from PIL import Image  # noqa: E402

from app import create_app  # noqa: E402
from modules.configuration import Configuration, WebOptions  # noqa: E402
from modules.engines.registry import Engines  # noqa: E402
from modules.photos.sizes import Photo  # noqa: E402
from modules.progress import JobControl, Progress  # noqa: E402
from modules.request import AnimationRequest  # noqa: E402

#: requests of a row, and seconds between two of them
ASKED, PAUSE = 300, 0.02
#: of the job
STEPS_PER_SECOND = 10
#: seconds after which something has gone wrong
PATIENCE = 60


class Endless(stand_ins.Instant):
    """Steps, until somebody cancels it."""

    def animate(self, photo: Photo, request: AnimationRequest, control: JobControl) -> None:
        """
        Tell a new picture at every step.

        :param photo: not looked at
        :type photo: Photo
        :param request: not looked at
        :type request: AnimationRequest
        :param control: is told after every step, and ends the work between steps
        :type control: JobControl
        """
        picture = numpy.zeros((576, 1024, 3), numpy.uint8)
        step = 0
        while True:
            control.stop_if_cancelled()
            time.sleep(1 / STEPS_PER_SECOND)
            step += 1
            control.report(Progress('step', step, 2**31, picture))


def serve(folder: str, port: multiprocessing.Queue, end: threading.Event) -> None:
    """
    Be the server.

    :param folder: jobs are kept here
    :type folder: str
    :param port: is told the port
    :type port: multiprocessing.Queue
    :param end: set when it is over
    :type end: threading.Event
    """
    configuration = Configuration(web = WebOptions(port = 0))
    engines = Engines(configuration, {'camera': (Endless.__module__, 'Endless')})
    app = create_app(configuration, Path(folder), engines = engines)
    with program.served(app, configuration.web) as number:
        port.put(int(number))
        end.wait()


def follow(port: int, path: str, streams: int, received: 'Synchronized[int]',
           end: threading.Event) -> None:
    """
    Be those who follow.

    :param port: of the server
    :type port: int
    :param path: of the events
    :type path: str
    :param streams: how many
    :type streams: int
    :param received: counts the events
    :type received: 'Synchronized[int]'
    :param end: set when it is over
    :type end: threading.Event
    """
    request = f'GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode()
    selector = selectors.DefaultSelector()
    for _number in range(streams):
        client = socket.create_connection(('127.0.0.1', port))
        client.sendall(request)
        if program.beginning(client) != b'HTTP/1.1 200':
            raise SystemExit('a stream was refused')
        selector.register(client, selectors.EVENT_READ)
    while not end.is_set():
        for key, _ready in selector.select(timeout = 0.1):
            part = cast(socket.socket, key.fileobj).recv(65536)
            if not part:
                raise SystemExit('a stream has ended')
            received.value += part.count(b'data: ')


@contextmanager
def beside(role: Callable[..., object], *arguments: object) -> Iterator[BaseProcess]:
    """
    A process that plays a role meanwhile.

    :param role: a function whose last argument tells it to end
    :type role: Callable[..., object]
    :param arguments: the others
    :type arguments: object
    :yield: the process
    :ytype: BaseProcess
    """
    context = multiprocessing.get_context('spawn')
    end = context.Event()
    process = context.Process(target = role, args = (*arguments, end))
    process.start()
    try:
        yield process
    finally:
        end.set()
        process.join(PATIENCE)


def main(counts: list[int]) -> None:
    """
    Measure and print the table.

    :param counts: open streams of each row
    :type counts: list[int]
    """
    print(f'/health, {ASKED} times; a job with {STEPS_PER_SECOND} steps a second')
    print('streams  events/s  median ms  p99 ms  worst ms  threads  RSS MB')
    for count in counts:
        # a server of its own, so that no row pays for another's memory
        _row(count)


def _row(count: int) -> None:
    context = multiprocessing.get_context('spawn')
    ports, received = context.Queue(), context.Value('q')
    with tempfile.TemporaryDirectory() as folder, beside(serve, folder, ports) as server:
        port = ports.get(timeout = PATIENCE)
        program.ready(port, PATIENCE)
        with beside(follow, port, f'{_started(port)}/events', count, received) as followers:
            _wait_for_events(received, count, followers)
            _measure(port, count, received, server.pid)


def _measure(port: int, count: int, received: 'Synchronized[int]', pid: int | None) -> None:
    before, began = received.value, time.perf_counter()
    times = sorted(_asked(port) for _number in range(ASKED))
    per_second = (received.value - before) / (time.perf_counter() - began)
    threads, memory = _needed(pid)
    print(
        f'{count:7}{per_second:8.0f}{statistics.median(times):11.1f}{times[int(ASKED * 0.99)]:8.1f}'
        f'{times[-1]:10.1f}{threads:>9}{memory:>8}')


def _started(port: int) -> str:
    content = io.BytesIO()
    Image.new('RGB', (64, 48)).save(content, 'JPEG')
    body, headers = program.form([], [('file', 'photo.jpg', content.getvalue())])
    return program.call(port, 'POST', '/jobs', body, headers).headers['Location']


def _wait_for_events(received: 'Synchronized[int]', count: int, followers: BaseProcess) -> None:
    """Until every stream has had news ten times on average."""
    patience = time.monotonic() + PATIENCE
    while received.value < 10 * count:
        if time.monotonic() > patience or not followers.is_alive():
            raise SystemExit(f'{count} streams were told no more than {received.value} events')
        time.sleep(0.1)


def _asked(port: int) -> float:
    """Milliseconds of one request."""
    time.sleep(PAUSE)
    before = time.perf_counter()
    answer = program.call(port, 'GET', '/health')
    if answer.status != 200:
        raise SystemExit(answer.body)
    return 1000 * (time.perf_counter() - before)


def _needed(pid: int | None) -> tuple[str, str]:
    """Threads and megabytes of a process."""
    status = Path(f'/proc/{pid}/status')
    if not status.exists():
        return '-', '-'
    found = dict(re.findall(r'^(Threads|VmRSS):\s+(\d+)', status.read_text(), re.M))
    return found['Threads'], str(int(found['VmRSS']) // 1000)


if __name__ == '__main__':
    main([int(argument) for argument in sys.argv[1:]] or [0, 50, 100, 128])
