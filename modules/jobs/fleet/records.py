#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What Redis keeps of a job: its record, its photo, a preview, and the files that were delivered. All of it is read here.

Libraries: none here.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from modules import errors
from modules.jobs.fleet.connection import Connection
from modules.jobs.job import Job
from modules.jobs.leftovers import FOLDER
from modules.jobs.record import job_from_fields

#: bytes of a photo, or of all files of a job; Redis holds them in memory, and one value may have 512 MB
MOST_BYTES = 256 * 1024 * 1024
#: bytes of a preview, which is a small picture
MOST_PREVIEW_BYTES = 1024 * 1024

#: the channel on which ids of jobs that have changed are published
CHANGED = 'tlp:changed'

#: the greatest millisecond of a moment; greater numbers are none
LAST_MOMENT = 2**53


class JobRecords:
    """
    The jobs in Redis, read only.

    :param connection: to Redis
    :type connection: Connection
    """

    def __init__(self, connection: Connection):
        self._connection = connection

    def find(self, identity: str, folder: Path) -> tuple[Job, dict[str, str]] | None:
        """
        Read a job as it stands.

        :param identity: its id
        :type identity: str
        :param folder: where its files are to lie
        :type folder: Path
        :return: the job, and ``attempt``, ``progress``, ``pictures``, ``files``; None where there is none
        :rtype: tuple[Job, dict[str, str]] | None
        :raises modules.errors.BadRecord: when what is there is no job
        """
        if not FOLDER.fullmatch(identity):
            raise errors.BadRecord
        with self._connection.reach() as client:
            found = client.hgetall(f'tlp:job:{identity}')
        return job_from_fields(folder, found) if b'record' in found else None

    def is_removed(self, identity: str) -> bool:
        """
        Tell whether somebody has removed a job; known for two hours.

        :param identity: its id
        :type identity: str
        :return: whether it was
        :rtype: bool
        """
        with self._connection.reach() as client:
            return client.hget(f'tlp:job:{identity}', 'state') == b'removed'

    def photo(self, identity: str) -> bytes | None:
        """
        Read the upload.

        :param identity: the job's id
        :type identity: str
        :return: its bytes; None when it is not there
        :rtype: bytes | None
        """
        return self._value(f'tlp:photo:{identity}', MOST_BYTES)

    def preview(self, identity: str) -> bytes | None:
        """
        Read the newest picture of a clip that is being made.

        :param identity: the job's id
        :type identity: str
        :return: JPEG, if a worker of this program has written it; None when there is none
        :rtype: bytes | None
        """
        return self._value(f'tlp:picture:{identity}', MOST_PREVIEW_BYTES)

    def _value(self, key: str, most: int) -> bytes | None:
        with self._connection.reach() as client:
            # more than we write was written by somebody else, and is not read into memory
            return client.get(key) if client.strlen(key) <= most else None

    def files(self, identity: str, attempt: str, names: Sequence[str]) -> dict[str, bytes]:
        """
        Read what an attempt has delivered.

        :param identity: the job's id
        :type identity: str
        :param attempt: the one that counted
        :type attempt: str
        :param names: of the files that may be there; no others are read
        :type names: Sequence[str]
        :return: name → content
        :rtype: dict[str, bytes]
        :raises modules.errors.ResultTooLarge: when somebody delivered more than may be
        """
        key = f'tlp:files:{identity}:{attempt}'
        with self._connection.reach() as client:
            if sum(client.hstrlen(key, name) for name in names) > MOST_BYTES:
                raise errors.ResultTooLarge(limit = MOST_BYTES // 1_000_000)
            found = client.hmget(key, names)
        return {
            name: content
            for name, content in zip(names, found, strict = True) if content is not None
        }

    def ended_since(self, moment: int) -> list[tuple[str, int]]:
        """
        List the jobs that have ended or were removed.

        :param moment: milliseconds of Redis's clock
        :type moment: int
        :return: ids and moments, in their order
        :rtype: list[tuple[str, int]]
        """
        with self._connection.reach() as client:
            found = client.zrangebyscore('tlp:news', moment, LAST_MOMENT, withscores = True)
        named = [(identity.decode(errors = 'replace'), int(ended)) for identity, ended in found]
        return [(identity, ended) for identity, ended in named if FOLDER.fullmatch(identity)]

    def changes(self) -> Iterator[set[str]]:
        """
        Wait for changes; never ends.

        :yield: ids of jobs that have changed; once a second at least, then perhaps none
        :ytype: set[str]
        """
        with self._connection.reach() as client, client.pubsub(
                ignore_subscribe_messages = True) as channel:
            channel.subscribe(CHANGED)
            while True:
                found: set[str] = set()
                wait = 1.0
                while message := channel.get_message(timeout = wait):
                    found.add(message['data'].decode(errors = 'replace'))
                    wait = 0.0
                yield found
