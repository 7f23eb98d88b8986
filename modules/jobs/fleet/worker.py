#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``worker``: takes jobs from the broker, one at a time for each device, and delivers what becomes of them.

Libraries: none here.
"""

import contextlib
import logging
import os
import platform
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from modules import errors, terminal
from modules.clips.animator import Animator
from modules.configuration import Configuration
from modules.engines.diffusion import gpus
from modules.engines.registry import Engines
from modules.i18n import of_this_machine, text
from modules.jobs import lifecycle
from modules.jobs.fleet.agreement import common, differences, eviction_warning, queue_name
from modules.jobs.fleet.broker import HEARTBEAT, Post
from modules.jobs.fleet.contact import AWAY
from modules.jobs.fleet.ledger import MOST_BYTES, Ledger
from modules.jobs.job import MOST_ATTEMPTS, Job
from modules.jobs.results import delivered_names
from modules.jobs.work import IDLE_SECONDS, IdleWork, run_guarded
from modules.photos.sandbox.sandbox import Sandbox, SandboxedReader
from modules.progress import JobControl, Progress

logger = logging.getLogger(__name__)

#: seconds between two pictures of a clip as it forms, and between two looks at whether a job is still wanted
PICTURES, GLANCE = 0.5, 0.5
#: seconds between two tries to reach a broker that is away
AGAIN = 0.5
#: jobs that are handed back one after the other, because their files cannot be written, before the worker ends
MOST_FAULTS = 10
#: tries to deliver to a broker that answers, and does not take a result
MOST_DELIVERIES = 5
#: seconds that an answer may take which tells of the time
PROMPT = 1.0


class Worker:
    """
    One process of a fleet.

    :param animator: does the work
    :type animator: Animator
    :param ledger: knows the jobs
    :type ledger: Ledger
    :param shared: what is compared with the web side
    :type shared: dict[str, str]
    :param find_others: gives one more animator for each further device
    :type find_others: Callable[[], Sequence[Animator]]
    :param heartbeat: seconds after which the others take a silent worker for dead; the same for all of them
    :type heartbeat: float
    :param pause: seconds without a job after which it does what makes later ones faster
    :type pause: float
    """

    def __init__(self,
                 animator: Animator,
                 ledger: Ledger,
                 shared: dict[str, str],
                 *,
                 find_others: Callable[[], Sequence[Animator]] = tuple,
                 heartbeat: float = HEARTBEAT,
                 pause: float = IDLE_SECONDS):
        self.animator = animator
        self.ledger = ledger
        self.shared = shared
        self.heartbeat = heartbeat
        self.pause = pause
        self.name = f'{platform.node()}-{os.getpid()}'
        self._find_others = find_others
        self._closing = threading.Event()
        #: (animator, post) of each device
        self._posts: dict[Animator, Post] = {}
        self._threads: dict[Animator, threading.Thread] = {}
        #: jobs that were handed back one after the other
        self._faults = 0
        #: it has ended because it could not work
        self.has_failed = False
        #: after an outage nobody has been heard of for a while, and nobody is dead because of that
        self._quiet_until = time.monotonic() + heartbeat
        self._said = ''
        self._idle_work = IdleWork()

    def run(self) -> None:
        """Work until :meth:`stop`; what runs then is handed back."""
        _state, refusal = run_guarded('Loading', self.animator.load)
        if refusal:
            logger.warning('No engine is ready yet: %s', refusal)
        animators = [self.animator]
        for other in self._find_others():
            _state, refusal = run_guarded('Loading', other.load)
            if refusal:
                logger.warning('A further device takes no jobs: %s', refusal)
            else:
                animators.append(other)
        self._posts = {each: self._new_post(each) for each in animators}
        self._threads = {
            each: self._thread(f'worker {number}', lambda each = each: self._work(each))
            for number, each in enumerate(animators, 1)
        }
        beating = self._thread('heartbeat', self._beat)
        for thread in (*self._threads.values(), beating):
            thread.start()
        for thread in (*self._threads.values(), beating):
            self._idle_work.join(thread)
        with contextlib.suppress(errors.BrokerAway):
            self.ledger.dismiss(self.name)
        self.ledger.close()

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """A thread with which the whole worker ends: whoever started it starts it anew."""

        def end() -> None:
            state, _refusal = run_guarded(f'The thread {name}', work)
            if state != 'done':
                logger.error('This worker cannot work and ends: %s has failed', name)
                self.has_failed = True
                self.stop()

        return threading.Thread(target = end, name = name, daemon = True)

    def stop(self) -> None:
        """End soon."""
        self._closing.set()

    @property
    def is_closing(self) -> bool:
        """Whether it ends."""
        return self._closing.is_set()

    def _able(self, animator: Animator) -> list[str]:
        return [name for name, reason in animator.engines.reasons().items() if not reason]

    def _depth(self, animator: Animator) -> dict[str, object]:
        """The model that tells each engine near from far, where one does."""
        uses = {name: animator.engines.status(name).depth for name in self._able(animator)}
        return {name: use.model for name, use in uses.items() if use}

    def _new_post(self, animator: Animator) -> Post:
        queues = [queue_name(name, self.shared) for name in self._able(animator)]
        return Post(self.ledger.client, queues, self.heartbeat)

    def _beat(self) -> None:
        while not self._closing.is_set():
            try:
                self._check_clock()
                is_quiet = time.monotonic() < self._quiet_until
                alive = [
                    post for each, post in self._posts.items() if self._threads[each].is_alive()
                ]
                for post in alive:
                    post.beat(looks_after_dead = not is_quiet)
                self.ledger.enrol(
                    self.name, {
                        'shared': self.shared,
                        'engines': self._able(self.animator),
                        'depth': self._depth(self.animator),
                        'devices': len(alive)
                    })
                self._say_what_differs()
            except (*AWAY, errors.BrokerAway):
                self._quiet_until = time.monotonic() + self.heartbeat
            self._closing.wait(self.heartbeat / 6)

    def _check_clock(self) -> None:
        """By their own clocks workers judge whether another one is silent, so one whose clock went wrong ends."""
        skew = skew_of(self.ledger)
        if abs(skew) > HEARTBEAT / 3:
            words = text('cli.wrong_clock', seconds = round(skew)).in_(of_this_machine())
            logger.error('%s', words)
            raise errors.Unavailable

    def _say_what_differs(self) -> None:
        """In the log, once for each thing."""
        webs = self.ledger.workers('webs').values()
        told = {
            differences(self.shared, each['shared'])
            for each in webs if each['silent'] < HEARTBEAT
        }
        words = '' if not told or '' in told else '; '.join(sorted(told))
        if words and words != self._said:
            logger.warning('This worker gets no jobs, because it is not like the web side: %s',
                           words)
        self._said = words

    def _work(self, animator: Animator) -> None:
        idle_since = time.monotonic()
        while not self._closing.is_set():
            post = self._posts[animator]
            try:
                if identity := post.next():
                    self._take_or_hand_back(animator, post, identity)
                    idle_since = time.monotonic()
                elif time.monotonic() - idle_since >= self.pause:
                    self._idle_work.run(lambda: animator.prepare(self._stop_if_wanted))
            except (*AWAY, errors.BrokerAway):
                # a message may have been on its way: under another name this worker lets go of the former one's
                logger.warning('The broker is away', exc_info = logger.isEnabledFor(logging.DEBUG))
                self._quiet_until = time.monotonic() + self.heartbeat
                self._posts[animator] = self._new_post(animator)
                self._closing.wait(AGAIN)

    def _stop_if_wanted(self) -> None:
        waiting, _running = self.ledger.counts()
        if waiting or self._closing.is_set():
            raise errors.Cancelled

    def _take_or_hand_back(self, animator: Animator, post: Post, identity: str) -> None:
        """Do one job; whatever happens before it has begun, it has an answer, or somebody else has it."""
        try:
            self._take(animator, post, identity)
            self._faults = 0
        except errors.BadRecord as error:
            logger.error('The record of job %s is not understood: %s', identity, error.__cause__)
            with contextlib.suppress(errors.BadRecord):
                self.ledger.give_up(identity, error)
            post.done()
        except OSError:
            logger.exception('Job %s is handed back', identity)
            post.hand_back()
            self._faults += 1
            if self._faults >= MOST_FAULTS:
                raise
            self._closing.wait(AGAIN)

    def _take(self, animator: Animator, post: Post, identity: str) -> None:
        """Do one job, unless there is nothing left to do."""
        with tempfile.TemporaryDirectory(
                prefix = 'turn-live-photos-worker-', ignore_cleanup_errors = True) as home:
            found = self.ledger.find(identity, Path(home) / identity)
            if not found:
                return post.done()
            job, fields = found
            attempt = int(fields['attempt'])
            if job.has_ended:
                return post.done()
            is_given_up = job.state == 'running' and job.attempts >= MOST_ATTEMPTS
            if not is_given_up:
                lifecycle.begin(job)
            else:
                job.state = 'running'
            if not self.ledger.begin(job, attempt):
                # somebody else has just begun, ended or removed it
                return post.done()
            attempt += 1
            if is_given_up:
                logger.error('Job %s has ended its worker %s times and is given up', identity,
                             job.attempts)
                lifecycle.end(job, 'failed', errors.Crashed())
                self._deliver(job, attempt, {})
                return post.done()
            return self._do(animator, post, job, attempt)

    def _do(self, animator: Animator, post: Post, job: Job, attempt: int) -> None:
        has_ended = threading.Event()
        watch = threading.Thread(
            target = self._watch, args = (job, attempt, has_ended), daemon = True)
        watch.start()
        files = {}

        def work() -> None:
            self._animate(animator, job, attempt)
            files.update(_packed(job))

        state, refusal = run_guarded(f'Job {job.id}', work)
        has_ended.set()
        watch.join()
        if state == 'cancelled' and self._closing.is_set() and self._is_wanted(job, attempt):
            lifecycle.put_back(job)
            self.ledger.hand_back(job, attempt)
            return post.hand_back()
        if isinstance(refusal, errors.EngineUnavailable) and self._is_wanted(job, attempt):
            return self._leave(animator, post, job, attempt)
        lifecycle.end(job, state, refusal)
        self._deliver(job, attempt, files)
        return post.done()

    def _leave(self, animator: Animator, post: Post, job: Job, attempt: int) -> None:
        """Leave a job to others whose engine cannot work here any more."""
        if animator.engines.has_failed(job.request.engine):
            # neither done nor handed back, as if it had ended the process: a job that does so again is given up
            logger.error('This worker cannot work and ends: its engine has failed')
            self.has_failed = True
            return self.stop()
        logger.warning('Job %s is handed back: its engine cannot work here', job.id)
        lifecycle.put_back(job)
        self.ledger.hand_back(job, attempt)
        self._posts[animator] = self._new_post(animator)
        return post.hand_back()

    def _is_wanted(self, job: Job, attempt: int) -> bool:
        return self.ledger.tell(job.id, attempt)

    def _watch(self, job: Job, attempt: int, has_ended: threading.Event) -> None:
        """Stop the engine when the job is cancelled, given to another worker, or the program ends."""
        while not has_ended.wait(GLANCE):
            with contextlib.suppress(errors.BrokerAway, errors.BadRecord):
                if self._closing.is_set() or not self._is_wanted(job, attempt):
                    job.cancellation.set()
                    return

    def _animate(self, animator: Animator, job: Job, attempt: int) -> None:
        job.folder.mkdir()
        job.upload.write_bytes(self._photo(job))
        last = 0.0

        def report(progress: Progress) -> None:
            nonlocal last
            if progress.picture is not None and time.monotonic() - last < PICTURES:
                progress = Progress(progress.phase, progress.step, progress.steps)
            elif progress.picture is not None:
                last = time.monotonic()
            # what cannot be told now is told with the next step
            with contextlib.suppress(errors.BrokerAway):
                if not self.ledger.tell(job.id, attempt, progress):
                    job.cancellation.set()

        made = animator.animate(
            job.request,
            job.file(job.request.format),
            JobControl(report, lambda: lifecycle.stop_if_cancelled(job)),
            created = job.created,
            keep = job.folder)
        if made.note:
            job.notes[job.request.format] = made.note
        job.model = made.model

    def _photo(self, job: Job) -> bytes:
        """The upload; a broker that is away is no fault of the job's."""
        while True:
            try:
                photo = self.ledger.photo(job.id)
            except errors.BrokerAway:
                lifecycle.stop_if_cancelled(job)
                self._closing.wait(AGAIN)
                continue
            if photo is None:
                raise errors.PhotoGone
            return photo

    def _deliver(self, job: Job, attempt: int, files: dict[str, bytes]) -> None:
        """As often as it takes, while the broker is away."""
        tries = 0
        while True:
            try:
                if not self.ledger.finish(job, attempt, files):
                    logger.warning('Job %s was given to another worker meanwhile', job.id)
                return
            except errors.BrokerAway as error:
                if self._closing.wait(AGAIN):
                    raise
                tries += self._is_not_taken(error)
            if files and tries >= MOST_DELIVERIES:
                # some brokers have limits of their own
                size = sum(len(content) for content in files.values())
                logger.error('The broker does not take the %d bytes of job %s', size, job.id)
                lifecycle.end(job, 'failed', errors.ResultTooLarge(limit = size // 1_000_000))
                files = {}

    def _is_not_taken(self, error: errors.BrokerAway) -> bool:
        """Whether the broker answers all the same, and there may be room later."""
        if isinstance(error, errors.BrokerRefuses):
            return False
        with contextlib.suppress(errors.BrokerAway):
            self.ledger.seconds()
            return True
        return False


def _packed(job: Job) -> dict[str, bytes]:
    """The files of a job that was done."""
    names = delivered_names(job.request.format)
    made = [job.folder / name for name in names if (job.folder / name).is_file()]
    if sum(path.stat().st_size for path in made) > MOST_BYTES:
        raise errors.ResultTooLarge(limit = MOST_BYTES // 1_000_000)
    return {path.name: path.read_bytes() for path in made}


def skew_of(ledger: Ledger) -> float:
    """
    How wrong this clock is.

    :param ledger: knows the one that everybody shares
    :type ledger: Ledger
    :return: seconds by which that is ahead; 0 where the answer took too long to tell
    :rtype: float
    :raises modules.errors.BrokerAway: when there is none
    """
    began = time.monotonic()
    skew = ledger.seconds() - time.time()
    return skew if time.monotonic() - began < PROMPT else 0.0


def run(options: Configuration, language: str, *, engines: Engines | None = None) -> int:
    """
    What ``worker`` does: wait for the broker, then work until a signal.

    :param options: the configuration
    :type options: Configuration
    :param language: of what is said
    :type language: str
    :param engines: other engines than the usual ones
    :type engines: Engines | None
    :return: the exit code
    :rtype: int
    """
    ledger = Ledger(options.queue.broker)
    try:
        skew = skew_of(ledger)
    except errors.BrokerAway as error:
        logger.error('%s', text('cli.no_contact', reason = error.__cause__).in_(language))
        return 1
    # by their own clocks machines judge whether another one is silent
    if abs(skew) > HEARTBEAT / 3:
        logger.error('%s', text('cli.wrong_clock', seconds = round(skew)).in_(language))
        return 1
    if warning := eviction_warning(ledger):
        logger.warning('%s', warning.in_(language))
    sandbox = Sandbox(options.web.max_pixels)
    reader = SandboxedReader(sandbox, options.web.max_pixels)
    animator = Animator(options, reader, engines or Engines(options))

    def find_others() -> list[Animator]:
        return [Animator(each, reader, Engines(each)) for each in gpus.others(options)]

    try:
        return serve(Worker(animator, ledger, common(options), find_others = find_others))
    finally:
        sandbox.close()


def serve(worker: Worker) -> int:
    """
    Work until a signal asks for an end: the job at hand is handed back within a step, as if it had not been begun. A
    second signal ends it at once; the others notice that, and do the job.

    :param worker: the worker
    :type worker: Worker
    :return: the exit code: 1 when it could not go on working
    :rtype: int
    """

    def receive(number: int, _frame: object) -> None:
        if worker.is_closing and number == terminal.HANG_UP:
            return
        if worker.is_closing:
            raise KeyboardInterrupt
        worker.stop()

    for number in terminal.stop_signals():
        signal.signal(number, receive)
    worker.run()
    return 1 if worker.has_failed else 0
