#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How long things take, learnt from the jobs that were done.

Libraries: none.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from modules.jobs.job import Job
from modules.progress import Progress

Worker = TypeVar('Worker', bound = Hashable)

#: in the order in which a job goes through them
PHASES = ('loading', 'encoding', 'step', 'decoding', 'writing')

#: before anything was measured, a job is believed to take this many seconds, when somebody asks when to come back
FIRST_GUESS = 20.0


def kind_of(job: Job) -> tuple[str, str | None, float | None]:
    """
    Tell what jobs of one length have in common.

    :param job: a job
    :type job: Job
    :return: its engine, its preset and its length
    :rtype: tuple[str, str | None, float | None]
    """
    return job.request.engine, job.request.preset, job.request.seconds


@dataclass
class _Run:
    """The job that is being done."""

    #: what it is, and what it is done with
    kind: Hashable
    began: float
    phase: str
    phase_began: float
    progress: Progress
    stepped: float
    #: the first step of the phase that was reported: engines report steps when they are over
    first_step: int = 0


class Pace:
    """
    Learn from workers, each of which does one job at a time.

    :param clock: seconds, ever growing
    :type clock: Callable[[], float]
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._seconds: dict[Hashable, dict[str, float]] = defaultdict(dict)
        self._guess = FIRST_GUESS
        self._runs: dict[Hashable, _Run] = {}
        self._lock = threading.Lock()

    def begin(self, kind: Hashable, worker: Hashable = None, device: Hashable = None) -> None:
        """
        Note that a job begins.

        :param kind: what jobs that take equally long have in common
        :type kind: Hashable
        :param worker: who does it; needs no name where there is only one
        :type worker: Hashable
        :param device: what it is done with; needs no name where there is only one
        :type device: Hashable
        """
        now = self._clock()
        with self._lock:
            self._runs[worker] = _Run((kind, device), now, '', now, Progress(''), now)

    def note(self, progress: Progress, worker: Hashable = None) -> tuple[str, float] | None:
        """
        Note that a job goes on.

        :param progress: how far it is
        :type progress: Progress
        :param worker: who does it
        :type worker: Hashable
        :return: the phase that has ended with this, and its seconds
        :rtype: tuple[str, float] | None
        """
        with self._lock:
            run, now, ended = self._runs[worker], self._clock(), None
            if progress.phase != run.phase:
                ended = self._end_phase(run, now)
                run.phase, run.phase_began, run.first_step = progress.phase, now, progress.step
            run.progress, run.stepped = progress, now
            return ended

    def end(self, is_whole: bool, worker: Hashable = None) -> tuple[str, float] | None:
        """
        Note that a job has ended.

        :param is_whole: whether it was done; others teach nothing about the whole
        :type is_whole: bool
        :param worker: who did it
        :type worker: Hashable
        :return: the last phase and its seconds
        :rtype: tuple[str, float] | None
        """
        with self._lock:
            run, now = self._runs.pop(worker), self._clock()
            if is_whole:
                self._guess += 0.3 * (now - run.began - self._guess)
                return self._end_phase(run, now)
            return (run.phase, now - run.phase_began) if run.phase else None

    def left(self, worker: Hashable = None) -> float | None:
        """
        Tell how long until the running job is done.

        :param worker: who does it
        :type worker: Hashable
        :return: seconds; None where nothing is known, or nothing runs
        :rtype: float | None
        """
        with self._lock:
            run = self._runs.get(worker)
            if not run:
                return None
            learnt = self._seconds[run.kind]
            rest = self._rest_of_phase(run, learnt.get(run.phase))
            if rest is None:
                return None
            place = PHASES.index(run.phase) if run.phase in PHASES else -1
            later = PHASES[place + 1:]
            if 'step' in later and 'step' not in learnt:
                return None
            return rest + sum(learnt.get(phase, 0) for phase in later)

    def whole(self, kind: Hashable, device: Hashable = None) -> float | None:
        """
        Tell how long a whole job takes.

        :param kind: what jobs that take equally long have in common
        :type kind: Hashable
        :param device: what it is done with
        :type device: Hashable
        :return: seconds; None where nothing is known
        :rtype: float | None
        """
        with self._lock:
            return self._whole((kind, device))

    def is_late(self, worker: Hashable = None) -> bool:
        """
        Find out whether the running job takes much longer than the ones before did.

        :param worker: who does it
        :type worker: Hashable
        :return: whether it has taken twice as long already
        :rtype: bool
        """
        with self._lock:
            run = self._runs.get(worker)
            if not run:
                return False
            whole = self._whole(run.kind)
            return whole is not None and self._clock() - run.began > 2 * whole

    def _whole(self, kind: Hashable) -> float | None:
        learnt = self._seconds[kind]
        return sum(learnt.values()) if 'step' in learnt else None

    def guess(self) -> float:
        """
        Guess after which time a place becomes free.

        :return: seconds
        :rtype: float
        """
        return self._guess

    def _end_phase(self, run: _Run, now: float) -> tuple[str, float] | None:
        if not run.phase:
            return None
        self._seconds[run.kind][run.phase] = now - run.phase_began
        return run.phase, now - run.phase_began

    def _rest_of_phase(self, run: _Run, learnt: float | None) -> float | None:
        now, progress = self._clock(), run.progress
        measured = progress.step - run.first_step
        if measured > 0:
            pace = (run.stepped - run.phase_began) / measured
            return max(0.0, pace * (progress.steps - progress.step) - (now - run.stepped))
        if learnt is None:
            # what comes before the steps is short beside them
            return None if run.phase == 'step' else 0.0
        return max(0.0, learnt - (now - run.phase_began))


def assign(free: Mapping[Worker, float],
           line: Iterable[Mapping[Worker, float]]) -> Iterator[tuple[Worker, float, float]]:
    """
    Give each waiting job to the worker who will have done it first.

    :param free: worker → seconds until it is free
    :type free: Mapping[Worker, float]
    :param line: for each job, in the order of the line, worker → seconds that it takes; without those who cannot do it
    :type line: Iterable[Mapping[Worker, float]]
    :yield: for each job who does it, and in how many seconds it is begun and done
    :ytype: tuple[Worker, float, float]
    """
    busy = dict(free)
    for seconds in line:
        worker = min(seconds, key = lambda each: busy[each] + seconds[each])
        begun = busy[worker]
        busy[worker] += seconds[worker]
        yield worker, begun, busy[worker]
