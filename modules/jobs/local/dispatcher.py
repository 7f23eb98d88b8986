#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Which waiting job a worker gets, and what becomes of a job that a worker lets go of, that a person does not want any
more, or that runs when the program ends.

Libraries: none.
"""

import copy
import shutil
import time

from modules import errors
from modules.clips.animator import Animator
from modules.jobs import lifecycle
from modules.jobs.job import Job
from modules.jobs.leftovers import UNFINISHED, remove_folder
from modules.jobs.local.crew import Crew
from modules.jobs.local.journal import Journal
from modules.jobs.local.line import Line

#: seconds after which a device that leaves a job to a faster one finds out whether that still holds
RECHECK_SECONDS = 1.0


class Dispatcher:
    """
    Moves jobs between the line, the workers and the journal.

    :param line: the jobs that wait
    :type line: Line
    :param crew: the jobs that run
    :type crew: Crew
    :param journal: remembers them
    :type journal: Journal
    """

    def __init__(self, line: Line, crew: Crew, journal: Journal):
        self._line = line
        self._crew = crew
        self._journal = journal
        #: ran when the program began to end
        self._interrupted: set[Job] = set()

    def next_job(self, animator: Animator, patience: float) -> Job | None:
        """
        Wait for a job, and begin it.

        :param animator: what the worker works with
        :type animator: Animator
        :param patience: seconds without any job after which the worker may do something else
        :type patience: float
        :return: the job; None when there is none, or the program ends
        :rtype: Job | None
        """
        deadline = time.monotonic() + patience
        with self._line.changed:
            while not self._line.is_closed:
                if job := self._crew.next_for(animator, self._line.jobs):
                    self._begin(animator, job)
                    return job
                seconds = deadline - time.monotonic()
                if not self._line.jobs and seconds <= 0:
                    break
                self._line.changed.wait(RECHECK_SECONDS if self._line.jobs else seconds)
        return None

    def _begin(self, animator: Animator, job: Job) -> None:
        self._line.jobs.remove(job)
        self._crew.jobs[animator] = job
        lifecycle.begin(job)
        self._journal.save(job)
        job.notify()
        self._line.notify_jobs()

    def dismiss(self, animator: Animator) -> None:
        """
        Give a worker no more jobs.

        :param animator: what it worked with
        :type animator: Animator
        """
        with self._line.changed:
            self._crew.dismiss(animator)
            self._line.changed.notify_all()

    def has_substitute(self, animator: Animator, job: Job) -> bool:
        """
        Find out whether a further device can do a job that one cannot do.

        :param animator: what the worker works with who has the job
        :type animator: Animator
        :param job: the job
        :type job: Job
        :return: the answer
        :rtype: bool
        """
        with self._line.changed:
            return self._crew.has_substitute(animator, job)

    def release(self, animator: Animator, state: str, refusal: errors.Refusal | None) -> None:
        """
        Take back the job of a worker.

        :param animator: what the worker works with
        :type animator: Animator
        :param state: how the work ended: ``done``, ``failed`` or ``cancelled``
        :type state: str
        :param refusal: why it failed
        :type refusal: errors.Refusal | None
        """
        with self._line.changed:
            job = self._crew.jobs[animator]
            shutil.rmtree(job.folder / UNFINISHED, ignore_errors = True)
            is_unable = isinstance(refusal, errors.EngineUnavailable)
            if self._journal.is_removed(job):
                lifecycle.end(job, 'cancelled')
                job.notify()
                remove_folder(job.folder)
            elif is_unable and self._can_be_left(animator, job):
                self._put_back(job)
                self._line.jobs.appendleft(job)
            elif state == 'cancelled' and job in self._interrupted and not job.is_awaited:
                self._put_back(job)
            elif state == 'cancelled' and job in self._interrupted:
                self._journal.end(job, 'failed', errors.ShuttingDown())
            else:
                self._journal.end(job, state, refusal)
            # who sees that nothing runs finds the end recorded and counted
            del self._crew.jobs[animator]
            self._line.notify_jobs()
            self._line.changed.notify_all()

    def _can_be_left(self, animator: Animator, job: Job) -> bool:
        """Whether another device can do a job that is still wanted."""
        is_wanted = not job.cancellation.is_set() and not self._line.is_closed
        return is_wanted and self._crew.has_substitute(animator, job)

    def _put_back(self, job: Job) -> None:
        lifecycle.put_back(job)
        self._journal.save(job)

    def cancel(self, job: Job) -> None:
        """
        Stop a job; see :meth:`modules.jobs.contract.Queue.cancel`.

        :param job: a job that was submitted here
        :type job: Job
        """
        with self._line.changed:
            job.cancellation.set()
            # now it is a person's wish, and lasts
            self._interrupted.discard(job)
            if job in self._line.jobs:
                self._line.jobs.remove(job)
                self._journal.end(job, 'cancelled')
                self._line.notify_jobs()

    def remove(self, job: Job) -> None:
        """
        Forget a job and remove its files; see :meth:`modules.jobs.contract.Queue.remove`.

        :param job: a job that was submitted here
        :type job: Job
        """
        with self._line.changed:
            self._journal.store.remove(job)
            self.cancel(job)
            self._journal.forget(job)
            if job in self._crew.running:
                # the worker removes the rest when it has let go
                return
        remove_folder(job.folder)

    def close(self) -> None:
        """Begin no job any more, and stop those that run."""
        with self._line.changed:
            self._line.is_closed = True
            for job in self._line.jobs:
                if job.is_awaited:
                    self._journal.end(job, 'failed', errors.ShuttingDown())
                else:
                    job.notify()
            self._line.jobs.clear()
            for job in self._crew.running:
                if not job.cancellation.is_set():
                    self._interrupt(job)
            self._journal.save_ends()
            self._line.changed.notify_all()

    def _interrupt(self, job: Job) -> None:
        self._interrupted.add(job)
        if not job.is_awaited:
            # before it lets go, which may take longer than the program has: it is not the job that ends the program
            self._put_back(copy.copy(job))
        job.cancellation.set()
