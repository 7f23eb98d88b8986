#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The processes of a fleet, as Redis knows them.

Libraries: none here.
"""

import contextlib
import json
import logging
from typing import Any, Literal

from modules import errors
from modules.jobs.fleet.connection import Connection, read_clock
from modules.jobs.record import facts_from_json

logger = logging.getLogger(__name__)

Kind = Literal['workers', 'webs']

#: seconds after which a process that has gone is forgotten
FORGOTTEN = 24 * 3600
#: names that are noted in the log at the most
MOST_UNREADABLE = 1000


class Members:
    """
    Workers and web processes.

    :param connection: to Redis
    :type connection: Connection
    """

    def __init__(self, connection: Connection):
        self._connection = connection
        #: names whose facts could not be read
        self._unreadable: set[bytes] = set()

    def enrol(self, name: str, facts: dict[str, Any], kind: Kind = 'workers') -> None:
        """
        Write that a process is there now.

        :param name: its name
        :type name: str
        :param facts: ``shared``, and for workers ``engines``, ``slow``, ``depth`` and ``devices``
        :type facts: dict[str, Any]
        :param kind: what it is
        :type kind: Kind
        """
        with self._connection.reach() as client:
            if client.type(f'tlp:{kind}') not in (b'none', b'hash'):
                # no process of a fleet has written that
                client.delete(f'tlp:{kind}')
            words = json.dumps({**facts, 'seen': read_clock(client)})
            client.hset(f'tlp:{kind}', name, words)

    def dismiss(self, name: str) -> None:
        """
        Remove a worker that ends in order.

        :param name: its name
        :type name: str
        """
        with self._connection.reach() as client:
            client.hdel('tlp:workers', name)

    def known(self, kind: Kind = 'workers') -> dict[str, dict[str, Any]]:
        """
        List the processes that were there within the last day.

        :param kind: which ones
        :type kind: Kind
        :return: name → facts, with ``silent``, the seconds since it was there
        :rtype: dict[str, dict[str, Any]]
        """
        found: dict[bytes, bytes] = {}
        with self._connection.reach() as client:
            moment = read_clock(client)
        # something else may lie there
        with contextlib.suppress(errors.BadRecord), self._connection.reach() as client:
            found = client.hgetall(f'tlp:{kind}')
        known = {}
        for name, words in found.items():
            try:
                known[name.decode()] = facts_from_json(words, moment)
            except (errors.BadRecord, UnicodeDecodeError):
                self._note_unreadable(name)
        gone = [each for each, facts in known.items() if facts['silent'] > FORGOTTEN]
        # a Redis that may only be read answers all the same
        with contextlib.suppress(errors.BrokerRefuses), self._connection.reach() as client:
            for each in gone:
                client.hdel(f'tlp:{kind}', each)
        return {name: facts for name, facts in known.items() if name not in gone}

    def _note_unreadable(self, name: bytes) -> None:
        """Write a name to the log, once."""
        if name not in self._unreadable and len(self._unreadable) < MOST_UNREADABLE:
            self._unreadable.add(name)
            logger.warning('What %r says of itself is not understood', name)
