#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The thread by which a worker shows that it is alive.

Libraries: none here.
"""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from modules import errors
from modules.i18n import of_this_machine, text
from modules.jobs.fleet.agreement import differences
from modules.jobs.fleet.broker import HEARTBEAT, MessageReceiver
from modules.jobs.fleet.connection import AWAY, Connection
from modules.jobs.fleet.shift import Shift

logger = logging.getLogger(__name__)

#: seconds within which Redis must answer for its clock to be compared
PROMPT = 1.0


class Heartbeat:
    """
    Signs of life.

    :param shift: the run of the worker
    :type shift: Shift
    :param name: the worker's
    :type name: str
    :param receivers: gives those of the devices that work
    :type receivers: Callable[[], Iterable[MessageReceiver]]
    :param facts: gives what the worker can do: ``engines`` and ``depth``
    :type facts: Callable[[], dict[str, Any]]
    """

    def __init__(self, shift: Shift, name: str, receivers: Callable[[], Iterable[MessageReceiver]],
                 facts: Callable[[], dict[str, Any]]):
        self._shift = shift
        self._name = name
        self._receivers = receivers
        self._facts = facts
        self._logged = ''

    def run(self) -> None:
        """
        Give signs of life until the worker ends.

        :raises modules.errors.Unavailable: when this machine's clock, or Redis's, is wrong
        """
        while not self._shift.closing.is_set():
            try:
                self._check_clock()
                self._beat()
                self._log_differences()
            except (*AWAY, errors.BrokerAway):
                self._shift.note_outage()
            self._shift.closing.wait(self._shift.intervals.heartbeat / 6)

    def _beat(self) -> None:
        receivers = list(self._receivers())
        for receiver in receivers:
            receiver.send_heartbeat(looks_after_dead = not self._shift.is_after_outage)
        facts = {'shared': self._shift.shared, 'devices': len(receivers), **self._facts()}
        self._shift.ledger.members.enrol(self._name, facts)

    def _check_clock(self) -> None:
        """By their own clocks workers judge whether another one is silent, so one whose clock went wrong ends."""
        skew = clock_skew(self._shift.ledger.connection)
        if abs(skew) > HEARTBEAT / 3:
            words = text('cli.wrong_clock', seconds = round(skew)).in_(of_this_machine())
            logger.error('%s', words)
            raise errors.Unavailable

    def _log_differences(self) -> None:
        """Write to the log, once, in what this worker differs from all web processes."""
        webs = self._shift.ledger.members.known('webs').values()
        found = {
            differences(self._shift.shared, each['shared'])
            for each in webs if each['silent'] < HEARTBEAT
        }
        words = '' if not found or '' in found else '; '.join(sorted(found))
        if words and words != self._logged:
            logger.warning('This worker gets no jobs, because it is not like the web side: %s',
                           words)
        self._logged = words


def clock_skew(connection: Connection) -> float:
    """
    Compare this machine's clock with Redis's, the one that everybody shares.

    :param connection: to Redis
    :type connection: Connection
    :return: seconds by which Redis's is ahead; 0 where the answer took too long for that
    :rtype: float
    :raises modules.errors.BrokerAway: when there is none
    """
    began = time.monotonic()
    skew = connection.probe() - time.time()
    return skew if time.monotonic() - began < PROMPT else 0.0
