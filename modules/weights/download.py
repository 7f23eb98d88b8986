#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Fetch a model: from one source after another, resumed, checked, and in its place only when whole.

Libraries: filelock, which comes with huggingface_hub.
"""

import collections
import contextlib
import dataclasses
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modules.configuration import Configuration
from modules.i18n import Text, text
from modules.progress import do_nothing
from modules.weights import LocalError, Model, WeightsError, find, is_whole
from modules.weights import plan as plans
from modules.weights.plan import USUAL_TERMS, Plan, Terms
from modules.weights.sources import Source
from modules.weights.transfer import RemoteFile, fetch, on_disk
from modules.weights.web import Patience

if TYPE_CHECKING:
    import filelock

logger = logging.getLogger(__name__)

#: seconds over which speed is measured, and after how many it means something
_WINDOW = 10.0
_LEAST = 0.5

#: seconds between two reports
_INTERVAL = 0.2

#: seconds for which a download waits for the lock, which :func:`is_being_fetched` may hold for a moment
_LOCK_SECONDS = 0.3


@dataclass(frozen = True)
class State:
    """How far a download is."""

    #: ``idle``, ``running``, ``done`` or ``failed``
    state: str = 'idle'
    bytes_done: int = 0
    #: 0 until a source has answered
    bytes_total: int = 0
    #: bytes per second, over the last moments
    speed: float = 0.0
    #: seconds left; None while unknown
    eta: float | None = None
    #: the file being fetched, within the model's folder
    file: str = ''
    #: the host it comes from
    source: str = ''
    #: why it failed, or, while running, why the last source did
    error: Text | None = None


OnProgress = Callable[[State], None]
OnPlan = Callable[[Plan], None]
#: raises :class:`modules.errors.Cancelled` when the download is no longer wanted
StopIfCancelled = Callable[[], None]


@dataclass(frozen = True)
class Observer:
    """Who follows a download."""

    #: called a few times a second
    on_progress: OnProgress = do_nothing
    #: called at least as often
    stop_if_cancelled: StopIfCancelled = do_nothing
    #: called before the files of a source are fetched
    on_plan: OnPlan = do_nothing


def download(
        configuration: Configuration,
        model: Model,
        observer: Observer = Observer(),  # noqa: B008
        terms: Terms = USUAL_TERMS) -> Path:
    """
    Download a model, unless it is here. What an interrupted download left is continued.

    :param configuration: the options
    :type configuration: Configuration
    :param model: the model
    :type model: Model
    :param observer: who follows it
    :type observer: Observer
    :param terms: its sources and limits
    :type terms: Terms
    :return: the model's folder, as :func:`modules.weights.find` finds it
    :rtype: Path
    :raises WeightsError: when that fails, with what to do about it
    :raises modules.errors.Cancelled: when the download is no longer wanted
    """
    if here := find(configuration, model):
        return here
    sources = terms.sources_for(configuration, model)
    folder = plans.find_folder(configuration, model)
    meter = _Meter(observer)

    def attempt(source: Source) -> Path:
        plan = plans.plan_from_source(source, configuration, terms.patience, model)
        observer.on_plan(plan)
        _require_space(plan, terms.reserve)
        meter.begin(plan)
        with on_disk(folder):
            for file in plan.files:
                _fetch_unless_here(file, plan, meter, terms.patience)
            return _move_in(plan)

    with _lock_model(folder):
        return plans.try_sources(sources, attempt, meter.report_failure, terms.is_quiet)


class _Meter:
    """
    Counts bytes and reports how far the download is.

    :param observer: who follows the download
    :type observer: Observer
    """

    def __init__(self, observer: Observer):
        self._observer = observer
        self._state = State('running')
        #: bytes that are here of each file
        self._sizes: dict[str, int] = {}
        #: (seconds, bytes), over the last moments
        self._samples: collections.deque[tuple[float, int]] = collections.deque()
        self._reported = 0.0

    def begin(self, plan: Plan) -> None:
        self._sizes = {file.path: plan.count_bytes_here(file) for file in plan.files}
        self._samples.clear()
        self._state = dataclasses.replace(
            self._state, bytes_total = plan.bytes_total, source = plan.source)
        self._report(time.monotonic())

    def report_failure(self, words: Text) -> None:
        self._state = dataclasses.replace(self._state, error = words)
        self._report(time.monotonic())

    def count(self, file: RemoteFile, size: int) -> None:
        self._observer.stop_if_cancelled()
        self._sizes[file.path] = size
        now = time.monotonic()
        if now - self._reported >= _INTERVAL or file.path != self._state.file or size == file.size:
            self._state = dataclasses.replace(self._state, file = file.path)
            self._report(now)

    def _report(self, now: float) -> None:
        self._reported, done = now, sum(self._sizes.values())
        while self._samples and (now - self._samples[0][0] > _WINDOW or self._samples[0][1] > done):
            self._samples.popleft()
        self._samples.append((now, done))
        first, before = self._samples[0]
        speed = (done - before) / (now - first) if now - first >= _LEAST else 0.0
        eta = (self._state.bytes_total - done) / speed if speed else None
        self._state = dataclasses.replace(self._state, bytes_done = done, speed = speed, eta = eta)
        self._observer.on_progress(self._state)


def _require_space(plan: Plan, reserve: int) -> None:
    wanted, free = plan.bytes_total - plan.bytes_here + reserve, plan.bytes_free
    if wanted > free:
        raise LocalError(
            text(
                'weights.disk_full',
                folder = plan.folder.parent,
                wanted = f'{wanted / 1e9:.1f}',
                free = f'{free / 1e9:.1f}'))


def _fetch_unless_here(file: RemoteFile, plan: Plan, meter: _Meter, patience: Patience) -> None:
    """Put a file into the partial folder, from the final one where it is there."""

    def on_size(size: int) -> None:
        meter.count(file, size)

    path, old = plan.partial_folder / file.path, plan.folder / file.path
    if not file.is_at(path, on_size):
        if file.is_at(old, on_size):
            path.parent.mkdir(parents = True, exist_ok = True)
            old.replace(path)
        else:
            fetch(file, path, on_size, patience)
    on_size(file.size)


def _move_in(plan: Plan) -> Path:
    """Give the partial folder the model's name; an earlier folder of that name, no whole model, is renamed."""
    if not is_whole(plan.partial_folder, plan.model):
        raise WeightsError(text(plan.model.incomplete, host = plan.source, name = plan.folder.name))
    for outdated in plan.partial_folder.rglob('*.part'):
        outdated.unlink()
    if plan.folder.exists() and plan.model.is_loose:
        # other files of the repository are none of this model's business
        for file in plan.files:
            (plan.folder / file.path).parent.mkdir(parents = True, exist_ok = True)
            (plan.partial_folder / file.path).replace(plan.folder / file.path)
        shutil.rmtree(plan.partial_folder)
        return plan.folder
    if plan.folder.exists():
        aside = plan.folder.with_name(f'{plan.folder.name}.{time.time_ns()}.old')
        plan.folder.replace(aside)
        logger.warning('%s held no whole model and is now %s', plan.folder, aside.name)
    plan.partial_folder.replace(plan.folder)
    return plan.folder


def is_being_fetched(configuration: Configuration, model: Model) -> bool:
    """
    Check whether a program on this machine, or on another with the same ``ModelsHome``, is fetching a model.

    :param configuration: the options
    :type configuration: Configuration
    :param model: the model
    :type model: Model
    :return: whether one is; also where a lock is there that cannot be tried, in a folder that may only be read
    :rtype: bool
    """
    folder = configuration.store.models_home / model.name(configuration)
    # trying would make the file; one that was killed leaves it
    if not _lock_path(folder).exists():
        return False
    lock = _lock_beside(folder)
    try:
        with lock.acquire(timeout = 0):
            return False
    except OSError:
        # a lock that another holds is a TimeoutError
        return True


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f'{folder.name}.lock')


def _lock_beside(folder: Path) -> 'filelock.BaseFileLock':
    """What is locked while a model is fetched into a folder."""
    # this module is imported where libraries are still coming
    try:
        import filelock
    except ImportError:
        raise LocalError(text('weights.no_library')) from None
    return filelock.FileLock(_lock_path(folder))


@contextlib.contextmanager
def _lock_model(folder: Path) -> Iterator[None]:
    """Keep other processes from fetching the same model."""
    lock = _lock_beside(folder)
    with on_disk(folder):
        folder.parent.mkdir(parents = True, exist_ok = True)
        try:
            lock.acquire(timeout = _LOCK_SECONDS)
        except TimeoutError:
            raise LocalError(text('weights.another_download')) from None
    try:
        yield
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink()
