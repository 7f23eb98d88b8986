#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Files of finished jobs: the one that was asked for is there, every other is made of the kept frames when somebody wants
it, and kept too.

Libraries: none.
"""

import logging
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

from modules import errors
from modules.clips.animator import PREVIEW, Animator
from modules.clips.writer import FRAMES, PROVENANCE
from modules.i18n import Text
from modules.jobs.job import Job, file_name
from modules.jobs.leftovers import UNFINISHED
from modules.jobs.store import Store, fsync
from modules.jobs.work import run_guarded

logger = logging.getLogger(__name__)

#: files made at once
AT_ONCE = 2


def delivered_names(format_name: str) -> tuple[str, ...]:
    """
    List the files that a worker delivers; whatever else it names is neither read nor written.

    :param format_name: the one that was asked for, of :data:`modules.encoders.TABLE`
    :type format_name: str
    :return: their names
    :rtype: tuple[str, ...]
    """
    return file_name(format_name), FRAMES, PROVENANCE, PREVIEW


class Results:
    """
    The files of finished jobs.

    :param animator: makes files of kept frames
    :type animator: Animator
    :param store: keeps the jobs
    :type store: Store
    """

    def __init__(self, animator: Animator, store: Store):
        self.animator = animator
        self.store = store
        # two requests for one file share a lock; two for different files seldom do
        self._note_lock = threading.Lock()
        self._locks = [threading.Lock() for _ in range(AT_ONCE)]

    def file(self, job: Job, format_name: str) -> Path:
        """
        Get a file, and make it first where it is not there yet.

        :param job: a job that is done
        :type job: Job
        :param format_name: one of :data:`modules.encoders.TABLE`
        :type format_name: str
        :return: the file
        :rtype: Path
        :raises modules.errors.Refusal: when it cannot be made
        """
        path = job.file(format_name)
        if not path.exists():
            with self._locks[hash((job.id, format_name)) % AT_ONCE]:
                if not path.exists():
                    self._make(job, format_name, path)
        return path

    def _make(self, job: Job, format_name: str, path: Path) -> None:
        request = replace(job.request, format = format_name)

        def make() -> None:
            (job.folder / UNFINISHED).mkdir(exist_ok = True)
            with tempfile.TemporaryDirectory(dir = job.folder / UNFINISHED) as scratch:
                made = Path(scratch) / path.name
                note = self.animator.encode(request, job.folder, made)
                fsync(made)
                if note:
                    # first, because a file that is there is not made again
                    self._note(job, format_name, note)
                made.replace(path)

        _state, refusal = run_guarded(f'{format_name} of job {job.id}', make)
        if refusal:
            raise refusal if self.store.find(job.id) else errors.NotFound

    def _note(self, job: Job, format_name: str, note: Text) -> None:
        """Record what a file gave up, beside what other files have given up meanwhile."""
        job.notes[format_name] = note
        with self._note_lock:
            if recorded := self.store.find(job.id):
                job.notes = {**recorded.notes, **job.notes}
                self.store.save(job)


def move_results(scratch: Path, folder: Path) -> None:
    """
    Move finished files where they are looked for; on return they outlive a crash.

    :param scratch: where they were made
    :type scratch: Path
    :param folder: where they are looked for
    :type folder: Path
    """
    for path in scratch.iterdir():
        if path.is_file():
            fsync(path)
            path.replace(folder / path.name)
    fsync(folder)
