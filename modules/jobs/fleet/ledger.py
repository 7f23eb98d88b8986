#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What Redis knows of a fleet, by parts: the records of jobs, the attempts at them, the line, and the processes.

Libraries: none here.
"""

from modules.jobs.fleet.attempts import Attempts
from modules.jobs.fleet.connection import Connection
from modules.jobs.fleet.line import Line
from modules.jobs.fleet.members import Members
from modules.jobs.fleet.records import JobRecords
from modules.jobs.fleet.scripts import Scripts


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
        scripts = Scripts(self.connection)
        self.jobs = JobRecords(self.connection)
        self.attempts = Attempts(self.connection, scripts)
        self.line = Line(self.connection, scripts)
        self.members = Members(self.connection)

    def close(self) -> None:
        """Close what is open; whoever asks again opens it again."""
        self.client.close()
