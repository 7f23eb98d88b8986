#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The services that the routes work with, and facts of the request: its language, whether its client is there.

Libraries: Flask.
"""

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flask import current_app, request

from modules.clips.animator import Animator
from modules.configuration import Configuration
from modules.i18n import LANGUAGES
from modules.install.background import LibraryFetcher
from modules.jobs.contract import Queue
from modules.jobs.results import Results
from modules.jobs.retention import Retention
from modules.jobs.store import Store
from modules.photos.sandbox.sandbox import Sandbox
from modules.web.access.senders import Senders
from modules.weights.fetcher import Fetcher

#: connections kept open for progress at once; each holds a thread of the server
MAX_STREAMS = 128


@dataclass(frozen = True)
class Services:
    """What the routes work with; made by ``create_app``."""

    configuration: Configuration
    animator: Animator
    queue: Queue
    #: keeps the jobs
    store: Store
    #: files of finished jobs
    results: Results
    #: opens photos of strangers in processes of their own
    sandbox: Sandbox
    #: removes old jobs
    retention: Retention
    #: name of a model → what downloads it
    fetchers: Mapping[str, Fetcher]
    #: installs the libraries of models
    libraries: LibraryFetcher
    #: connections that may be kept open for progress
    streams: threading.BoundedSemaphore = field(
        default_factory = lambda: threading.BoundedSemaphore(MAX_STREAMS))

    #: names for clients, under which their clips are counted
    senders: Senders = field(default_factory = Senders)

    def close(self) -> None:
        """Stop whatever runs in the background; jobs that wait go on after the next start."""
        self.libraries.close()
        for fetcher in self.fetchers.values():
            fetcher.close()
        self.queue.close()
        self.retention.close()
        self.sandbox.close()
        self.store.close()


def services() -> Services:
    """
    Return the services of the app that answers this request.

    :return: the services
    :rtype: Services
    """
    return current_app.extensions['services']


def language() -> str:
    """
    Return the reader's language: the one switched to, else the browser's.

    :return: one of :data:`modules.i18n.LANGUAGES`; English where the browser names neither
    :rtype: str
    """
    switched = request.cookies.get('lang')
    # a refusal must not fail because of an address in no encoding
    with contextlib.suppress(UnicodeDecodeError):
        switched = request.args.get('lang') or switched
    if switched in LANGUAGES:
        return switched
    return request.accept_languages.best_match(LANGUAGES, default = 'en')


def client_disconnected() -> Callable[[], bool]:
    """
    Return what tells whether the client of this request has hung up.

    :return: waitress's own check; always False under another server
    :rtype: Callable[[], bool]
    """
    return request.environ.get('waitress.client_disconnected', lambda: False)
