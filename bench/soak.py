#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Whether the program stays as small as it is: a steady load of whatever people do, right and wrong, and what the program
needs meanwhile. In the end threads and open files must be where they were after the warm-up, and memory within a
tenth. Linux only.

    python bench/soak.py [MINUTES [SECONDS_BETWEEN_JOBS]]

Libraries: Pillow.
"""

import contextlib
import io
import itertools
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'support'), str(ROOT / 'bench')]

import processes  # noqa: E402
import program  # noqa: E402
from PIL import Image  # noqa: E402

#: small clips, so that many are made; and so little room that the tidying is at work too
OPTIONS = '''
[StoreOptions]
MaxOutputsBytes = 3000000
[ModelOptions]
Engine = camera
Seconds = 1
ImagePromptWidth = 192
ImagePromptHeight = 128
'''

FORMATS = ('gif', 'mp4', 'webp', 'live-photo', 'motion-photo')

#: jobs before anything is compared: every library is loaded, and every thread of the server has had its memory
WARM_UP = 600
#: seconds after which something has gone wrong
PATIENCE = 60
#: what memory may have grown by: a part of it, for a heap that is never quite the same twice
GROWTH = 0.1


class Load:
    """
    People, one after the other.

    :param port: of the program
    :type port: int
    """

    def __init__(self, port: int):
        self.port = port
        self.jobs = 0
        self._formats = itertools.cycle(FORMATS)
        self._extras = itertools.cycle(
            (self._break_off, self._send_nonsense, self._cancel, self._reset, self._generate))
        self._photos = itertools.cycle(
            [photo(*size) for size in ((640, 480), (480, 640), (50, 50))])

    def step(self) -> None:
        """One whole job as the page does it, and one thing besides that goes another way."""
        kind = next(self._formats)
        identity = self._submit(('format', kind))
        events = self._ask('GET', f'/jobs/{identity}/events')
        if b'"state": "done"' not in events:
            raise SystemExit(events[-2000:])
        other = next(self._formats)
        for path in ('', '/preview', '/photo', '/result', f'/result?format={other}'):
            self._ask('GET', f'/jobs/{identity}{path}')
        self._ask('GET', '/')
        if self.jobs % 2:
            self._ask('DELETE', f'/jobs/{identity}', 204)
        next(self._extras)()
        self.jobs += 1

    def _ask(self, method: str, path: str, status: int = 200) -> bytes:
        answer = program.call(self.port, method, path, timeout = PATIENCE)
        if answer.status != status:
            raise SystemExit(f'{method} {path}: {answer.status} {answer.body[:500]}')
        return answer.body

    def _submit(self, *fields: tuple[str, str]) -> str:
        body, headers = program.form(fields, [('file', 'photo.jpg', next(self._photos))])
        answer = program.call(self.port, 'POST', '/jobs', body, headers, timeout = PATIENCE)
        if answer.status != 202:
            raise SystemExit(f'a job was refused: {answer.body[:500]}')
        return answer.json['id']

    def _break_off(self) -> None:
        """Half an upload."""
        head = b'POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n'
        with socket.create_connection(('127.0.0.1', self.port), PATIENCE) as client:
            client.sendall(head + b'Content-Type: multipart/form-data; boundary=x\r\n\r\n')
            client.sendall(bytes(600_000))

    def _send_nonsense(self) -> None:
        body, headers = program.form([], [('file', 'photo.jpg', next(self._photos)[:500])])
        answer = program.call(self.port, 'POST', '/jobs', body, headers)
        if answer.status != 415:
            raise SystemExit(f'nonsense was answered with {answer.status}')

    def _cancel(self) -> None:
        identity = self._submit()
        program.call(self.port, 'POST', f'/jobs/{identity}/cancel')
        self._ask('DELETE', f'/jobs/{identity}', 204)

    def _reset(self) -> None:
        """A follower whose connection breaks."""
        identity = self._submit()
        with socket.create_connection(('127.0.0.1', self.port), PATIENCE) as client:
            request = f'GET /jobs/{identity}/events HTTP/1.1\r\nHost: localhost\r\n\r\n'
            client.sendall(request.encode())
            program.beginning(client)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))

    def _generate(self) -> None:
        answer = program.generate(self.port, next(self._photos), timeout = PATIENCE)
        if answer.status != 200:
            raise SystemExit(f'/generate was answered with {answer.status}')


def photo(width: int, height: int) -> bytes:
    """
    A photo with something in it.

    :param width: pixels
    :type width: int
    :param height: pixels
    :type height: int
    :return: JPEG
    :rtype: bytes
    """
    content = io.BytesIO()
    Image.effect_mandelbrot((width, height), (-2, -1, 1, 1),
                            40).convert('RGB').save(content, 'JPEG')
    return content.getvalue()


@contextlib.contextmanager
def warm_program(jobs: int = WARM_UP) -> Iterator[tuple[int, Load]]:
    """
    The program, after its first jobs.

    :param jobs: how many
    :type jobs: int
    :yield: the number of its process, and the load
    :ytype: tuple[int, Load]
    """
    with tempfile.TemporaryDirectory() as folder, program.started(folder,
                                                                  OPTIONS) as (process, port):
        program.ready(port, PATIENCE)
        load = Load(port)
        while load.jobs < jobs:
            load.step()
        yield process.pid, load


def at_rest(process: int, port: int) -> processes.Needs:
    """
    What the program needs when nobody wants anything of it.

    :param process: the number of its process
    :type process: int
    :param port: of the program
    :type port: int
    :return: memory, threads and files, once files and threads are as few for two seconds
    :rtype: processes.Needs
    """
    program.ready(port, PATIENCE)
    patience = time.monotonic() + PATIENCE
    before, same = processes.needs(process), 0
    while same < 10 and time.monotonic() < patience:
        time.sleep(0.2)
        now = processes.needs(process)
        same = same + 1 if now.files == before.files else 0
        before = now
    return before


def main(minutes: float, pause: float) -> None:
    """
    Load the program and print the table.

    :param minutes: after the warm-up
    :type minutes: float
    :param pause: seconds from the beginning of one job to that of the next
    :type pause: float
    """
    with warm_program() as (process, load):
        first = at_rest(process, load.port)
        print(f'{minutes:g} minutes, a job and something that goes wrong every {pause:g} s')
        print('minute   jobs  RSS MB  with children  threads  files  processes')
        _tell(0, load, first)
        began = time.monotonic()
        logged, end = began, began + 60 * minutes
        while (now := time.monotonic()) < end:
            load.step()
            if now - logged >= max(60, 2 * minutes):
                logged = now
                _tell((now - began) / 60, load, processes.needs(process))
            time.sleep(max(0, now + pause - time.monotonic()))
        last = at_rest(process, load.port)
        _tell(minutes, load, last)
    if growths := grown(first, last):
        raise SystemExit(f'grown: {growths}')
    print('threads and files are where they were, memory within a tenth')


def grown(first: processes.Needs, last: processes.Needs) -> list[str]:
    """
    What is more than it was.

    :param first: at the beginning
    :type first: processes.Needs
    :param last: at the end
    :type last: processes.Needs
    :return: the names; none where all is well
    :rtype: list[str]
    """
    allowed = {'memory': 1 + GROWTH, 'all_memory': 1 + GROWTH}
    return [
        name for name, before in vars(first).items()
        if getattr(last, name) > before * allowed.get(name, 1)
    ]


def _tell(minute: float, load: Load, now: processes.Needs) -> None:
    print(
        f'{minute:6.1f}{load.jobs:7}{now.memory:8.0f}{now.all_memory:15.0f}{now.threads:9}'
        f'{now.files:7}{now.processes:11}',
        flush = True)


if __name__ == '__main__':
    main(*[float(argument) for argument in (*sys.argv[1:], *('30', '2')[len(sys.argv) - 1:])])
