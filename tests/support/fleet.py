#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A fleet on this machine: a real Redis, web processes and workers with a stand-in engine, each a process of its own that
can be killed.

Libraries: none but the standard one, redis, stand_ins.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'support')]

import crashing  # noqa: E402
import forks  # noqa: E402
import program  # noqa: E402
import stand_ins  # noqa: E402

#: seconds after which a worker of a test is taken for dead
HEARTBEAT = 3.0


class Slow(stand_ins.Slow):
    """Twenty steps of a tenth of a second."""


class Gated(crashing.Gated):
    """Waits in its first step until a file is there."""


class Steady(stand_ins.Instant):
    """Takes as many seconds as the environment says."""

    def animate(self, photo, request, control):
        ends = time.monotonic() + float(os.environ.get('SECONDS', '0.4'))
        while time.monotonic() < ends:
            control.stop_if_cancelled()
            time.sleep(0.02)
        return super().animate(photo, request, control)


class Redis:
    """
    A real Redis, that keeps what it is told in a file.

    :param folder: where it keeps that
    :param options: of its command line
    """

    def __init__(self, folder, *options):
        self.folder, self.options = Path(folder), options
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            self.port = free.getsockname()[1]
        self.url = f'redis://127.0.0.1:{self.port}/0'
        self.process = None

    def start(self):
        command = ['redis-server', '--port', str(self.port), '--bind', '127.0.0.1']
        command += [
            '--dir',
            str(self.folder), '--appendonly', 'yes', '--appendfsync', 'always', '--save', '',
            *self.options
        ]
        self.process = subprocess.Popen(command, stdout = subprocess.DEVNULL)
        import redis
        patience = time.monotonic() + 20
        with redis.Redis(port = self.port) as client:
            while time.monotonic() < patience:
                with contextlib.suppress(redis.exceptions.ConnectionError):
                    # one that wants a password is there too
                    with contextlib.suppress(redis.exceptions.AuthenticationError):
                        client.ping()
                    return
                time.sleep(0.02)
        self.stop()
        raise AssertionError('Redis did not start')

    def stop(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def redis_server(folder, *options):
    """Redis, from its start to its end."""
    server = Redis(folder, *options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def options_of(url, frames, waiting = 200):
    from modules.configuration import Configuration, ModelOptions, QueueOptions, WebOptions
    return Configuration(
        web = WebOptions(port = 0, requests_per_minute = 0),
        queue = QueueOptions(broker = url, max_waiting = int(waiting), max_waiting_per_client = 0),
        model = ModelOptions(output_frames = int(frames)))


def load():
    """Import what :func:`main` needs."""
    import app  # noqa: F401
    import modules.jobs.fleet.remote_queue  # noqa: F401
    import modules.jobs.fleet.worker  # noqa: F401
    import modules.web.server  # noqa: F401


def main(kind, *arguments):
    """A web process or a worker."""
    {'web': web, 'worker': worker}[kind](*arguments)


def web(url, frames, home):
    """Serve until killed; the port is the first line."""
    from app import create_app
    from modules import logs
    from modules.web.server import Server
    logs.start('info')
    options = options_of(url, frames)
    app = create_app(options, Path(home))
    server = Server(app, options.web, 36)
    print(server.port, flush = True)  # noqa: T201
    server.run(app.extensions['services'].queue.close)
    app.extensions['services'].close()


def worker(url, frames, engine):
    """Work until killed, by a clock that may be wrong."""
    real, ahead = time.time, float(os.environ.get('CLOCK_AHEAD', '0'))
    time.time = lambda: real() + ahead
    from modules import logs
    from modules.clips.animator import Animator
    from modules.engines.registry import Engines
    from modules.jobs.fleet.agreement import common
    from modules.jobs.fleet.device import Intervals
    from modules.jobs.fleet.ledger import Ledger
    from modules.jobs.fleet.worker import Worker, serve
    from modules.photos.reader import PhotoReader
    logs.start('info')
    options = options_of(url, frames)
    table = {'table': {'camera': ('fleet', engine)}} if engine != 'camera' else {}
    animator = Animator(options, PhotoReader(options.web.max_pixels), Engines(options, **table))
    print('working', flush = True)  # noqa: T201
    sys.exit(
        serve(
            Worker(
                animator,
                Ledger(url),
                common(options),
                intervals = Intervals(heartbeat = HEARTBEAT))))


def process(log, kind, *arguments, **environment):
    with Path(log).open('a') as written:
        return forks.start(
            __file__,
            kind,
            *map(str, arguments),
            stderr = written,
            env = {
                **os.environ,
                **environment
            })


class Fleet:
    """
    Web processes and workers; whatever became of them, they are gone afterwards.

    :param folder: for homes and logs
    :param url: of Redis
    """

    def __init__(self, folder, url):
        self.folder, self.url = Path(folder), url
        self.processes = []

    def web(self, name, frames = 2):
        """Port and process."""
        started = process(self.folder / 'log', 'web', self.url, frames, self.folder / name)
        self.processes.append(started)
        return int(started.stdout.readline()), started

    def worker(self, frames = 2, engine = 'Steady', seconds = 0.4, **environment):
        environment = {'SECONDS': str(seconds), **environment}
        started = process(self.folder / 'log', 'worker', self.url, frames, engine, **environment)
        self.processes.append(started)
        assert started.stdout.readline() == 'working\n'
        return started

    def close(self):
        for each in self.processes:
            each.kill()
        for each in self.processes:
            each.wait()
            each.stdout.close()


@contextlib.contextmanager
def fleet(folder):
    """Redis and a fleet without any member yet."""
    with redis_server(folder) as redis:
        members = Fleet(folder, redis.url)
        try:
            yield redis, members
        finally:
            members.close()


def start_worker(running, options, engines):
    """
    Start a worker in this process.

    :param running: ends it
    :type running: contextlib.ExitStack
    :param options: its options
    :type options: Configuration
    :param engines: its engines
    :type engines: Engines
    :return: the worker, and its thread
    :rtype: tuple[Worker, threading.Thread]
    """
    from modules.clips.animator import Animator
    from modules.jobs.fleet.agreement import common
    from modules.jobs.fleet.device import Intervals
    from modules.jobs.fleet.ledger import Ledger
    from modules.jobs.fleet.worker import Worker
    from modules.photos.reader import PhotoReader
    worker = Worker(
        Animator(options, PhotoReader(options.web.max_pixels), engines),
        Ledger(options.queue.broker),
        common(options),
        intervals = Intervals(heartbeat = HEARTBEAT))
    thread = threading.Thread(target = worker.run)
    thread.start()
    running.callback(thread.join, 20)
    running.callback(worker.stop)
    return worker, thread


def fetch_job(port, identity):
    return program.call(port, 'GET', f'/jobs/{identity}').json


if __name__ == '__main__':
    main(*sys.argv[1:])
