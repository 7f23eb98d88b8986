#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Who does which job: the workers of a queue, one for each device. Each job goes to the device that will have done it
first, which may be one that is busy still and faster than one that is idle.

Libraries: none.
"""

import math
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from modules.clips.animator import Animator
from modules.jobs.job import Job
from modules.jobs.pace import Pace

Worker = TypeVar('Worker', bound = Hashable)


def kind_of(job: Job) -> tuple[str, str | None]:
    """
    What jobs of one length have in common.

    :param job: a job
    :type job: Job
    :return: its engine and its preset
    :rtype: tuple[str, str | None]
    """
    return job.request.engine, job.request.preset


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


class Crew:
    """
    The workers of a queue. Used under the queue's own lock.

    :param pace: what was learnt of how long jobs take, by :func:`kind_of` and animator
    :type pace: Pace
    """

    def __init__(self, pace: Pace):
        self._pace = pace
        self._threads: dict[Animator, threading.Thread] = {}
        # those whose engine is loaded
        self._ready: set[Animator] = set()
        self._doing: dict[Animator, Job] = {}

    def __len__(self) -> int:
        return len(self._threads)

    @property
    def threads(self) -> list[threading.Thread]:
        """Those who work, the first device's first."""
        return list(self._threads.values())

    def employ(self, animator: Animator, work: Callable[[Animator], None]) -> None:
        """
        Start a worker.

        :param animator: what it works with
        :type animator: Animator
        :param work: what it does until it ends
        :type work: Callable[[Animator], None]
        """
        name = f'worker {len(self._threads) + 1}'
        thread = threading.Thread(target = work, args = (animator, ), name = name, daemon = True)
        self._threads[animator] = thread
        thread.start()

    def dismiss(self, animator: Animator) -> None:
        """
        Count on a worker no more.

        :param animator: what it worked with
        :type animator: Animator
        """
        self._threads.pop(animator, None)
        self._ready.discard(animator)

    def begin(self, animator: Animator, job: Job) -> None:
        """
        A worker takes a job.

        :param animator: what it works with
        :type animator: Animator
        :param job: the job
        :type job: Job
        """
        self._doing[animator] = job

    def end(self, animator: Animator) -> None:
        """
        A worker has let go of its job.

        :param animator: what it works with
        :type animator: Animator
        """
        del self._doing[animator]

    def next_for(self, animator: Animator, line: Sequence[Job]) -> Job | None:
        """
        The job that a worker is to begin now.

        :param animator: what it works with; it has nothing to do just now
        :type animator: Animator
        :param line: the jobs that wait
        :type line: Sequence[Job]
        :return: the first that it will have done before anybody else; None where there is none
        :rtype: Job | None
        """
        self._ready.add(animator)
        if len(self._ready) < 2 or not line:
            return line[0] if line else None
        free = {each: self._seconds_until_free(each) for each in self._there()}
        turns = assign(free, self._seconds(line))
        return next((job for job, (worker, begun, _done) in zip(line, turns, strict = True)
                     if worker is animator and begun == 0), None)

    def others_can(self, animator: Animator, job: Job) -> bool:
        """
        Whether somebody else is able to do a job.

        :param animator: what one worker works with
        :type animator: Animator
        :param job: a job
        :type job: Job
        :return: the answer
        :rtype: bool
        """
        others = (each.engines.own_reasons() for each in self._there() if each is not animator)
        return any(reasons.get(job.request.engine) is None for reasons in others)

    def seconds_left(self, line: Sequence[Job]) -> float | None:
        """
        When the last job of a line will be done.

        :param line: jobs that wait, from the first on
        :type line: Sequence[Job]
        :return: seconds; None where nothing is known
        :rtype: float | None
        """
        free = {each: self._left(each) for each in self._there()}
        is_known = all(
            any(self._pace.whole(kind_of(job), each) is not None for each in free) for job in line)
        if not free or None in free.values() or not is_known:
            return None
        return [done for _worker, _begun, done in assign(free, self._seconds(line))][-1]

    def _there(self) -> list[Animator]:
        """Those who can be counted on, the first device first."""
        return [each for each in self._threads if each in self._ready]

    def _left(self, animator: Animator) -> float | None:
        return self._pace.left(self._doing[animator]) if animator in self._doing else 0.0

    def _seconds_until_free(self, animator: Animator) -> float:
        """Nobody waits for a worker of whom that is not known, or whose job takes much longer than others did."""
        if animator not in self._doing:
            return 0.0
        left = self._left(animator)
        return math.inf if left is None or self._pace.is_late(self._doing[animator]) else left

    def _seconds(self, line: Sequence[Job]) -> Iterator[dict[Animator, float]]:
        """For each job what it takes each worker who can do it; everybody, to give an answer, where nobody can."""
        reasons = {each: each.engines.own_reasons() for each in self._there()}
        for job in line:
            able = [each for each in reasons if reasons[each].get(job.request.engine) is None]
            known = {each: self._pace.whole(kind_of(job), each) for each in able or reasons}
            # who has not done one yet is given the benefit of the doubt
            best = min((seconds for seconds in known.values() if seconds is not None),
                       default = 1.0)
            yield {each: best if seconds is None else seconds for each, seconds in known.items()}
