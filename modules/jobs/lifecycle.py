#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What changes a job, from its beginning to its end; for its queue and the worker that does it, and for nobody else.

Libraries: none.
"""

from dataclasses import replace
from datetime import datetime

from modules import errors
from modules.jobs.job import QUEUED, Job, now
from modules.progress import Progress


def begin(job: Job) -> None:
    """
    Count one more attempt, which starts now.

    :param job: the job that a worker takes
    :type job: Job
    """
    job.state, job.started = 'running', now()
    job.attempts += 1


def report(job: Job, progress: Progress) -> None:
    """
    Note how far the worker is, and wake whoever follows the job.

    :param job: a job that runs
    :type job: Job
    :param progress: the last step; without a picture, the one before stays
    :type progress: Progress
    """
    if progress.picture is None:
        progress = Progress(progress.phase, progress.step, progress.steps, job.progress.picture)
    else:
        job.pictures += 1
    job.progress = progress
    job.notify()


def end(job: Job,
        state: str,
        error: errors.Refusal | None = None,
        finished: datetime | None = None) -> None:
    """
    Enter a final state.

    :param job: the job
    :type job: Job
    :param state: one of :data:`modules.jobs.job.FINAL_STATES`
    :type state: str
    :param error: why, for ``failed``
    :type error: errors.Refusal | None
    :param finished: when, where that is recorded already; without it, now
    :type finished: datetime | None
    """
    # the state comes last: who sees it finds the rest there
    job.finished, job.error, job.state = finished or now(), error, state
    # the picture would keep a whole clip in memory
    job.progress, job.preview = replace(job.progress, picture = None), None


def put_back(job: Job) -> None:
    """
    Wait for a worker again, as if it had not been begun.

    :param job: a job that ran
    :type job: Job
    """
    job.state, job.started, job.progress = 'queued', None, QUEUED
    job.attempts -= 1
    job.notify()


def stop_if_cancelled(job: Job) -> None:
    """
    Do what engines call between steps.

    :param job: a job that runs
    :type job: Job
    :raises modules.errors.Cancelled: when its end was asked for
    """
    if job.cancellation.is_set():
        raise errors.Cancelled
