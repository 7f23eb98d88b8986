#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Bodies of requests that have not come whole. They lie in the system's folder for temporary files, and have a sum.

Libraries: waitress.
"""

import collections

from waitress.utilities import Error

#: bytes that unfinished bodies of all connections may have together, and how many of the largest must fit
MOST_BYTES, MOST_OF_THE_LARGEST = 1 << 30, 8


class NoRoom(Error):
    """What is sent cannot be kept now."""

    code = 503
    reason = 'Service Unavailable'


class Bodies:
    """
    Counts what has come.

    :param largest: bytes that one body may have; 0 where there is no limit, and then there is none of the sum
    :type largest: int
    """

    def __init__(self, largest: int):
        self.most = max(MOST_BYTES, MOST_OF_THE_LARGEST * largest) if largest else 0
        self._sizes: dict[object, int] = {}
        self._sum = 0

    def note(self, channel: object, size: int) -> None:
        """
        Note how much of a body has come.

        :param channel: its connection
        :type channel: object
        :param size: bytes so far; 0 when it is whole, or given up
        :type size: int
        """
        self._sum += size - self._sizes.pop(channel, 0)
        if size:
            self._sizes[channel] = size

    def one_too_many(self) -> object | None:
        """
        Find who has to make room for others.

        :return: the connection that has sent most, of the client who has; None where there is room
        :rtype: object | None
        """
        if not self.most or self._sum <= self.most:
            return None
        held = collections.Counter()
        for channel, size in self._sizes.items():
            held[channel.addr[0]] += size
        return max(self._sizes, key = lambda each: (held[each.addr[0]], self._sizes[each]))
