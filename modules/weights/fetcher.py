#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The download in the background of a serving program.

Libraries: none here.
"""

import dataclasses
import logging
import threading

from modules import errors, i18n
from modules.configuration import Configuration
from modules.i18n import text
from modules.weights import WeightsError
from modules.weights.download import State, download
from modules.weights.plan import USUAL_TERMS, Terms

logger = logging.getLogger(__name__)


class Fetcher:
    """
    Fetches the model when told to, on a thread of its own. Making one starts nothing.

    :param configuration: the options
    :type configuration: Configuration
    :param terms: what the download keeps to
    :type terms: Terms
    """

    def __init__(self, configuration: Configuration, terms: Terms = USUAL_TERMS):
        self._configuration = configuration
        self._terms = terms
        self._state = State()
        self._starting = threading.Lock()
        self._unwanted = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, or begin again after a failure; nothing happens while a download runs."""
        with self._starting:
            if self._unwanted.is_set() or (self._thread and self._thread.is_alive()):
                return
            self._state = State('running')
            self._thread = threading.Thread(target = self._run, name = 'weights', daemon = True)
            self._thread.start()

    def state(self) -> State:
        """
        How far the download is.

        :return: a snapshot
        :rtype: State
        """
        return self._state

    def close(self) -> None:
        """End the download, for good; what has come is continued by the next one."""
        self._unwanted.set()
        with self._starting:
            thread = self._thread
        if thread:
            thread.join(2 * self._terms.patience.timeout)

    def _run(self) -> None:
        ended = {'state': 'failed', 'error': text('weights.broken')}
        try:
            download(self._configuration, self._keep, self._stop_if_cancelled, self._terms)
            ended = {'state': 'done', 'error': None}
        except errors.Cancelled:
            ended = {'state': 'idle', 'error': None}
        except WeightsError as error:
            logger.error('%s', error.text.in_(i18n.of_this_machine()))
            ended = {'state': 'failed', 'error': error.text}
        finally:
            self._state = dataclasses.replace(self._state, speed = 0.0, eta = None, **ended)

    def _keep(self, state: State) -> None:
        self._state = state

    def _stop_if_cancelled(self) -> None:
        if self._unwanted.is_set():
            raise errors.Cancelled
