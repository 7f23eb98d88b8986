#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The server with a stand-in engine as a program of its own, for tests that kill it at chosen moments, and what must hold
after that.

Libraries: Pillow, stand_ins.
"""

import contextlib
import io
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'support')]

import forks  # noqa: E402
import program  # noqa: E402
import stand_ins  # noqa: E402

#: what changes a disk
CALLS = ('write', 'pwrite64', 'fsync', 'fdatasync', 'rename', 'unlink', 'unlinkat', 'mkdir',
         'rmdir', 'ftruncate')
#: red, green and blue of the photo of a test
COLOUR = (200, 60, 30)


class Gated(stand_ins.Instant):
    """Waits in its first step until a file is there."""

    def animate(self, photo, request, control):
        while not Path(os.environ['GATE']).exists():
            control.stop_if_cancelled()
            time.sleep(0.01)
        return super().animate(photo, request, control)


class Deadly(stand_ins.Instant):
    """Takes the program along."""

    def animate(self, photo, request, control):
        os.kill(os.getpid(), signal.SIGKILL)


def load():
    """Import what :func:`main` needs."""
    import app  # noqa: F401
    import modules.web.server  # noqa: F401


def main(home, engine, waiting):
    """Serve until killed; the port is the first line."""
    from app import create_app
    from modules import logs
    from modules.configuration import Configuration, QueueOptions, WebOptions
    from modules.engines.registry import Engines
    from modules.web.server import Server
    logs.start('info')
    options = Configuration(
        web = WebOptions(port = 0), queue = QueueOptions(max_waiting = int(waiting)))
    engines = Engines(options, {'camera': ('crashing', engine)})
    app = create_app(options, Path(home), engines = engines)
    server = Server(app, options.web, 24)
    print(server.port, flush = True)  # noqa: T201
    server.run(app.extensions['services'].queue.close)
    app.extensions['services'].close()


@contextlib.contextmanager
def served(home, engine = 'Gated', waiting = 16):
    """The program; process and port. Whatever became of it, it is gone afterwards."""
    environment = {**os.environ, 'GATE': str(home.parent / 'gate')}
    with (home.parent / 'log').open('a') as log:
        process = forks.start(
            __file__, str(home), engine, str(waiting), stderr = log, env = environment)
    try:
        # it may have died before it could say
        yield process, int(process.stdout.readline() or 0)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def photo(colour = COLOUR):
    from PIL import Image
    content = io.BytesIO()
    Image.new('RGB', (64, 48), colour).save(content, 'PNG')
    return content.getvalue()


def submitted(port, colour = COLOUR):
    """The id of a job that was accepted; None where no answer came, because the program was killed."""
    body, headers = program.form([], [('file', 'a.png', photo(colour))])
    try:
        answer = program.call(port, 'POST', '/jobs', body, headers)
        return answer.json['id'] if answer.status == 202 else None
    except (OSError, ValueError, program.http.client.HTTPException):
        return None


def picture(port, identity):
    """The colour of a finished job's clip, every frame of which is whole; waits until it is finished."""
    from PIL import Image
    patience = time.monotonic() + 30
    while (job := program.call(port, 'GET', f'/jobs/{identity}').json)['state'] != 'done':
        assert job.get('state') in ('queued', 'running'), job
        assert time.monotonic() < patience, job
        time.sleep(0.02)
    answer = program.call(port, 'GET', f'/jobs/{identity}/result')
    with Image.open(io.BytesIO(answer.body)) as image:
        for number in range(image.n_frames):
            image.seek(number)
            image.load()
        return image.convert('RGB').getpixel((20, 20))


def is_like(one, other):
    return max(abs(a - b) for a, b in zip(one, other, strict = True)) <= 12


@contextlib.contextmanager
def killer(process, call, number):
    """``strace``, which kills the program when one of its threads makes a call for so many times."""
    command = [
        'strace', '-f', '-p',
        str(process.pid), '-o', '/dev/null', '-e', f'trace={call}', '-e',
        f'inject={call}:signal=KILL:when={number}'
    ]
    tracer = subprocess.Popen(command, stderr = subprocess.PIPE, text = True)
    drain = threading.Thread(target = tracer.stderr.read, daemon = True)
    try:
        assert 'attached' in tracer.stderr.readline()
        drain.start()
        yield
    finally:
        tracer.terminate()
        tracer.wait()
        drain.join()
        tracer.stderr.close()


def killed_while_accepting(home, process, port, call, number):
    """Whether the kill came, and the id if the job was accepted all the same."""
    with killer(process, call, number):
        identity = submitted(port)
        is_dead = has_died(process, 0.5)
    return is_dead, identity


def killed_while_working(home, process, port, call, number):
    """The same for a job that is accepted already, from its first step to its end."""
    identity = submitted(port)
    until_running(port, identity)
    with killer(process, call, number):
        (home.parent / 'gate').touch()
        patience = time.monotonic() + 20
        is_dead = False
        while not is_dead and not is_recorded(home, identity):
            assert time.monotonic() < patience
            is_dead = has_died(process, 0.02)
        is_dead = is_dead or has_died(process, 0.3)
    return is_dead, identity


def has_died(process, seconds):
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def until_running(port, identity):
    patience = time.monotonic() + 20
    while program.call(port, 'GET', f'/jobs/{identity}').json['phase'] is None:
        assert time.monotonic() < patience
        time.sleep(0.02)


def is_recorded(home, identity):
    """Whether the record says that a job is done."""
    with contextlib.closing(sqlite3.connect(f'file:{home}/jobs.sqlite?mode=ro',
                                            uri = True)) as database:
        try:
            row = database.execute('SELECT state FROM jobs WHERE id = ?', (identity, )).fetchone()
        except sqlite3.OperationalError:
            # it is just being written
            return False
    return row == ('done', )


def check_restarted(home, port, accepted):
    """Nothing accepted is lost, nothing half is served, nothing else is left."""
    (home.parent / 'gate').touch()
    program.ready(port)
    rows = recorded(home)
    assert set(accepted) <= set(rows)
    for identity in rows:
        # some were accepted although the client did not live to hear of it: whole all the same
        assert is_like(picture(port, identity), COLOUR)
    folders = {path.name for path in home.iterdir() if path.is_dir()}
    assert folders == set(rows)
    assert not list(home.glob('*/unfinished/*'))


def recorded(home):
    with contextlib.closing(sqlite3.connect(f'file:{home}/jobs.sqlite?mode=ro',
                                            uri = True)) as database:
        return [identity for identity, in database.execute('SELECT id FROM jobs')]


def walk(phase, calls = CALLS, numbers = None):
    """
    Kill at one call after the other.

    :param phase: :func:`killed_while_accepting` or :func:`killed_while_working`
    :param calls: names of system calls
    :param numbers: which of each; all, until the program survives, where not given
    :return: call → how often the program was killed at it
    """
    counts = {}
    for call in calls:
        with tempfile.TemporaryDirectory(prefix = 'crash-') as folder:
            deaths = _deaths(phase, Path(folder) / 'home', call, numbers or range(1, 400))
            counts[call] = sum(1 for _each in deaths)
    return counts


def _deaths(phase, home, call, numbers):
    """Each kill that came; the program that is restarted and checked after it is the next to be killed."""
    accepted = []
    with contextlib.ExitStack() as programs:
        process, port = programs.enter_context(served(home))
        program.ready(port)
        for number in numbers:
            (home.parent / 'gate').unlink(missing_ok = True)
            is_dead, identity = phase(home, process, port, call, number)
            accepted += [identity] if identity else []
            process.kill()
            process.wait()
            process, port = programs.enter_context(served(home))
            check_restarted(home, port, accepted)
            if not is_dead:
                return
            yield number


def colour_of(number):
    """A colour of its own for each of a thousand photos."""
    return number % 10 * 25 + 10, number // 10 % 10 * 25 + 10, number // 100 % 10 * 25 + 10


def storm(home, count, chance, clients = 4):
    """
    Submit jobs while the program is killed again and again; then every one of them must be there.

    :param home: of the store
    :param count: of jobs
    :param chance: decides the moments
    :param clients: that submit at once
    :return: how often it was killed, and how many jobs were given up because that hit them three times
    """
    home.parent.mkdir(exist_ok = True)
    (home.parent / 'gate').touch()
    accepted, left, kills = {}, list(range(count)), 0
    while len(accepted) < count:
        with served(home, waiting = count) as (process, port):
            is_over = threading.Event()
            people = [
                threading.Thread(target = _submit_each, args = (port, left, accepted, is_over))
                for _ in range(clients)
            ]
            for person in people:
                person.start()
            patience = time.monotonic() + chance.uniform(1.5, 4)
            while len(accepted) < count and time.monotonic() < patience:
                time.sleep(0.01)
            process.kill()
            kills += 1
            is_over.set()
            for person in people:
                person.join()
    with served(home, waiting = count) as (_process, port):
        given_up = sum(_is_given_up(port, *job) for job in accepted.items())
        assert {path.name for path in home.iterdir() if path.is_dir()} == set(recorded(home))
    assert len(accepted) == count
    return kills, given_up


def _submit_each(port, left, accepted, is_over):
    """Submit what is left; number → id of what was accepted."""
    while left and not is_over.is_set():
        try:
            number = left.pop()
        except IndexError:
            return
        identity = submitted(port, colour_of(number))
        if identity:
            accepted[number] = identity
        else:
            left.append(number)


def _is_given_up(port, number, identity):
    """Whether a job happened to be at work at three of the kills, and has failed; any other has its own picture."""
    error = program.call(port, 'GET', f'/jobs/{identity}').json['error']
    if not error:
        assert is_like(picture(port, identity), colour_of(number)), number
        return False
    assert error['code'] == 'crashed'
    return True


if __name__ == '__main__':
    main(*sys.argv[1:])
