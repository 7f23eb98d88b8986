#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``worker``: takes jobs from the broker, one at a time for each device, and delivers what becomes of them.

Libraries: none here.
"""

import contextlib
import logging
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Sequence

from modules import errors, terminal
from modules.clips.animator import Animator
from modules.configuration import Configuration
from modules.engines.diffusion import gpus
from modules.engines.registry import Engines
from modules.i18n import text
from modules.jobs.fleet.agreement import common, differences
from modules.jobs.fleet.broker import HEARTBEAT_TIMEOUT
from modules.jobs.fleet.connection import AWAY
from modules.jobs.fleet.device import Device, Intervals, WorkerState
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.work import IdleWork, run_guarded
from modules.photos.sandbox.sandbox import Sandbox, SandboxedReader

logger = logging.getLogger(__name__)


class Heartbeat:
    """
    Signs of life.

    :param state: the worker's
    :type state: WorkerState
    :param name: the worker's
    :type name: str
    :param devices: each device and its thread, the first of all devices first
    :type devices: dict[Device, threading.Thread]
    """

    def __init__(self, state: WorkerState, name: str, devices: dict[Device, threading.Thread]):
        self._state = state
        self._name = name
        self._devices = devices
        self._logged = ''
        #: seconds by which Redis's clock is ahead of this machine's monotonic one
        self._ahead = 0.0

    def run(self) -> None:
        """Give signs of life until the worker ends."""
        while not self._state.closing.is_set():
            try:
                self._follow_clock()
                self._beat()
                self._log_differences()
            except (*AWAY, errors.BrokerAway):
                self._state.note_outage()
            self._state.closing.wait(self._state.intervals.heartbeat / 6)

    def _beat(self) -> None:
        working = [device for device, thread in self._devices.items() if thread.is_alive()]
        for device in working:
            device.receiver.send_heartbeat(looks_after_dead = not self._state.is_after_outage)
        first = next(iter(self._devices))
        facts = {'shared': self._state.shared, 'devices': len(working), **first.facts()}
        self._state.ledger.members.enrol(self._name, facts)

    def _follow_clock(self) -> None:
        """Whoever is silent because Redis's clock was set, or this machine slept, is not dead because of that."""
        ahead = self._state.ledger.connection.probe() - time.monotonic()
        if abs(ahead - self._ahead) > self._state.intervals.heartbeat / 3:
            self._state.note_outage()
        self._ahead = ahead

    def _log_differences(self) -> None:
        """Write to the log, once, in what this worker differs from all web processes."""
        webs = self._state.ledger.members.known('webs').values()
        found = {
            differences(self._state.shared, each['shared'])
            for each in webs if each['silent'] < HEARTBEAT_TIMEOUT
        }
        words = '' if not found or '' in found else '; '.join(sorted(found))
        if words and words != self._logged:
            logger.warning('This worker gets no jobs, because it is not like the web side: %s',
                           words)
        self._logged = words


class Worker:
    """
    One process of a fleet.

    :param animator: does the work
    :type animator: Animator
    :param ledger: knows the jobs
    :type ledger: Ledger
    :param shared: what is compared with the web side
    :type shared: dict[str, str]
    :param find_others: gives one more animator for each further device
    :type find_others: Callable[[], Sequence[Animator]]
    :param intervals: how long it waits
    :type intervals: Intervals
    """

    def __init__(self,
                 animator: Animator,
                 ledger: Ledger,
                 shared: dict[str, str],
                 *,
                 find_others: Callable[[], Sequence[Animator]] = tuple,
                 intervals: Intervals = Intervals()):  # noqa: B008
        self.animator = animator
        self.ledger = ledger
        self.name = f'{platform.node()}-{os.getpid()}'
        self.state = WorkerState(ledger, shared, intervals)
        self._find_others = find_others
        self._idle_work = IdleWork()

    def stop(self) -> None:
        """End soon."""
        self.state.closing.set()

    def run(self) -> None:
        """Work until :meth:`stop`; what runs then is handed back."""
        devices = {}
        for number, each in enumerate(self._loaded(), 1):
            device = Device(self.state, each, self._idle_work)
            devices[device] = self._thread(f'worker {number}', device.work)
        heartbeat = Heartbeat(self.state, self.name, devices)
        threads = [*devices.values(), self._thread('heartbeat', heartbeat.run)]
        for thread in threads:
            thread.start()
        for thread in threads:
            self._idle_work.join(thread)
        with contextlib.suppress(errors.BrokerAway):
            self.ledger.members.dismiss(self.name)
        self.ledger.close()

    def _loaded(self) -> list[Animator]:
        """Make the animators of all devices ready; those of further devices that cannot work are left out."""
        _state, refusal = run_guarded('Loading', self.animator.load)
        if refusal:
            logger.warning('No engine is ready yet: %s', refusal)
        animators = [self.animator]
        for other in self._find_others():
            _state, refusal = run_guarded('Loading', other.load)
            if refusal:
                logger.warning('A further device takes no jobs: %s', refusal)
            else:
                animators.append(other)
        return animators

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """Make a thread with which the whole worker ends: whoever started it starts it again."""

        def end() -> None:
            state, _refusal = run_guarded(f'The thread {name}', work)
            if state != 'done':
                self.state.fail(f'{name} has failed')

        return threading.Thread(target = end, name = name, daemon = True)


def run(options: Configuration, language: str, *, engines: Engines | None = None) -> int:
    """
    What ``worker`` does: wait for the broker, then work until a signal.

    :param options: the configuration
    :type options: Configuration
    :param language: of what is said
    :type language: str
    :param engines: other engines than the usual ones
    :type engines: Engines | None
    :return: the exit code
    :rtype: int
    """
    ledger = Ledger(options.queue.broker)
    try:
        ledger.connection.probe()
    except errors.BrokerAway as error:
        logger.error('%s', text('cli.no_contact', reason = error.__cause__).in_(language))
        return 1
    if warning := ledger.connection.eviction_warning():
        logger.warning('%s', warning.in_(language))
    sandbox = Sandbox(options.web.max_pixels)
    reader = SandboxedReader(sandbox, options.web.max_pixels)
    animator = Animator(options, reader, engines or Engines(options))

    def find_others() -> list[Animator]:
        return [Animator(each, reader, Engines(each)) for each in gpus.others(options)]

    try:
        return serve(Worker(animator, ledger, common(options), find_others = find_others))
    finally:
        sandbox.close()


def serve(worker: Worker) -> int:
    """
    Work until a signal asks for an end: the job at hand is handed back within a step, as if it had not been begun. A
    second signal ends it at once; the others notice that, and do the job.

    :param worker: the worker
    :type worker: Worker
    :return: the exit code: 1 when it could not go on working
    :rtype: int
    """

    def receive(number: int, _frame: object) -> None:
        if worker.state.closing.is_set() and number == terminal.HANG_UP:
            return
        if worker.state.closing.is_set():
            raise KeyboardInterrupt
        worker.stop()

    for number in terminal.stop_signals():
        signal.signal(number, receive)
    worker.run()
    return 1 if worker.state.has_failed else 0
