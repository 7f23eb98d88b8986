#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Builds the services and registers the routes. ``python app.py`` is the same program as ``python __main__.py``.

Libraries: Flask.
"""

import runpy
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from flask import Flask

from modules import routes
from modules.clips.animator import Animator
from modules.configuration import Configuration
from modules.engines.diffusion import gpus
from modules.engines.models import MODELS
from modules.engines.registry import Engines
from modules.install.background import LibraryFetcher
from modules.jobs.contract import Queue
from modules.jobs.local.local_queue import LocalQueue
from modules.jobs.local.workers import WorkerOptions
from modules.jobs.results import Results
from modules.jobs.retention import Retention
from modules.jobs.store import Store
from modules.photos.sandbox.sandbox import Sandbox, SandboxedReader
from modules.web.services import Services
from modules.weights.fetcher import Fetcher


def create_app(configuration: Configuration,
               home: Path,
               *,
               engines: Engines | Sequence[Engines] = (),
               progress_bar: bool = False,
               fetches_libraries: bool = False) -> Flask:
    """
    Make the app; its workers start at once, in the background.

    :param configuration: the options
    :type configuration: Configuration
    :param home: jobs are kept in this folder; made if it is not there
    :type home: Path
    :param engines: other engines than the usual ones; of several, each is for a device of its own
    :type engines: Engines | Sequence[Engines]
    :param progress_bar: show every job's progress in the terminal
    :type progress_bar: bool
    :param fetches_libraries: libraries will be fetched at once, so none of them is to be used before
    :type fetches_libraries: bool
    :return: the app; ``extensions['services'].close()`` ends what runs in the background
    :rtype: Flask
    :raises modules.jobs.database.HomeInUse: when another process keeps its jobs there
    """
    sandbox = Sandbox(configuration.web.max_pixels)
    reader = SandboxedReader(sandbox, configuration.web.max_pixels)
    libraries = LibraryFetcher(configuration, is_coming = fetches_libraries)
    store = Store(home)
    queue: Queue
    if configuration.queue.broker:
        animator, queue = _fleet_queue(configuration, reader, store, sandbox)
    else:
        given = engines if isinstance(engines, Sequence) else [engines]
        own = given or [Engines(configuration, are_libraries_coming = libraries.is_coming)]
        animator = Animator(configuration, reader, own[0])
        find_others = partial(_find_others, animator, configuration, given)
        queue = LocalQueue(animator, store, configuration.queue,
                           WorkerOptions(find_others, progress_bar))
    retention = Retention(queue, store, configuration.store)
    queue.on_end = retention.request_cleanup
    return routes.make_app(
        Services(configuration, animator, queue, store, Results(animator, store), sandbox,
                 retention, {
                     key: Fetcher(configuration, model)
                     for key, model in MODELS.items()
                 }, libraries))


def _find_others(animator: Animator, configuration: Configuration,
                 engines: Sequence[Engines]) -> list[Animator]:
    """Find the animators of further devices: of engines that are given, else of each further GPU."""
    if len(engines) == 1:
        return []
    found = list(engines[1:]) or [Engines(each) for each in gpus.others(configuration)]
    animator.engines.join(found)
    return [Animator(configuration, animator.reader, each) for each in found]


def _fleet_queue(configuration: Configuration, reader: SandboxedReader, store: Store,
                 sandbox: Sandbox) -> tuple[Animator, Queue]:
    """Make the queue of a fleet; its libraries are imported nowhere else."""
    from modules.clips.sandboxed import open_frames
    from modules.jobs.fleet.agreement import FleetEngines
    from modules.jobs.fleet.ledger import Ledger
    from modules.jobs.fleet.remote_queue import RemoteQueue
    ledger = Ledger(configuration.queue.broker, is_hurried = True)
    engines = FleetEngines(configuration, ledger)
    # a worker that was taken over delivers whatever it likes
    animator = Animator(configuration, reader, engines, partial(open_frames, sandbox))
    return animator, RemoteQueue(store, ledger, configuration.queue, engines.shared)


if __name__ == '__main__':
    runpy.run_path(str(Path(__file__).with_name('__main__.py')), run_name = '__main__')
