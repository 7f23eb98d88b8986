#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a fleet does and what its queue costs, with a real Redis and real processes on this machine.

    python bench/fleet.py [clips] [waiting]
    python bench/fleet.py storm [JOBS] [MINUTES] [SEED]

``clips``: clips a minute with 1, 2 and 4 workers, of camera motion and of a stand-in that sleeps as long as a GPU would
take. ``waiting``: what one job costs the queue while 10, 1 000 and 100 000 others wait. Without a word: both.
``storm``: JOBS (1000) are submitted within MINUTES (10) to two web processes and three workers, while each of them, and
Redis, is killed, ended, stopped and started again at random.

Libraries: those of the tests; the program redis-server.
"""

import importlib
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'support')]

import program  # noqa: E402
from crashing import photo  # noqa: E402
from storm import Storm  # noqa: E402

from modules.configuration import QueueOptions  # noqa: E402
from modules.jobs import lifecycle  # noqa: E402
from modules.jobs.fleet.broker import MessageReceiver  # noqa: E402
from modules.jobs.fleet.ledger import Ledger  # noqa: E402
from modules.jobs.fleet.task import Task  # noqa: E402
from modules.jobs.job import Job, new_id  # noqa: E402
from modules.request import parse_request  # noqa: E402

#: the helper of the tests, which a type checker takes for this file
fleet: Any = importlib.import_module('fleet')

#: jobs of a measurement for each worker
JOBS = 12
#: seconds that the stand-in sleeps for a clip
SLOW = 3.0

LIMITS = QueueOptions(max_waiting = 10**9, max_waiting_per_client = 0)


def _clips_a_minute(workers, engine, frames, content):
    """Submit, wait until all are done, count."""
    with tempfile.TemporaryDirectory() as folder, fleet.fleet(folder) as (_redis, members):
        port, _process = members.web('home', frames)
        for _ in range(workers):
            members.worker(frames, engine, SLOW)
        ledger = Ledger(members.url)
        while len(ledger.members.known()) < workers:
            time.sleep(0.05)
        program.ready(port)
        began, count = time.monotonic(), JOBS * workers
        body, headers = program.form([], [('file', 'a.jpg', content)])
        jobs = [program.call(port, 'POST', '/jobs', body, headers).json['id'] for _ in range(count)]
        while any(fleet.fetch_job(port, each)['state'] != 'done' for each in jobs[-workers:]):
            time.sleep(0.05)
        return 60 * count / (time.monotonic() - began)


def clips():
    real = (ROOT / 'docs' / 'photo.jpg').read_bytes()
    print('engine                 workers  clips/min')
    for name, engine, frames, content in (('camera motion', 'camera', 25, real),
                                          (f'sleeps {SLOW:g} s', 'Steady', 2, photo())):
        for workers in (1, 2, 4):
            rate = _clips_a_minute(workers, engine, frames, content)
            print(f'{name:22} {workers:7} {rate:10.1f}', flush = True)


def _one_job(folder, ledger):
    """Seconds of submitting, of asking for the place, of taking and of delivering a job of 3 MB."""
    identity = new_id()
    upload = folder / identity / 'upload'
    upload.parent.mkdir()
    upload.write_bytes(bytes(1_000_000))
    job = Job(identity, upload.parent, parse_request([], upload, 'a', 'camera'))
    moments = [time.perf_counter()]
    ledger.line.submit(job, 'bench', LIMITS)
    moments.append(time.perf_counter())
    ledger.line.position(job.id)
    moments.append(time.perf_counter())
    receiver = MessageReceiver(ledger.client, ['bench'], 15)
    receiver.send_heartbeat(looks_after_dead = True)
    first = receiver.next()
    taken, _fields = ledger.jobs.find(first, folder / 'taken' / first)
    lifecycle.begin(taken)
    task = Task(ledger, threading.Event(), taken, 1)
    task.begin()
    moments.append(time.perf_counter())
    lifecycle.end(taken, 'done')
    task.deliver({'clip.gif': bytes(3_000_000)})
    receiver.acknowledge()
    moments.append(time.perf_counter())
    ledger.client.delete(f'tlp:files:{taken.id}:1')
    return [1000 * (after - before) for before, after in zip(moments, moments[1:], strict = False)]


def _fill(folder, ledger, count):
    """Let so many small jobs wait."""
    upload = folder / 'upload'
    upload.write_bytes(b'a photo')
    while ledger.line.counts()[0] < count:
        identity = new_id()
        job = Job(identity, folder, parse_request([], upload, 'a', 'camera'))
        ledger.line.submit(job, 'bench', LIMITS)


def waiting():
    print('waiting   submit  position   take  deliver (ms, median of 20)   Redis, MB')
    with tempfile.TemporaryDirectory() as home, fleet.redis_server(home) as redis:
        ledger, folder = Ledger(redis.url), Path(home)
        # durable each second, as is usual, so that this disk is not what is measured
        ledger.client.config_set('appendfsync', 'everysec')
        for count in (10, 1000, 100_000):
            _fill(folder, ledger, count)
            found = [_one_job(folder, ledger) for _ in range(20)]
            middle = [statistics.median(each) for each in zip(*found, strict = True)]
            memory = ledger.client.info('memory')['used_memory'] / 1e6
            times = ''.join(f'{each:9.2f}' for each in middle)
            print(f'{count:7} {times} {memory:28.0f}', flush = True)


def storm(count = 1000, minutes = 10, seed = 1):
    with tempfile.TemporaryDirectory() as folder, fleet.fleet(folder) as (redis, members):
        weather = Storm(members, redis, random.Random(seed))
        for port in weather.ports.values():
            program.ready(port, 120)
        began = time.monotonic()
        weather.kill_at_random(count, 60 * minutes)
        raged = (time.monotonic() - began) / 60
        found = weather.outcomes()
        done = found.pop('done', set())
        mixed_up = found.pop('mixed up', set())
        crashed = found.pop('crashed', set())
        lost = set().union(*found.values()) | (set(range(count)) - set(weather.accepted))
        print('| jobs | minutes | done | given up, told so | lost | mixed up |')
        print('|---|---|---|---|---|---|')
        print(
            f'| {count} | {raged:.1f} | {len(done - crashed)} | {len(crashed)} | {len(lost)} | {len(mixed_up)} |'
        )
        for title, counted in (('happened', weather.happened), ('refused', weather.refused)):
            print(f'{title}: ' + ', '.join(f'{name} {times}'
                                           for name, times in sorted(counted.items())))
        for word, numbers in found.items():
            print(f'{word}: {[(number, weather.accepted[number]) for number in sorted(numbers)]}')
        if lost or mixed_up:
            print(Path(folder, 'log').read_text()[-20_000:], file = sys.stderr)
            sys.exit(1)


if __name__ == '__main__':
    wanted = sys.argv[1:] or ['clips', 'waiting']
    if wanted[0] == 'storm':
        storm(*map(int, wanted[1:]))
        sys.exit()
    for name in wanted:
        {'clips': clips, 'waiting': waiting}[name]()
