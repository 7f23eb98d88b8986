#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The line of a fleet: jobs come into it, and go when they are cancelled or removed.

Libraries: none here.
"""

from modules import errors
from modules.configuration import QueueOptions
from modules.jobs.fleet.broker import open_broker, send
from modules.jobs.fleet.connection import CHUNK_BYTES, Connection
from modules.jobs.fleet.records import MOST_BYTES
from modules.jobs.fleet.scripts import SUBMITTING_SECONDS, Scripts
from modules.jobs.job import Job
from modules.jobs.record import job_to_json


class Line:
    """
    The jobs that wait.

    :param connection: to Redis
    :type connection: Connection
    :param scripts: change jobs
    :type scripts: Scripts
    """

    def __init__(self, connection: Connection, scripts: Scripts):
        self._connection = connection
        self._scripts = scripts
        self._broker = open_broker(connection.client)

    def check_room(self, client: str, options: QueueOptions) -> bytes:
        """
        Tell whether a job would be accepted.

        :param client: whose it is; may be empty
        :type client: str
        :param options: how many may wait, in all and of one client
        :type options: QueueOptions
        :return: ``ok``, ``full`` or ``many``
        :rtype: bytes
        """
        return self._submit('', '', '', client, options)

    def submit(self, job: Job, queue: str, options: QueueOptions) -> bytes:
        """
        Accept a job. It begins to exist for a short time only, is then queued, and is made to last at the end: a crash
        in between leaves nothing that stays.

        :param job: its upload is on the disk
        :type job: Job
        :param queue: the queue of workers that can do it
        :type queue: str
        :param options: how many may wait, in all and of one client
        :type options: QueueOptions
        :return: ``ok``, ``full`` or ``many``
        :rtype: bytes
        :raises modules.errors.UploadTooLarge: when it is larger than what Redis is to hold
        :raises modules.errors.BrokerAway: when nothing, or not all, is known to be there
        """
        photo = job.upload.read_bytes()
        if len(photo) > MOST_BYTES:
            raise errors.UploadTooLarge('file', limit = MOST_BYTES // 1_000_000)
        self._connection.check_memory(len(photo))
        key = f'tlp:photo:{job.id}'
        with self._connection.reach() as client:
            client.set(key, photo[:CHUNK_BYTES], ex = SUBMITTING_SECONDS)
            for start in range(CHUNK_BYTES, len(photo), CHUNK_BYTES):
                client.append(key, photo[start:start + CHUNK_BYTES])
        answer = self._submit(job.id, job_to_json(job), queue, job.client, options)
        if answer != b'ok':
            return answer
        self.send(queue, job.id)
        if not self._scripts.run('accept', job.id):
            raise errors.BrokerAway
        return answer

    def _submit(self, identity: str, record: str, queue: str, client: str,
                options: QueueOptions) -> bytes:
        return self._scripts.run('submit', identity, record, queue, client, options.max_waiting,
                                 options.max_waiting_per_client)

    def send(self, queue: str, identity: str) -> None:
        """
        Let workers know of a job.

        :param queue: the queue of workers that can do it
        :type queue: str
        :param identity: the job's id
        :type identity: str
        """
        with self._connection.reach():
            send(self._broker, queue, identity)

    def cancel(self, ended: Job) -> None:
        """
        End a job that waits; ask for the end of one that runs.

        :param ended: the job as it is to be recorded where it waits
        :type ended: Job
        """
        self._scripts.run('cancel', ended.id, job_to_json(ended), ended.state)

    def remove(self, identity: str) -> None:
        """
        Forget a job; every web process is notified.

        :param identity: its id
        :type identity: str
        """
        self._scripts.run('remove', identity)

    def position(self, identity: str) -> int | None:
        """
        Find a job's place.

        :param identity: its id
        :type identity: str
        :return: 1 for the next; None when it does not wait
        :rtype: int | None
        """
        with self._connection.reach() as client:
            rank = client.zrank('tlp:line', identity)
        return None if rank is None else rank + 1

    def counts(self) -> tuple[int, int]:
        """
        Count the jobs that wait and those that run.

        :return: both numbers
        :rtype: tuple[int, int]
        """
        with self._connection.reach() as client:
            return client.zcard('tlp:line'), client.scard('tlp:running')
