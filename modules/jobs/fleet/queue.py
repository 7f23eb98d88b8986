#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The queue of many machines, as a web process sees it. Redis keeps what has not ended, so any web process answers for any
job; what has ended is fetched by each of them, and rests in its own store.

Libraries: Pillow.
"""

import contextlib
import copy
import logging
import os
import platform
import shutil
import threading
import time
import weakref
from collections.abc import Callable
from io import BytesIO

from PIL import Image

from modules import errors
from modules.clips.animator import PREVIEW_SIDE, Animator
from modules.configuration import QueueOptions
from modules.i18n import Text, of_this_machine
from modules.jobs import lifecycle
from modules.jobs.fleet.agreement import eviction_warning, fitting, queue_name
from modules.jobs.fleet.broker import HEARTBEAT
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.job import QUEUED, Job, now
from modules.jobs.leftovers import UNFINISHED
from modules.jobs.meter import Meter
from modules.jobs.pace import FIRST_GUESS, seconds_until_done
from modules.jobs.queue import Place, QueueStatus
from modules.jobs.record import progress_from_json
from modules.jobs.results import delivered_names, move_results
from modules.jobs.store import FOLDER, Store
from modules.jobs.work import run_guarded
from modules.progress import do_nothing

logger = logging.getLogger(__name__)

#: seconds between two tries to reach a broker that is away
AGAIN = 1.0

#: seconds without a whole round after which nobody is thought to listen; one job's files may take a while
DEAF = 60.0

#: seconds after which a clip that could not be fetched, because the disk is full for instance, is tried again
HINDERED = 5.0

#: jobs whose hindrance is remembered, so that the log has it once
MOST_HINDERED = 10_000

#: milliseconds of news that are asked for again, because moments of Redis's clock are not quite in order
OVERLAP = 2000


class RemoteQueue:
    """
    A queue whose workers are elsewhere.

    :param animator: whose engines are the fleet's
    :type animator: Animator
    :param store: keeps what has ended
    :type store: Store
    :param ledger: keeps the rest
    :type ledger: Ledger
    :param options: how many may wait
    :type options: QueueOptions
    :param shared: what workers must have in common with this process
    :type shared: dict[str, str]
    :param meter: counts for ``/metrics``
    :type meter: Meter | None
    """

    def __init__(self,
                 animator: Animator,
                 store: Store,
                 ledger: Ledger,
                 options: QueueOptions,
                 shared: dict[str, str],
                 *,
                 meter: Meter | None = None):
        self.animator = animator
        self.store = store
        self.ledger = ledger
        self.options = options
        self.shared = shared
        self.meter = meter or Meter()
        #: called after every job that was fetched
        self.on_end: Callable[[], None] = do_nothing
        #: jobs that somebody holds just now
        self._live: weakref.WeakValueDictionary[str, Job] = weakref.WeakValueDictionary()
        #: jobs that came through this process: it alone counts them
        self._own: set[str] = set()
        #: engine → seconds of a job, learnt
        self._seconds: dict[str, float] = {}
        self._fetching = threading.RLock()
        self._closing = threading.Event()
        #: why this process does not hear of changes, or jobs are not taken
        self._trouble: errors.Refusal | None = None
        self._heard_at = time.monotonic()
        #: what was said of the broker
        self._warned: Text | None = None
        self._name = f'{platform.node()}-{os.getpid()}'
        self._enrolled = -HEARTBEAT
        self._looked = 0.0
        #: id → moment of the news that was dealt with
        self._heard: dict[str, int] = {}
        #: id → moment of the news that something hindered, and when it is tried again
        self._missed: dict[str, tuple[int, float]] = {}
        self.meter.watch(lambda: self._counts()[0], lambda: self._counts()[1])
        self.meter.watch_workers(lambda: len(self._alive()))
        #: id → what hindered it, as the log has it
        self._hindered: dict[str, str] = {}
        try:
            store.open()
            store.sweep()
        except errors.DiskFull:
            logger.error('No clip can be fetched until %s can be written', store.home)
        self._listener = threading.Thread(target = self._listen, name = 'listener', daemon = True)
        self._listener.start()

    def submit(self, job: Job) -> None:
        """
        Accept a job: once this returns, Redis has it.

        :param job: a job in state ``queued``, whose upload is on the disk
        :type job: Job
        :raises modules.errors.QueueFull: when too many wait
        :raises modules.errors.TooManyWaiting: when too many of its client wait
        :raises modules.errors.BrokerAway: when Redis does not answer
        :raises modules.errors.ShuttingDown: when the program ends
        """
        if self._closing.is_set():
            raise errors.ShuttingDown
        self._own.add(job.id)
        name = queue_name(job.request.engine, self.shared)
        try:
            answer = self.ledger.submit(job, name, self.options.max_waiting,
                                        self.options.max_waiting_per_client)
            self._refuse(answer)
        except errors.Refusal as refusal:
            self._own.discard(job.id)
            if isinstance(refusal, errors.BrokerRefuses):
                # at once, not when the listener next writes
                self._trouble = errors.BrokerRefuses()
            raise
        # not before: what Redis does not know, somebody has removed
        self._live[job.id] = job
        with contextlib.suppress(errors.BrokerAway):
            # it may have come far already
            self._attempt(job.id, lambda: self._refresh(job))

    def check_room(self, client: str = '') -> None:
        """
        Tell early whether a job would be accepted.

        :param client: whose it is; empty for one without a limit of its own
        :type client: str
        :raises modules.errors.QueueFull: when too many wait
        :raises modules.errors.TooManyWaiting: when too many of this client wait
        :raises modules.errors.BrokerAway: when Redis does not answer
        :raises modules.errors.ShuttingDown: when the program ends
        """
        if self._closing.is_set():
            raise errors.ShuttingDown
        self._refuse(
            self.ledger.check_room(client, self.options.max_waiting,
                                   self.options.max_waiting_per_client))

    def _refuse(self, answer: bytes) -> None:
        refusals = {b'full': errors.QueueFull, b'many': errors.TooManyWaiting}
        if answer in refusals:
            mean = sum(self._seconds.values()) / len(
                self._seconds) if self._seconds else FIRST_GUESS
            raise refusals[answer](retry_after = max(1, round(mean / max(1, len(self._alive())))))

    def find(self, identity: str) -> Job:
        """
        A job that was submitted anywhere and not removed.

        :param identity: its id
        :type identity: str
        :return: the job
        :rtype: Job
        :raises modules.errors.NotFound: when there is none
        :raises modules.errors.BrokerAway: when it does not rest here and Redis does not answer
        """
        if not FOLDER.fullmatch(identity):
            raise errors.NotFound
        if job := self.store.find(identity):
            return job
        job = self._live.get(identity)
        if job and job.has_ended:
            return job
        job = job or self._known(identity)
        self._refresh(job)
        return job

    def _known(self, identity: str) -> Job:
        found = self.ledger.find(identity, self.store.home / identity)
        if not found:
            raise errors.NotFound
        # until it is fetched, it has not ended for who asks here
        job = self._live.setdefault(identity, found[0])
        if job is found[0] and job.has_ended:
            job.state = 'running'
        return job

    def place(self, job: Job) -> Place:
        """
        Tell where a job stands, and how long it still takes.

        :param job: a job
        :type job: Job
        :return: both, as far as they are known
        :rtype: Place
        """
        if job.has_ended:
            return Place()
        try:
            position = self.ledger.position(job.id)
        except errors.BrokerAway:
            position = None
        return Place(position, self._seconds_left(job, position))

    def _seconds_left(self, job: Job, position: int | None) -> float | None:
        whole = self._seconds.get(job.request.engine)
        if whole is None:
            return None
        if job.started:
            return max(0.0, whole - (now() - job.started).total_seconds())
        if not position:
            return None
        running, workers = self._counts()[1], max(1, len(self._alive()))
        # those that run are half done, by and large
        left = [whole / 2] * min(running, workers)
        return seconds_until_done(left, workers, [whole] * position)

    def cancel(self, job: Job) -> None:
        """
        Stop a job: at once when it waits, within one step when it runs, not at all when it has ended.

        :param job: a job that was submitted
        :type job: Job
        """
        ended = copy.copy(job)
        lifecycle.end(ended, 'cancelled')
        self.ledger.cancel(ended)
        self._refresh(job)

    def remove(self, job: Job) -> None:
        """
        Forget a job everywhere and remove its files; stops it where needed.

        :param job: a job that was submitted
        :type job: Job
        :raises modules.errors.DiskFull: when that cannot be recorded
        """
        self.ledger.remove(job.id)
        self.drop(job)
        if not job.has_ended:
            lifecycle.end(job, 'cancelled')
            job.notify()

    def drop(self, job: Job) -> None:
        """
        Remove what rests here of a job that has ended.

        :param job: the job
        :type job: Job
        :raises modules.errors.DiskFull: when that cannot be recorded
        """
        with self._fetching:
            self.store.remove(job)
            lifecycle.remove_files(job)

    def status(self) -> QueueStatus:
        """
        Tell how the queue is.

        :return: its state, what is wrong, and how many jobs wait
        :rtype: QueueStatus
        """
        state = self._state()
        # not before: looking for the state may find that the broker has gone
        return QueueStatus(state, self._problem(), self._counts()[0])

    def _state(self) -> str:
        if self._problem():
            return 'FAILED'
        try:
            if not fitting(self.ledger, self.shared):
                return 'STARTING'
            return 'BUSY' if any(self.ledger.counts()) else 'READY'
        except errors.BrokerAway:
            return 'FAILED'

    def _problem(self) -> errors.Refusal | None:
        """Why jobs are refused, or their clips not fetched."""
        if self._closing.is_set():
            return errors.ShuttingDown()
        if self._trouble or self.ledger.contact.is_away:
            return self._trouble or errors.BrokerAway()
        is_deaf = time.monotonic() - self._heard_at > DEAF
        if is_deaf or not self._listener.is_alive():
            return errors.NotListening()
        # what has ended is to rest here
        return self.store.problem()

    @property
    def is_closing(self) -> bool:
        """Whether the program ends."""
        return self._closing.is_set()

    def close(self) -> None:
        """End what this process does. Jobs go on, unless somebody waits for them on a line of this process."""
        self._closing.set()
        for job in self._held():
            if job.is_awaited and job.id in self._own and not job.has_ended:
                lifecycle.end(job, 'failed', errors.ShuttingDown())
                job.notify()
                try:
                    self.ledger.cancel(job)
                except (errors.BrokerAway, errors.BadRecord):
                    logger.warning('Job %s could not be cancelled', job.id)
            else:
                job.notify()
        self._listener.join(timeout = 5)
        self.ledger.close()

    def _counts(self) -> tuple[int, int]:
        try:
            return self.ledger.counts()
        except (errors.BrokerAway, errors.BadRecord):
            return 0, 0

    def _alive(self) -> list[str]:
        try:
            workers = self.ledger.workers().items()
            return [name for name, facts in workers if facts['silent'] <= HEARTBEAT]
        except errors.BrokerAway:
            return []

    def _held(self) -> list[Job]:
        """Jobs that somebody holds; other threads may add some meanwhile, which ``values()`` does not stand."""
        return [job for job in (held() for held in self._live.valuerefs()) if job is not None]

    def _listen(self) -> None:
        """Hear of changes; whatever goes wrong, begin anew."""
        while not self._closing.is_set():
            _state, refusal = run_guarded('Listening to the broker', self._follow_changes)
            if isinstance(refusal, errors.BrokerAway):
                if not isinstance(self._trouble, errors.BrokerAway):
                    logger.warning('The broker is away')
                # without its traceback, which holds on to connections
                self._trouble = type(refusal)()
            elif refusal:
                self._trouble = errors.NotListening()
            self._closing.wait(AGAIN)

    def _follow_changes(self) -> None:
        """Until the program ends, or something fails."""
        self._follow(set())
        # whenever it is there again it may be set otherwise
        warning = eviction_warning(self.ledger)
        if warning and warning != self._warned:
            logger.warning('%s', warning.in_(of_this_machine()))
        self._warned = warning
        for identities in self.ledger.changes():
            if self._closing.is_set():
                return
            self._follow(identities)

    def _follow(self, identities: set[str]) -> None:
        moment = self.ledger.seconds()
        # every second all are looked at, because a message may have been lost
        is_time = time.monotonic() - self._looked > 1
        if is_time:
            self._looked = time.monotonic()
        for job in self._held():
            if not job.has_ended and (job.id in identities or is_time):
                self._attempt(job.id, lambda job = job: self._refresh(job))
            elif job.state == 'queued':
                job.notify()
        self._catch_up(int(moment * 1000))
        self._trouble = self._enrol()

    def _enrol(self) -> errors.Refusal | None:
        """Say that this process is there; why that, and thus anything else, cannot be written."""
        is_refused = isinstance(self._trouble, errors.BrokerRefuses)
        if is_refused or time.monotonic() - self._enrolled > HEARTBEAT / 3:
            try:
                self.ledger.enrol(self._name, {'shared': self.shared}, 'webs')
                self.ledger.check_memory()
            except errors.BrokerRefuses as refusal:
                if not is_refused:
                    logger.error('The broker takes no jobs: %s', refusal.__cause__ or 'it is full')
                return errors.BrokerRefuses()
            self._enrolled = time.monotonic()
        return None

    def _catch_up(self, moment: int) -> None:
        """Fetch what has ended, remove what was removed elsewhere."""
        # Redis's clock may have been set back
        latest = min(max(self._heard.values(), default = 0), moment)
        since = min([latest, *(at for at, _again in self._missed.values())]) - OVERLAP
        news = dict(self.ledger.news(max(0, since)))
        for identity, at in news.items():
            _at, again = self._missed.get(identity, (at, 0.0))
            if self._heard.get(identity) == at or time.monotonic() < again:
                continue
            # until it is dealt with, later news do not make it old
            self._missed[identity] = at, time.monotonic() + HINDERED
            if self._attempt(identity, lambda identity = identity: self._deal_with(identity)):
                self._heard[identity] = at
                del self._missed[identity]
        self._missed = {name: kept for name, kept in self._missed.items() if name in news}
        self._heard = {name: at for name, at in self._heard.items() if at >= since}
        self._heard_at = time.monotonic()

    def _deal_with(self, identity: str) -> None:
        """One piece of news."""
        if self.ledger.is_removed(identity):
            if job := self.store.find(identity):
                self.drop(job)
        elif job := self._live.get(identity):
            self._refresh(job)
        elif found := self.ledger.find(identity, self.store.home / identity):
            self._fetch(*found)

    def _attempt(self, identity: str, work: Callable[[], None]) -> bool:
        """Do something for one job; whether it need not be tried again. What hinders it, hinders no other."""
        try:
            work()
        except errors.BrokerAway:
            raise
        except (errors.Refusal, OSError) as error:
            if self._hindered.get(identity) != str(error):
                logger.warning('Job %s is left aside: %s', identity, error, exc_info = error)
            if len(self._hindered) < MOST_HINDERED:
                self._hindered[identity] = str(error)
            # what is unreadable stays so
            return isinstance(error, errors.BadRecord)
        finally:
            self._heard_at = time.monotonic()
        self._hindered.pop(identity, None)
        return True

    def _refresh(self, job: Job) -> None:
        """Bring a job up to date."""
        found = self.ledger.find(job.id, job.folder)
        if not found:
            if not self.store.find(job.id) and not job.has_ended:
                lifecycle.end(job, 'cancelled')
                job.notify()
            return
        fresh, fields = found
        if fresh.has_ended:
            self._fetch(fresh, fields)
        if job.has_ended:
            return
        pictures = int(fields['pictures'])
        job.attempts, job.started = fresh.attempts, fresh.started
        if fresh.state == 'running':
            if pictures != job.pictures:
                job.preview = checked_preview(self.ledger.picture(job.id)) or job.preview
            job.progress = progress_from_json(fields.get('progress'))
        elif not fresh.has_ended:
            job.progress, job.preview = QUEUED, None
        job.pictures = pictures
        if fresh.has_ended:
            job.model, job.notes = fresh.model, fresh.notes
            lifecycle.end(job, fresh.state, fresh.error)
            job.finished = fresh.finished
        else:
            job.state = fresh.state
        job.notify()

    def _fetch(self, job: Job, fields: dict[str, str]) -> None:
        """Let a job that has ended rest here; once."""
        with self._fetching:
            if self.store.find(job.id):
                return
            workshop = job.folder / UNFINISHED
            shutil.rmtree(workshop, ignore_errors = True)
            workshop.mkdir(parents = True)
            files = self._files(job, fields)
            if photo := self.ledger.photo(job.id):
                files['upload'] = photo
            for name, content in files.items():
                (workshop / name).write_bytes(content)
            move_results(workshop, job.folder)
            self.store.add(job)
        self._learn(job)
        self.on_end()

    def _files(self, job: Job, fields: dict[str, str]) -> dict[str, bytes]:
        """What was delivered; where that cannot be kept, the job has failed."""
        names = delivered_names(job.request.format)
        try:
            files = self.ledger.files(job.id, fields.get('files', '0'), names)
        except errors.ResultTooLarge as refusal:
            lifecycle.end(job, 'failed', refusal)
            return {}
        if job.state == 'done' and names[0] not in files:
            logger.error('The files of job %s are gone', job.id)
            lifecycle.end(job, 'failed', errors.EngineFailed())
        return files

    def _learn(self, job: Job) -> None:
        if job.id in self._own:
            self._own.discard(job.id)
            self.meter.count_job(job)
        if job.state == 'done' and job.started:
            seconds = (job.finished - job.started).total_seconds()
            before = self._seconds.get(job.request.engine, seconds)
            self._seconds[job.request.engine] = before + 0.3 * (seconds - before)


def checked_preview(content: bytes | None) -> bytes | None:
    """
    Check the head of a preview, without decoding it.

    :param content: what a worker sent, if it sent something
    :type content: bytes | None
    :return: the same; None where it is no small JPEG
    :rtype: bytes | None
    """
    try:
        with Image.open(BytesIO(content or b''), formats = ['JPEG']) as picture:
            return content if max(picture.size) <= PREVIEW_SIDE else None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        # Pillow's words for what is no picture
        return None
