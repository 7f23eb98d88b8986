#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Builds the services and opens the doors. ``python app.py`` is the same program as ``python __main__.py``.

Libraries: Flask.
"""

import runpy
from collections.abc import Sequence
from pathlib import Path

from flask import Flask

from modules import routes
from modules.clips.animator import Animator
from modules.configuration import Configuration
from modules.engines import Engines
from modules.engines.diffusion import gpus
from modules.install.background import LibraryFetcher
from modules.jobs.local.queue import LocalQueue
from modules.jobs.queue import Queue
from modules.jobs.results import Results
from modules.jobs.retention import Retention
from modules.jobs.store import Store
from modules.photos.reader import PhotoReader
from modules.photos.sandbox.sandbox import Sandbox, SandboxedReader
from modules.web import forms
from modules.web.services import Services
from modules.weights.fetcher import Fetcher


def create_app(configuration: Configuration,
               home: Path,
               *,
               engines: Engines | None = None,
               more_engines: Sequence[Engines] = (),
               progress_bar: bool = False,
               fetches_libraries: bool = False) -> Flask:
    """
    Make the app; its workers start at once, in the background.

    :param configuration: the options
    :type configuration: Configuration
    :param home: jobs are kept in this folder; made if it is not there
    :type home: Path
    :param engines: other engines than the usual ones
    :type engines: Engines | None
    :param more_engines: the same for further devices of this machine
    :type more_engines: Sequence[Engines]
    :param progress_bar: show every job's progress in the terminal
    :type progress_bar: bool
    :param fetches_libraries: libraries will be fetched at once, so none of them is to be used before
    :type fetches_libraries: bool
    :return: the app; ``extensions['services'].close()`` ends what runs in the background
    :rtype: Flask
    :raises modules.jobs.store.HomeInUse: when another process keeps its jobs there
    """
    app = Flask(__name__)
    app.request_class = forms.Request
    if limit := configuration.web.max_content_length:
        # a body of exactly Werkzeug's limit is refused by it
        app.config['MAX_CONTENT_LENGTH'] = limit + 1
    app.json.ensure_ascii = False
    sandbox = Sandbox(configuration.web.max_pixels)
    reader = SandboxedReader(sandbox, configuration.web.max_pixels)
    libraries = LibraryFetcher(configuration, is_coming = fetches_libraries)
    animator = Animator(
        configuration, reader, engines
        or Engines(configuration, are_libraries_coming = libraries.is_coming))

    def find_others() -> list[Animator]:
        found = [Engines(each) for each in gpus.others(configuration)] if not engines else []
        animator.engines.join([*found, *more_engines])
        return [Animator(configuration, reader, each) for each in (*found, *more_engines)]

    store = Store(home)
    if configuration.queue.broker:
        animator, queue = _remote(configuration, reader, store)
    else:
        queue = LocalQueue(
            animator,
            store,
            configuration.queue.max_waiting,
            max_waiting_per_client = configuration.queue.max_waiting_per_client,
            find_others = find_others,
            progress_bar = progress_bar)
    retention = Retention(queue, store, configuration.store)
    queue.on_end = retention.look
    app.extensions['services'] = Services(configuration, animator, queue, store,
                                          Results(animator, store), sandbox, retention,
                                          Fetcher(configuration), libraries)
    routes.register(app)
    return app


def _remote(configuration: Configuration, reader: PhotoReader,
            store: Store) -> tuple[Animator, Queue]:
    """The queue of a fleet; its libraries are imported by nobody else."""
    from modules.jobs.fleet.agreement import FleetEngines
    from modules.jobs.fleet.ledger import Ledger
    from modules.jobs.fleet.queue import RemoteQueue
    ledger = Ledger(configuration.queue.broker, is_hurried = True)
    engines = FleetEngines(configuration, ledger)
    animator = Animator(configuration, reader, engines)
    return animator, RemoteQueue(animator, store, ledger, configuration.queue, engines.shared)


if __name__ == '__main__':
    runpy.run_path(str(Path(__file__).with_name('__main__.py')), run_name = '__main__')
