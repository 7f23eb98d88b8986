#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Bodies of requests that have not come whole. They lie in the system's folder for temporary files, and their sum is
limited.

Libraries: waitress.
"""

import collections
from typing import Protocol

from waitress.utilities import Error

#: bytes that unfinished bodies of all connections may have together, and how many of the largest must fit
MAX_BYTES, MIN_LARGEST = 1 << 30, 8


class UploadSpaceFull(Error):
    """What is sent cannot be kept now."""

    code = 503
    reason = 'Service Unavailable'


class Connection(Protocol):
    """Where bodies come from."""

    #: the client's address and port
    addr: tuple

    def refuse_upload(self) -> None:
        """Refuse what has not come whole."""


class Uploads:
    """
    Counts what has come.

    :param largest: bytes that one body may have; 0 where there is no limit, and then there is none of the sum
    :type largest: int
    """

    def __init__(self, largest: int):
        self.limit = max(MAX_BYTES, MIN_LARGEST * largest) if largest else 0
        self._sizes: dict[Connection, int] = {}
        self._sum = 0

    def note(self, connection: Connection, size: int) -> None:
        """
        Note how much of a body has come.

        :param connection: its connection
        :type connection: Connection
        :param size: bytes so far; 0 when it is whole, or given up
        :type size: int
        """
        self._sum += size - self._sizes.pop(connection, 0)
        if size:
            self._sizes[connection] = size

    def find_surplus(self) -> Connection | None:
        """
        Find who has to make room for others.

        :return: the connection that has sent most, of the client who has; None where there is room
        :rtype: Connection | None
        """
        if not self.limit or self._sum <= self.limit:
            return None
        held: collections.Counter[str] = collections.Counter()
        for connection, size in self._sizes.items():
            held[connection.addr[0]] += size
        return max(self._sizes, key = lambda each: (held[each.addr[0]], self._sizes[each]))
