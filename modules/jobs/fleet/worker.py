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
from collections.abc import Callable, Sequence
from typing import Any

from modules import errors, terminal
from modules.clips.animator import Animator
from modules.configuration import Configuration
from modules.engines.diffusion import gpus
from modules.engines.registry import Engines
from modules.i18n import text
from modules.jobs.fleet.agreement import common, eviction_warning
from modules.jobs.fleet.broker import HEARTBEAT, MessageReceiver
from modules.jobs.fleet.device import Device
from modules.jobs.fleet.heartbeat import Heartbeat, clock_skew
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.fleet.shift import Intervals, Shift
from modules.jobs.work import IdleWork, run_guarded
from modules.photos.sandbox.sandbox import Sandbox, SandboxedReader

logger = logging.getLogger(__name__)


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
        self._shift = Shift(ledger, shared, intervals)
        self._find_others = find_others
        self._idle_work = IdleWork()
        #: each device and its thread
        self._threads: dict[Device, threading.Thread] = {}

    @property
    def has_failed(self) -> bool:
        """Whether it has ended because it could not work."""
        return self._shift.has_failed

    @property
    def is_closing(self) -> bool:
        """Whether it ends."""
        return self._shift.closing.is_set()

    def stop(self) -> None:
        """End soon."""
        self._shift.closing.set()

    def run(self) -> None:
        """Work until :meth:`stop`; what runs then is handed back."""
        devices = [Device(self._shift, each, self._idle_work) for each in self._loaded()]
        self._threads = {
            each: self._thread(f'worker {number}', each.work)
            for number, each in enumerate(devices, 1)
        }
        heartbeat = Heartbeat(self._shift, self.name, self._receivers, lambda: _facts(devices[0]))
        threads = [*self._threads.values(), self._thread('heartbeat', heartbeat.run)]
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
                self._shift.fail(f'{name} has failed')

        return threading.Thread(target = end, name = name, daemon = True)

    def _receivers(self) -> list[MessageReceiver]:
        """List the receivers of the devices that work."""
        return [device.receiver for device, thread in self._threads.items() if thread.is_alive()]


def _facts(device: Device) -> dict[str, Any]:
    return {'engines': device.engines(), 'depth': device.depth_models()}


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
        skew = clock_skew(ledger.connection)
    except errors.BrokerAway as error:
        logger.error('%s', text('cli.no_contact', reason = error.__cause__).in_(language))
        return 1
    # by their own clocks machines judge whether another one is silent
    if abs(skew) > HEARTBEAT / 3:
        logger.error('%s', text('cli.wrong_clock', seconds = round(skew)).in_(language))
        return 1
    if warning := eviction_warning(ledger):
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
        if worker.is_closing and number == terminal.HANG_UP:
            return
        if worker.is_closing:
            raise KeyboardInterrupt
        worker.stop()

    for number in terminal.stop_signals():
        signal.signal(number, receive)
    worker.run()
    return 1 if worker.has_failed else 0
