#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The download in the background of a serving program.

Libraries: none here.
"""

import dataclasses
import logging
import math
import threading
import time

from modules import errors
from modules.configuration import Configuration
from modules.i18n import Text, text
from modules.weights import Model, WeightsError
from modules.weights.download import Observer, State, download
from modules.weights.plan import Plan, Terms

logger = logging.getLogger(__name__)

#: seconds between two lines in the terminal
INTERVAL = 15


class Fetcher:
    """
    Downloads a model on a thread of its own. Making one starts nothing.

    :param configuration: the options
    :type configuration: Configuration
    :param model: the model
    :type model: Model
    :param terms: its sources and limits; None for the usual ones, and few words about a model that nobody asked for
    :type terms: Terms | None
    """

    def __init__(self, configuration: Configuration, model: Model, terms: Terms | None = None):
        self._configuration = configuration
        self._model = model
        self._terms = terms or Terms(is_quiet = model.announce is not None)
        self._state = State()
        self._starting = threading.Lock()
        self._unwanted = threading.Event()
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_running = False
        self._said = 0.0

    def start(self) -> None:
        """Begin, or begin again after a failure; nothing happens while a download runs."""
        with self._starting:
            if self._unwanted.is_set() or (self._is_running and not self._cancelled.is_set()):
                return
            self._cancelled.clear()
            self._state = State('running')
            # one that waits for an answer has not heard of having been stopped
            if self._is_running:
                return
            self._is_running = True
            self._thread = threading.Thread(target = self._run, name = 'weights', daemon = True)
            self._thread.start()

    def state(self) -> State:
        """
        Return how far the download is.

        :return: a snapshot
        :rtype: State
        """
        return self._state

    def cancel(self) -> None:
        """End the download soon; what has come is continued by the next one."""
        with self._starting:
            if self._state.state == 'running':
                self._cancelled.set()
                self._state = State()

    def close(self) -> None:
        """End the download, for good; what has come is continued by the next one."""
        self._unwanted.set()
        with self._starting:
            thread = self._thread
        if thread:
            thread.join(2 * self._terms.patience.timeout)

    def _run(self) -> None:
        is_over = False
        while not is_over:
            state = 'failed'
            words: Text | None = text('weights.broken')
            try:
                self._fetch()
                state, words = 'done', None
            except errors.Cancelled:
                state, words = 'idle', None
            except WeightsError as error:
                logger.warning('%s is not fetched: %s', self._model.name(self._configuration),
                               error.text.in_('en'))
                words = error.text
            finally:
                is_over = self._end(state, words)

    def _fetch(self) -> None:
        observer = Observer(self._keep, self._stop_if_cancelled, _log_plan)
        for model in (self._model, self._model.find_companion(self._configuration)):
            if model:
                download(self._configuration, model, observer, self._terms)

    def _end(self, state: str, words: Text | None) -> bool:
        """Note how it ended; False where it was stopped, and begun again before that had come to its end."""
        with self._starting:
            if state == 'idle' and not (self._cancelled.is_set() or self._unwanted.is_set()):
                return False
            # whoever has stopped it need not know what became of it
            self._state = State() if self._cancelled.is_set() else dataclasses.replace(
                self._state, state = state, error = words, speed = 0.0, eta = None)
            self._is_running = False
            return True

    def _keep(self, state: State) -> None:
        if self._cancelled.is_set():
            return
        self._state = state
        if state.eta is not None and time.monotonic() - self._said > INTERVAL:
            self._said = time.monotonic()
            words = text(
                'weights.coming',
                done = f'{state.bytes_done / 1e9:.2f}',
                total = f'{state.bytes_total / 1e9:.2f}',
                speed = f'{state.speed / 1e6:.1f}',
                minutes = math.ceil(state.eta / 60))
            logger.info('%s', words.in_('en'))

    def _stop_if_cancelled(self) -> None:
        if self._unwanted.is_set() or self._cancelled.is_set():
            raise errors.Cancelled


def _log_plan(plan: Plan) -> None:
    for words in plan.messages:
        logger.info('%s', words.in_('en'))
