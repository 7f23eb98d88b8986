#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
One job on one device, measured.

Libraries: none.
"""

import logging
import shutil
from collections.abc import Callable

from modules import errors
from modules.clips.animator import Animator
from modules.clips.notes import join_notes
from modules.i18n import Text
from modules.jobs import lifecycle
from modules.jobs.job import Job
from modules.jobs.leftovers import UNFINISHED
from modules.jobs.meter import Meter
from modules.jobs.pace import Pace, kind_of
from modules.jobs.results import move_results
from modules.jobs.work import run_guarded
from modules.progress import JobControl, Progress
from modules.terminal import progress_bar

logger = logging.getLogger(__name__)


class Runner:
    """
    Does jobs, and teaches how long they take.

    :param pace: learns
    :type pace: Pace
    :param meter: counts for ``/metrics``
    :type meter: Meter
    :param has_progress_bar: show every job's progress in the terminal
    :type has_progress_bar: bool
    """

    def __init__(self, pace: Pace, meter: Meter, has_progress_bar: bool):
        self._pace = pace
        self._meter = meter
        self._has_progress_bar = has_progress_bar

    def run(self, animator: Animator, job: Job,
            has_substitute: Callable[[], bool]) -> tuple[str, errors.Refusal | None]:
        """
        Do a job.

        :param animator: what the worker works with
        :type animator: Animator
        :param job: the job
        :type job: Job
        :param has_substitute: asked whether a further device can do the job, when this one has become unable to
        :type has_substitute: Callable[[], bool]
        :return: ``done``, ``cancelled`` or ``failed``, and why it failed
        :rtype: tuple[str, errors.Refusal | None]
        """
        self._pace.begin(kind_of(job), job, animator)
        state, refusal = run_guarded(f'Job {job.id}',
                                     lambda: self._animate(animator, job, has_substitute))
        self._count(job, self._pace.end(state == 'done', job))
        return state, refusal

    def _animate(self, animator: Animator, job: Job, has_substitute: Callable[[], bool]) -> None:
        """Make the clip, with another engine where the one that the program chose has become unable to work."""
        try:
            return self._make(animator, job)
        except errors.EngineUnavailable as refusal:
            if has_substitute():
                raise
            job.request, note = animator.redirect(job.request, refusal)
        logger.warning('Job %s is done by the engine %s instead', job.id, job.request.engine)
        self._pace.begin(kind_of(job), job, animator)
        return self._make(animator, job, note)

    def _make(self, animator: Animator, job: Job, *notes: Text) -> None:
        """Make the clip in a folder inside the job's, and move it to its place when it is whole."""
        if not job.upload.exists():
            raise errors.PhotoGone
        scratch = job.folder / UNFINISHED
        shutil.rmtree(scratch, ignore_errors = True)
        scratch.mkdir()
        with progress_bar(job.request.stem, self._has_progress_bar) as show:

            def report(progress: Progress) -> None:
                self._count(job, self._pace.note(progress, job))
                lifecycle.report(job, progress)
                show(progress)

            made = animator.animate(
                job.request,
                scratch / job.file(job.request.format).name,
                JobControl(report, lambda: lifecycle.stop_if_cancelled(job)),
                created = job.created,
                keep = scratch)
        if note := join_notes(*notes, made.note):
            job.notes[job.request.format] = note
        job.model = made.model
        move_results(scratch, job.folder)

    def _count(self, job: Job, ended: tuple[str, float] | None) -> None:
        """A phase may have ended."""
        if ended:
            self._meter.count_phase(job.request.engine, *ended)
