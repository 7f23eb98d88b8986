#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The threads of the queue within this process: one for each device.

Libraries: none.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modules import errors
from modules.clips.animator import Animator
from modules.jobs.local.dispatcher import Dispatcher
from modules.jobs.local.line import Line
from modules.jobs.local.runner import Runner
from modules.jobs.work import IDLE_SECONDS, IdleWork, run_guarded

logger = logging.getLogger(__name__)


def find_none() -> Sequence[Animator]:
    """
    Find no further device.

    :return: nothing
    :rtype: Sequence[Animator]
    """
    return ()


@dataclass(frozen = True)
class WorkerOptions:
    """How the workers of this process work."""

    #: gives one more animator for each further device; called at first and after a job, until there are some
    find_others: Callable[[], Sequence[Animator]] = find_none
    #: show every job's progress in the terminal
    has_progress_bar: bool = False
    #: seconds without a job after which workers do what makes later ones faster
    idle_seconds: float = IDLE_SECONDS


class Workers:
    """
    Take jobs, do them, and use the time in which there are none.

    :param line: tells when the program ends
    :type line: Line
    :param dispatcher: gives them jobs
    :type dispatcher: Dispatcher
    :param runner: does the jobs
    :type runner: Runner
    :param options: how they work
    :type options: WorkerOptions
    :param on_end: called after every job, on the worker
    :type on_end: Callable[[], None]
    """

    def __init__(self, line: Line, dispatcher: Dispatcher, runner: Runner, options: WorkerOptions,
                 on_end: Callable[[], None]):
        self._line = line
        self._dispatcher = dispatcher
        self._runner = runner
        self._options = options
        self._on_end = on_end
        self._idle_work = IdleWork()
        self._threads: dict[Animator, threading.Thread] = {}
        #: the first engine is loaded, or cannot be
        self.has_started = False

    def __len__(self) -> int:
        return len(self._threads)

    def start(self, animator: Animator) -> None:
        """
        Start the first worker, which finds the others.

        :param animator: what it works with
        :type animator: Animator
        """
        self._employ(animator, self._run_first)

    @property
    def is_alive(self) -> bool:
        """Whether anybody works."""
        return any(thread.is_alive() for thread in list(self._threads.values()))

    def join(self, seconds: float) -> None:
        """
        Wait until all have ended that do something that matters.

        :param seconds: how long at the most
        :type seconds: float
        """
        deadline = time.monotonic() + seconds
        for thread in list(self._threads.values()):
            self._idle_work.join(thread, deadline)

    def _employ(self, animator: Animator, work: Callable[[Animator], None]) -> None:
        name = f'worker {len(self._threads) + 1}'
        thread = threading.Thread(target = work, args = (animator, ), name = name, daemon = True)
        self._threads[animator] = thread
        thread.start()

    def _run_first(self, animator: Animator) -> None:
        # failing here fails no job: an engine that can work later is asked again by the job that wants it
        _state, refusal = run_guarded('Loading', animator.load)
        if refusal:
            logger.warning('No engine is ready yet: %s', refusal)
        self.has_started = True
        self._find_others()
        while not self._line.is_closed:
            self._work_once(animator)

    def _find_others(self) -> None:
        """The library that knows the devices comes with the engine, which may be loaded by a job only."""
        if len(self._threads) > 1 or self._line.is_closed:
            return
        for other in self._options.find_others():
            self._employ(other, self._run_other)

    def _run_other(self, animator: Animator) -> None:
        _state, refusal = run_guarded('Loading', animator.load)
        while not refusal and not self._line.is_closed:
            outcome = self._work_once(animator)
            refusal = outcome if isinstance(outcome, errors.EngineUnavailable) else None
        if refusal:
            # it would only fail jobs that the first one can do
            logger.warning('A further device takes no jobs: %s', refusal)
            self._dispatcher.dismiss(animator)
            del self._threads[animator]

    def _work_once(self, animator: Animator) -> errors.Refusal | None:
        """Do one job, or, where none comes for a while, what makes later ones faster; why the job failed."""
        job = self._dispatcher.next_job(animator, self._options.idle_seconds)
        if not job:
            if not self._line.is_closed:
                self._idle_work.run(lambda: animator.prepare(self._stop_if_needed))
            return None
        state, refusal = self._runner.run(animator, job,
                                          lambda: self._dispatcher.has_substitute(animator, job))
        self._dispatcher.release(animator, state, refusal)
        self._on_end()
        # not while idle: a device that was dismissed would be loaded again and again
        self._find_others()
        return refusal

    def _stop_if_needed(self) -> None:
        if self._line.jobs or self._line.is_closed:
            raise errors.Cancelled
