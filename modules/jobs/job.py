#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A job: one photo on its way to a clip.

Libraries: none.
"""

import secrets
import shutil
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from modules import VERSION, encoders, errors
from modules.i18n import Text
from modules.progress import Progress
from modules.request import AnimationRequest

#: ends of a job's life; the other states are ``queued`` and ``running``
FINAL_STATES = ('done', 'failed', 'cancelled')

QUEUED = Progress('queued')


def new_id() -> str:
    """
    An id nobody can guess.

    :return: 128 bits in hexadecimal
    :rtype: str
    """
    return secrets.token_hex(16)


def now() -> datetime:
    """
    This moment, as records tell it.

    :return: UTC, to the second
    :rtype: datetime
    """
    return datetime.now(timezone.utc).replace(microsecond = 0)


def file_name(format_name: str) -> str:
    """
    What a result is called in its job's folder.

    :param format_name: one of :data:`modules.encoders.TABLE`
    :type format_name: str
    :return: the name
    :rtype: str
    """
    return f'clip{encoders.TABLE[format_name].extension}'


@dataclass(eq = False)
class Job:
    """One job. Only its queue changes it."""

    id: str
    #: the upload and the results lie here, and nothing of any other job
    folder: Path
    request: AnimationRequest
    #: its client waits on the line, and when the client goes, it goes
    is_awaited: bool = False
    #: ``queued`` → ``running`` → ``done`` | ``failed`` | ``cancelled``
    state: str = 'queued'
    created: datetime = field(default_factory = now)
    started: datetime | None = None
    finished: datetime | None = None
    #: how often a worker began it
    attempts: int = 0
    #: why it failed
    error: errors.Refusal | None = None
    #: the model's name, once it is done, if one was at work
    model: str | None = None
    #: of the program that accepted it
    version: str = VERSION
    #: format → what had to be given up to make its file
    notes: dict[str, Text] = field(default_factory = dict)
    #: who sent it; never written down, and empty after a restart and for the person at this machine
    client: str = ''
    #: the same for all that one client has sent to one run of the program, and tells nothing of it
    sender: str = ''
    progress: Progress = QUEUED
    #: counts the pictures of the clip as it forms
    pictures: int = 0
    #: the last of them, as a worker elsewhere sent it: a small JPEG
    preview: bytes | None = None
    _changed: threading.Condition = field(default_factory = threading.Condition)
    _changes: int = 0
    _unwanted: threading.Event = field(default_factory = threading.Event)

    @property
    def upload(self) -> Path:
        """The photo as it came."""
        return self.folder / 'upload'

    def file(self, format_name: str) -> Path:
        """
        Where a result lies, once it is made.

        :param format_name: one of :data:`modules.encoders.TABLE`
        :type format_name: str
        :return: the file
        :rtype: Path
        """
        return self.folder / file_name(format_name)

    @property
    def has_ended(self) -> bool:
        """Whether the state is a final one."""
        return self.state in FINAL_STATES

    def tell(self, progress: Progress) -> None:
        """
        Note how far the worker is.

        :param progress: the last step
        :type progress: Progress
        """
        if progress.picture is None:
            progress = Progress(progress.phase, progress.step, progress.steps,
                                self.progress.picture)
        else:
            self.pictures += 1
        self.progress = progress
        self.notify()

    def notify(self) -> None:
        """Wake whoever follows this job."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def wait_for_change(self, seen: int, seconds: float) -> int:
        """
        Wait until there is something new.

        :param seen: what the last call returned; 0 at first
        :type seen: int
        :param seconds: how long at the most
        :type seconds: float
        :return: the number of changes so far
        :rtype: int
        """
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen, seconds)
            return self._changes

    def begin(self) -> None:
        """A worker takes it."""
        self.state, self.started = 'running', now()
        self.attempts += 1

    def end_as(self, state: str, error: errors.Refusal | None = None) -> None:
        """
        Enter a final state.

        :param state: one of :data:`FINAL_STATES`
        :type state: str
        :param error: why, for ``failed``
        :type error: errors.Refusal | None
        """
        # the state comes last: who sees it finds the rest there
        self.finished, self.error, self.state = now(), error, state
        # the picture would keep a whole clip in memory
        self.progress = replace(self.progress, picture = None)
        self.preview = None

    def put_back(self) -> None:
        """Stand in line again, as if it had not been begun."""
        self.state, self.started, self.progress = 'queued', None, QUEUED
        self.attempts -= 1
        self.notify()

    def wait(self, seconds: float | None = None) -> bool:
        """
        Wait for a final state.

        :param seconds: how long at the most; None waits for ever
        :type seconds: float | None
        :return: whether it is reached
        :rtype: bool
        """
        with self._changed:
            return self._changed.wait_for(lambda: self.has_ended, seconds)

    def cancel(self) -> None:
        """Ask for the end; a running engine hears of it at its next step."""
        self._unwanted.set()

    @property
    def is_unwanted(self) -> bool:
        """Whether its end was asked for."""
        return self._unwanted.is_set()

    def stop_if_cancelled(self) -> None:
        """
        What engines call between steps.

        :raises modules.errors.Cancelled: after :meth:`cancel`
        """
        if self._unwanted.is_set():
            raise errors.Cancelled

    def discard(self) -> None:
        """Remove the upload and the results."""
        for _try in range(3):
            shutil.rmtree(self.folder, ignore_errors = True)
            # somebody may just be writing into it
            if not self.folder.exists():
                return
            time.sleep(0.05)
