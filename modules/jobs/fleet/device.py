#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The thread that does the jobs of one device of a worker, and what the threads of one worker have in common.

Libraries: none here.
"""

import contextlib
import logging
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from modules import errors
from modules.clips.animator import Animator
from modules.jobs import lifecycle
from modules.jobs.fleet.agreement import queue_name
from modules.jobs.fleet.broker import HEARTBEAT_TIMEOUT, MessageReceiver
from modules.jobs.fleet.connection import AWAY
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.fleet.task import AGAIN, Task
from modules.jobs.job import MOST_ATTEMPTS
from modules.jobs.work import IDLE_SECONDS, IdleWork

logger = logging.getLogger(__name__)

#: jobs that are handed back one after the other, because their files cannot be written, before the worker ends
MOST_FAULTS = 10


@dataclass(frozen = True)
class Intervals:
    """How long a worker waits, in seconds."""

    #: after which the others take a silent worker for dead; the same for all of them
    heartbeat: float = HEARTBEAT_TIMEOUT
    #: without a job, after which it does what makes later ones faster
    pause: float = IDLE_SECONDS


class WorkerState:
    """
    What its threads know of a worker: whether it ends, and whether others may be taken for dead.

    :param ledger: knows the jobs
    :type ledger: Ledger
    :param shared: what is compared with the web side
    :type shared: dict[str, str]
    :param intervals: how long it waits
    :type intervals: Intervals
    """

    def __init__(self, ledger: Ledger, shared: dict[str, str], intervals: Intervals):
        self.ledger = ledger
        self.shared = shared
        self.intervals = intervals
        self.closing = threading.Event()
        #: it has ended because it could not work
        self.has_failed = False
        self.note_outage()

    def fail(self, reason: str) -> None:
        """
        End the worker, because it cannot work; whoever started it starts it again.

        :param reason: for the log
        :type reason: str
        """
        logger.error('This worker cannot work and ends: %s', reason)
        self.has_failed = True
        self.closing.set()

    def note_outage(self) -> None:
        """Remember that Redis was away: nobody was heard of for a while, and nobody is dead because of that."""
        self._quiet_until = time.monotonic() + self.intervals.heartbeat

    @property
    def is_after_outage(self) -> bool:
        """Whether Redis was away a moment ago, so that silent workers may be alive."""
        return time.monotonic() < self._quiet_until


class Device:
    """
    A device, and what takes jobs for it.

    :param state: the worker's
    :type state: WorkerState
    :param animator: does the work
    :type animator: Animator
    :param idle_work: what is done while nobody waits
    :type idle_work: IdleWork
    """

    def __init__(self, state: WorkerState, animator: Animator, idle_work: IdleWork):
        self._state = state
        self._ledger = state.ledger
        self._animator = animator
        self._idle_work = idle_work
        #: jobs that were handed back one after the other
        self._faults = 0
        self.receiver = self._new_receiver()

    def facts(self) -> dict[str, object]:
        """
        Say what can be done here.

        :return: ``engines``, those that can work, ``slow``, those among them that ``auto`` passes over, and ``depth``:
            engine → the model by which it tells near from far, None where it guesses
        :rtype: dict[str, object]
        """
        engines = {name: self._animator.engines.status(name) for name in self._engines()}
        return {
            'engines': list(engines),
            'slow': [name for name, status in engines.items() if status.slow],
            'depth': {
                name: status.depth.model
                for name, status in engines.items() if status.depth
            }
        }

    def _engines(self) -> list[str]:
        return [name for name, reason in self._animator.engines.reasons().items() if not reason]

    def work(self) -> None:
        """Do one job after the other until the worker ends."""
        idle_since = time.monotonic()
        while not self._state.closing.is_set():
            try:
                if identity := self.receiver.next():
                    self._take_or_hand_back(identity)
                    idle_since = time.monotonic()
                elif time.monotonic() - idle_since >= self._state.intervals.pause:
                    self._idle_work.run(lambda: self._animator.prepare(self._stop_if_wanted))
            except (*AWAY, errors.BrokerAway):
                # a message may have been on its way: under another name this worker lets go of the former one's
                logger.warning('The broker is away', exc_info = logger.isEnabledFor(logging.DEBUG))
                self._state.note_outage()
                self.receiver = self._new_receiver()
                self._state.closing.wait(AGAIN)

    def _new_receiver(self) -> MessageReceiver:
        queues = [queue_name(name, self._state.shared) for name in self._engines()]
        return MessageReceiver(self._ledger.client, queues, self._state.intervals.heartbeat)

    def _stop_if_wanted(self) -> None:
        waiting, _running = self._ledger.line.counts()
        if waiting or self._state.closing.is_set():
            raise errors.Cancelled

    def _take_or_hand_back(self, identity: str) -> None:
        """Do one job; whatever happens before it has begun, it has an answer, or somebody else has it."""
        try:
            self._take(identity)
            self._faults = 0
        except errors.BadRecord as error:
            logger.error('The record of job %s is not understood: %s', identity, error.__cause__)
            with contextlib.suppress(errors.BadRecord):
                self._ledger.line.give_up(identity, error)
            self.receiver.acknowledge()
        except OSError:
            logger.exception('Job %s is handed back', identity)
            self.receiver.hand_back()
            self._faults += 1
            if self._faults >= MOST_FAULTS:
                raise
            self._state.closing.wait(AGAIN)

    def _take(self, identity: str) -> None:
        """Do one job, unless there is nothing left to do."""
        with tempfile.TemporaryDirectory(
                prefix = 'turn-live-photos-worker-', ignore_cleanup_errors = True) as home:
            task = self._begin(identity, Path(home))
            if task:
                self._do(task)
            else:
                self.receiver.acknowledge()

    def _begin(self, identity: str, home: Path) -> Task | None:
        """Begin an attempt; None where the job needs none, or somebody else has just begun or removed it."""
        found = self._ledger.jobs.find(identity, home / identity)
        if not found or found[0].has_ended:
            return None
        job, attempt = found[0], int(found[1]['attempt'])
        is_given_up = job.state == 'running' and job.attempts >= MOST_ATTEMPTS
        if not is_given_up:
            lifecycle.begin(job)
        task = Task(self._ledger, self._state.closing, job, attempt + 1)
        if not task.begin():
            return None
        if is_given_up:
            logger.error('Job %s has ended its worker %s times and is given up', identity,
                         job.attempts)
            lifecycle.end(job, 'failed', errors.Crashed())
            task.deliver({})
            return None
        return task

    def _do(self, task: Task) -> None:
        state, refusal, files = task.animate(self._animator)
        is_interrupted = state == 'cancelled' and self._state.closing.is_set()
        if is_interrupted and task.is_wanted():
            task.put_back()
            return self.receiver.hand_back()
        if isinstance(refusal, errors.EngineUnavailable) and task.is_wanted():
            return self._leave(task)
        lifecycle.end(task.job, state, refusal)
        task.deliver(files)
        return self.receiver.acknowledge()

    def _leave(self, task: Task) -> None:
        """Leave a job to others whose engine cannot work here any more."""
        if self._animator.engines.has_failed(task.job.request.engine):
            # neither done nor handed back, as if it had ended the process: a job that does so again is given up
            return self._state.fail('its engine has failed')
        logger.warning('Job %s is handed back: its engine cannot work here', task.job.id)
        task.put_back()
        # others may still be taken by engines that work
        receiver, self.receiver = self.receiver, self._new_receiver()
        return receiver.hand_back()
