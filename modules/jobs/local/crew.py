#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Who does which job: the devices of a queue and the jobs that run. Each job goes to the device that will have done it
first, which may be one that is busy still and faster than one that is idle.

Libraries: none.
"""

import math
from collections.abc import Iterator, Sequence

from modules.clips.animator import Animator
from modules.jobs.job import Job
from modules.jobs.pace import Pace, assign, kind_of


class Crew:
    """
    The devices that can be counted on, and the jobs they do. Used under the queue's own lock.

    :param pace: what was learnt of how long jobs take, by :func:`kind_of` and animator
    :type pace: Pace
    :param ready: who is counted on from the beginning
    :type ready: Sequence[Animator]
    """

    def __init__(self, pace: Pace, ready: Sequence[Animator] = ()):
        self._pace = pace
        # those whose engine is loaded; a dictionary keeps the order, and of two that are equal the first is taken
        self._ready: dict[Animator, None] = dict.fromkeys(ready)
        #: the job that each is doing
        self.jobs: dict[Animator, Job] = {}

    @property
    def running(self) -> Sequence[Job]:
        """The jobs that are being done, in the order in which they were begun."""
        return tuple(self.jobs.values())

    def dismiss(self, animator: Animator) -> None:
        """
        Count on a worker no more.

        :param animator: what it worked with
        :type animator: Animator
        """
        self._ready.pop(animator, None)

    def next_for(self, animator: Animator, line: Sequence[Job]) -> Job | None:
        """
        Choose the job that a worker is to begin now.

        :param animator: what it works with; it has nothing to do just now
        :type animator: Animator
        :param line: the jobs that wait
        :type line: Sequence[Job]
        :return: the first that it will have done before anybody else; None where there is none
        :rtype: Job | None
        """
        self._ready.setdefault(animator)
        if len(self._ready) < 2 or not line:
            return line[0] if line else None
        free = {each: self._seconds_until_free(each) for each in self._ready}
        plan = assign(free, self._seconds(line))
        return next((job for job, (worker, begun, _done) in zip(line, plan, strict = True)
                     if worker is animator and begun == 0), None)

    def has_substitute(self, animator: Animator, job: Job) -> bool:
        """
        Find out whether somebody else is able to do a job.

        :param animator: what one worker works with
        :type animator: Animator
        :param job: a job
        :type job: Job
        :return: the answer
        :rtype: bool
        """
        others = (each.engines.own_reasons() for each in self._ready if each is not animator)
        return any(reasons.get(job.request.engine) is None for reasons in others)

    def seconds_left(self, line: Sequence[Job]) -> float | None:
        """
        Tell when the last job of a line will be done.

        :param line: jobs that wait, from the first on
        :type line: Sequence[Job]
        :return: seconds; None where nothing is known
        :rtype: float | None
        """
        left = {each: self._left(each) for each in self._ready}
        free = {each: seconds for each, seconds in left.items() if seconds is not None}
        is_known = all(
            any(self._pace.whole(kind_of(job), each) is not None for each in free) for job in line)
        if not free or len(free) < len(left) or not is_known:
            return None
        return [done for _worker, _begun, done in assign(free, self._seconds(line))][-1]

    def _left(self, animator: Animator) -> float | None:
        return self._pace.left(self.jobs[animator]) if animator in self.jobs else 0.0

    def _seconds_until_free(self, animator: Animator) -> float:
        """Nobody waits for a worker of whom that is not known, or whose job takes much longer than others did."""
        if animator not in self.jobs:
            return 0.0
        left = self._left(animator)
        return math.inf if left is None or self._pace.is_late(self.jobs[animator]) else left

    def _seconds(self, line: Sequence[Job]) -> Iterator[dict[Animator, float]]:
        """For each job what it takes each worker who can do it; everybody, to give an answer, where nobody can."""
        reasons = {each: each.engines.own_reasons() for each in self._ready}
        for job in line:
            able = [each for each in reasons if reasons[each].get(job.request.engine) is None]
            known = {each: self._pace.whole(kind_of(job), each) for each in able or reasons}
            # who has not done one yet is given the benefit of the doubt
            best = min((seconds for seconds in known.values() if seconds is not None),
                       default = 1.0)
            yield {each: best if seconds is None else seconds for each, seconds in known.items()}
