#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A fleet in bad weather: people submit photos, each of its own colour, while web processes, workers and Redis are killed,
ended, stopped for a while and started again at random. Then every job that was accepted must be there, with its colour.

Libraries: Pillow, none but the standard one besides.
"""

import collections
import contextlib
import http.client
import io
import signal
import threading
import time

import program
from crashing import colour_of, is_like, photo
from PIL import Image

#: seconds that somebody waits for an answer before asking another web process
PATIENCE = 10
#: of the colours of photos there are so many
MOST = 1000


class Storm:
    """
    Two web processes, three workers and Redis, and what becomes of jobs meanwhile.

    :param members: a fleet without any member
    :param redis: its Redis
    :param chance: decides what happens when
    :param seconds: for which a job keeps a worker
    """

    def __init__(self, members, redis, chance, seconds = 0.4):
        self.members, self.redis, self.chance, self.seconds = members, redis, chance, seconds
        self.ports, self.processes = {}, {}
        #: number of the photo → id of its job
        self.accepted = {}
        self.refused = collections.Counter()
        self.happened = collections.Counter()
        self.is_over = threading.Event()
        for name in ('web a', 'web b', 'worker 1', 'worker 2', 'worker 3'):
            self.start(name)

    def start(self, name):
        if name.startswith('web'):
            self.ports[name], self.processes[name] = self.members.web(name.replace(' ', '-'))
        elif name.startswith('worker'):
            self.processes[name] = self.members.worker(seconds = self.seconds)
        else:
            self.redis.start()

    def process(self, name):
        return self.redis.process if name == 'redis' else self.processes[name]

    def blow(self):
        """One thing happens to one process."""
        name = self.chance.choice([*self.processes, 'redis'])
        process = self.process(name)
        if self.chance.random() < 0.5:
            self.happened[f'{name.split()[0]} stopped'] += 1
            process.send_signal(signal.SIGSTOP)
            # shorter and longer than what makes others take a worker for dead
            self.is_over.wait(self.chance.uniform(0.5, 8))
            process.send_signal(signal.SIGCONT)
            return
        is_ended = name != 'redis' and self.chance.random() < 0.4
        self.happened[f'{name.split()[0]} {"ended" if is_ended else "killed"}'] += 1
        # a server of somebody else may get its port, and would answer in its place
        self.ports.pop(name, None)
        if is_ended:
            process.terminate()
            process.wait(60)
        process.kill()
        process.wait()
        self.is_over.wait(self.chance.uniform(0, 2))
        self.start(name)

    def submit(self, number):
        """Until one of the web processes has accepted it."""
        body, headers = program.form([], [('file', f'{number}.png', photo(colour_of(number)))])
        while number not in self.accepted and not self.is_over.is_set():
            name = self.chance.choice(['web a', 'web b'])
            try:
                answer = program.call(
                    self.ports[name], 'POST', '/jobs', body, headers, timeout = PATIENCE)
                response = answer.json
            except KeyError:
                response = {'code': 'not running'}
            except (OSError, ValueError, http.client.HTTPException):
                response = {'code': 'no answer'}
            if 'id' in response:
                self.accepted[number] = response['id']
                return
            self.refused[response['code']] += 1
            self.is_over.wait(0.3)

    def people(self, count, seconds, at_once = 6):
        """Threads that submit so many photos, spread over so many seconds."""
        began, numbers = time.monotonic(), iter(range(count))
        lock = threading.Lock()

        def submit():
            while not self.is_over.is_set():
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                self.is_over.wait(max(0, began + seconds * number / count - time.monotonic()))
                self.submit(number)

        threads = [threading.Thread(target = submit, daemon = True) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        return threads

    def kill_at_random(self, count, seconds, pauses = (0.5, 3)):
        """All of it, for so many seconds and until all are accepted."""
        threads = self.people(count, seconds)
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.is_over.wait(self.chance.uniform(*pauses))
            self.blow()
        for thread in threads:
            thread.join(300)
        self.is_over.set()

    def outcomes(self, seconds = 300):
        """What became of the accepted ones, seen through both web processes: word → numbers of photos."""
        found = collections.defaultdict(set)
        for number, identity in self.accepted.items():
            for name in ('web a', 'web b'):
                found[self.outcome(name, identity, colour_of(number), seconds)].add(number)
        return found

    def outcome(self, name, identity, colour, seconds):
        ends, path, found = time.monotonic() + seconds, f'/jobs/{identity}', {}
        while time.monotonic() < ends:
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                found = program.call(self.ports[name], 'GET', path).json
                if found.get('finished') or found.get('code') == 'not_found':
                    break
            time.sleep(0.1)
        if found.get('state') != 'done':
            error = found.get('error') or {}
            return error.get('code') or f'{found.get("state")} {found.get("code")}'
        content = program.call(self.ports[name], 'GET', f'{path}/result').body
        with Image.open(io.BytesIO(content)) as clip:
            pixel = clip.convert('RGB').getpixel((20, 20))
        return 'done' if is_like(pixel, colour) else 'mixed up'
