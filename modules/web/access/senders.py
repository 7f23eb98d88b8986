#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Which jobs are of one client, without storing an address: each client has a random name until the program ends.

Libraries: none but the standard one.
"""

import collections
import secrets
import threading

#: clients that are remembered; of more, who came first gets a new name
MAX_NAMES = 10_000


class Senders:
    """Random names of clients."""

    def __init__(self):
        self._names: collections.OrderedDict[str, str] = collections.OrderedDict()
        self._lock = threading.Lock()

    def name(self, client: str) -> str:
        """
        Return the name of a client.

        :param client: from :func:`modules.web.access.proxies.client`
        :type client: str
        :return: the same each time; empty for the person at this machine
        :rtype: str
        """
        if not client:
            return ''
        with self._lock:
            name = self._names.setdefault(client, secrets.token_hex(8))
            if len(self._names) > MAX_NAMES:
                self._names.popitem(last = False)
            return name
