#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A job: one photo on its way to a clip. What stands here is for whoever follows a job; what changes one is in
``lifecycle``.

Libraries: none.
"""

import hashlib
import secrets
import threading
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from modules import VERSION, encoders, errors
from modules.i18n import Text
from modules.progress import Progress
from modules.request import AnimationRequest

#: ends of a job's life; the other states are ``queued`` and ``running``
FINAL_STATES = ('done', 'failed', 'cancelled')

#: a job that was begun this often and that the program, or its worker, did not survive is not tried again. More than
#: two, because a machine may lose power twice through no fault of a job
MOST_ATTEMPTS = 3

QUEUED = Progress('queued')


def new_id() -> str:
    """
    Make an id that nobody can guess.

    :return: 128 bits in hexadecimal
    :rtype: str
    """
    return secrets.token_hex(16)


def link_id(identity: str) -> str:
    """
    Derive the id under which others find a job's clip. It does not lead back to the job's own id, which grants more.

    :param identity: the job's id
    :type identity: str
    :return: 128 bits in hexadecimal, always the same for the same job
    :rtype: str
    """
    return hashlib.sha256(f'clip of {identity}'.encode()).hexdigest()[:32]


def now() -> datetime:
    """
    Read the clock as records have it.

    :return: UTC, to the second
    :rtype: datetime
    """
    return datetime.now(timezone.utc).replace(microsecond = 0)


def file_name(format_name: str) -> str:
    """
    Name a result in its job's folder.

    :param format_name: one of :data:`modules.encoders.TABLE`
    :type format_name: str
    :return: the name
    :rtype: str
    """
    return f'clip{encoders.TABLE[format_name].extension}'


@dataclass(eq = False)
class Job:
    """One job. Only its queue, and the worker that does it, change it."""

    id: str
    #: the upload and the results lie here, and nothing of any other job
    folder: Path
    request: AnimationRequest
    #: its client keeps a connection open for the answer, and when the client goes, the job goes
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
    #: the same for all that one client has sent to one run of the program, and says nothing about the client
    sender: str = ''
    progress: Progress = QUEUED
    #: counts the pictures of the unfinished clip
    pictures: int = 0
    #: the last of them, as a worker elsewhere sent it: a small JPEG
    preview: bytes | None = None
    #: set when its end was asked for
    cancellation: threading.Event = field(default_factory = threading.Event)
    _changed: threading.Condition = field(default_factory = threading.Condition)
    _changes: int = 0

    @property
    def upload(self) -> Path:
        """The photo as it came."""
        return self.folder / 'upload'

    def file(self, format_name: str) -> Path:
        """
        Tell where a result lies, once it is made.

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
