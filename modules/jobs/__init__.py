#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A job: one photo on its way to a clip, and the queue it stands in.

Libraries: none.
"""

import secrets
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from modules import errors
from modules.engines import Progress
from modules.parameters import AnimationRequest

#: ends of a job's life; the other states are ``queued`` and ``running``
FINAL_STATES = ('done', 'failed', 'cancelled')


def new_id() -> str:
    """
    An id nobody can guess.

    :return: 128 bits in hexadecimal
    :rtype: str
    """
    return secrets.token_hex(16)


@dataclass(eq = False)
class Job:
    """One job. Only its queue changes its state."""

    id: str
    #: the upload and the result lie here, and nothing of any other job
    folder: Path
    request: AnimationRequest
    #: ``queued`` → ``running`` → ``done`` | ``failed`` | ``cancelled``
    state: str = 'queued'
    progress: Progress = Progress('queued')
    #: why it failed
    error: errors.Refusal | None = None
    _finished: threading.Event = field(default_factory = threading.Event)
    _unwanted: threading.Event = field(default_factory = threading.Event)

    @property
    def result(self) -> Path:
        """Where the clip is, once the state is ``done``."""
        return self.folder / 'result'

    def finish(self, state: str, error: errors.Refusal | None = None) -> None:
        """
        Enter a final state and wake whoever waits.

        :param state: one of :data:`FINAL_STATES`
        :type state: str
        :param error: why, for ``failed``
        :type error: errors.Refusal | None
        """
        self.state, self.error = state, error
        self._finished.set()

    def wait(self, seconds: float | None = None) -> bool:
        """
        Wait for a final state.

        :param seconds: how long at the most; None waits for ever
        :type seconds: float | None
        :return: whether it is reached
        :rtype: bool
        """
        return self._finished.wait(seconds)

    def cancel(self) -> None:
        """Ask for the end; a running engine hears of it at its next step."""
        self._unwanted.set()

    def stop_if_cancelled(self) -> None:
        """
        What engines call between steps.

        :raises modules.errors.Cancelled: after :meth:`cancel`
        """
        if self._unwanted.is_set():
            raise errors.Cancelled

    def discard(self) -> None:
        """Remove the upload and the result."""
        shutil.rmtree(self.folder, ignore_errors = True)


class Queue(Protocol):
    """Where jobs wait for a worker."""

    def submit(self, job: Job) -> None:
        """
        Accept a job.

        :param job: a job in state ``queued``
        :type job: Job
        :raises modules.errors.QueueFull: when too many wait
        :raises modules.errors.ShuttingDown: when the program ends
        """

    def cancel(self, job: Job) -> None:
        """
        Stop a job: at once when it waits, within one step when it runs, not at all when it has ended.

        :param job: a job that was submitted here
        :type job: Job
        """

    def state(self) -> str:
        """
        What ``/health`` tells.

        :return: ``STARTING``, ``READY``, ``BUSY`` or ``FAILED``
        :rtype: str
        """

    def waiting(self) -> int:
        """
        How many jobs wait.

        :return: their number, running ones not counted
        :rtype: int
        """

    def close(self) -> None:
        """Fail what waits, stop what runs, and end the workers."""
