#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the routes work with, and for whom.

Libraries: Flask.
"""

import contextlib
import threading
from dataclasses import dataclass, field

from flask import current_app, request

from modules.clips.animator import Animator
from modules.configuration import Configuration
from modules.i18n import LANGUAGES
from modules.install.background import LibraryFetcher
from modules.jobs.queue import Queue
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
    #: opens strangers' pictures
    sandbox: Sandbox
    #: removes old jobs
    retention: Retention
    #: brings the model
    fetcher: Fetcher
    #: brings the libraries of Stable Video Diffusion
    libraries: LibraryFetcher
    #: connections that may be kept open for progress
    streams: threading.BoundedSemaphore = field(
        default_factory = lambda: threading.BoundedSemaphore(MAX_STREAMS))

    #: names for clients, under which their clips are counted
    senders: Senders = field(default_factory = Senders)

    def close(self) -> None:
        """End whatever runs in the background; jobs that wait go on after the next start."""
        self.libraries.close()
        self.fetcher.close()
        self.queue.close()
        self.retention.close()
        self.sandbox.close()
        self.store.close()


def services() -> Services:
    """
    The services of the app that answers this request.

    :return: the services
    :rtype: Services
    """
    return current_app.extensions['services']


def language() -> str:
    """
    The reader's language: the one switched to, else the browser's.

    :return: one of :data:`modules.i18n.LANGUAGES`; English where the browser names neither
    :rtype: str
    """
    switched = request.cookies.get('lang')
    # a refusal must not fail because of an address that is none
    with contextlib.suppress(UnicodeDecodeError):
        switched = request.args.get('lang') or switched
    if switched in LANGUAGES:
        return switched
    return request.accept_languages.best_match(LANGUAGES, default = 'en')
