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
from modules.i18n import text
from modules.weights import WeightsError
from modules.weights.download import State, download
from modules.weights.plan import USUAL_TERMS, Plan, Terms

logger = logging.getLogger(__name__)

#: seconds between two lines in the terminal
INTERVAL = 15


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
        self._said = 0.0

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
            download(
                self._configuration,
                self._keep,
                self._stop_if_cancelled,
                self._terms,
                on_plan = _say)
            ended = {'state': 'done', 'error': None}
        except errors.Cancelled:
            ended = {'state': 'idle', 'error': None}
        except WeightsError as error:
            logger.error('%s', error.text.in_('en'))
            ended = {'state': 'failed', 'error': error.text}
        finally:
            self._state = dataclasses.replace(self._state, speed = 0.0, eta = None, **ended)

    def _keep(self, state: State) -> None:
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
        if self._unwanted.is_set():
            raise errors.Cancelled


def _say(plan: Plan) -> None:
    for words in plan.messages:
        logger.info('%s', words.in_('en'))
