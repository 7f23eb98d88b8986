#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What Redis knows of a fleet, by parts: the records of jobs, the line, and the processes.

Libraries: none here.
"""

from modules.jobs.fleet.connection import Connection
from modules.jobs.fleet.line import Line
from modules.jobs.fleet.members import Members
from modules.jobs.fleet.records import JobRecords


class Ledger:
    """
    All parts, with one connection. May be used by several threads.

    :param url: where Redis is
    :type url: str
    :param is_hurried: people wait for its answers, see :class:`modules.jobs.fleet.connection.Connection`
    :type is_hurried: bool
    """

    def __init__(self, url: str, *, is_hurried: bool = False):
        self.connection = Connection(url, is_hurried = is_hurried)
        self.client = self.connection.client
        self.jobs = JobRecords(self.connection)
        self.line = Line(self.connection)
        self.members = Members(self.connection)

    def close(self) -> None:
        """Close what is open; whoever asks again opens it again."""
        self.client.close()
