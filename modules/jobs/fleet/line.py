#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The line of a fleet: jobs come into it, and go when they are cancelled, removed or given up. What a worker writes of the
job it has is in ``task``.

Libraries: dramatiq.
"""

import dramatiq

from modules import errors
from modules.configuration import QueueOptions
from modules.jobs.fleet.broker import open_broker
from modules.jobs.fleet.connection import CHUNK_BYTES, Connection
from modules.jobs.fleet.records import MOST_BYTES
from modules.jobs.fleet.scripts import SUBMITTING_SECONDS
from modules.jobs.job import Job
from modules.jobs.record import job_to_json, unreadable_to_json


class Line:
    """
    The jobs that wait.

    :param connection: to Redis
    :type connection: Connection
    """

    def __init__(self, connection: Connection):
        self._connection = connection
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
        if answer == b'ok':
            self.send(queue, job.id)
            if not self._connection.run_script('accept', job.id):
                raise errors.BrokerAway
        return answer

    def _submit(self, identity: str, record: str, queue: str, client: str,
                options: QueueOptions) -> bytes:
        return self._connection.run_script('submit', identity, record, queue, client,
                                           options.max_waiting, options.max_waiting_per_client)

    def send(self, queue: str, identity: str) -> None:
        """
        Let workers know of a job.

        :param queue: the queue of workers that can do it
        :type queue: str
        :param identity: the job's id
        :type identity: str
        """
        message: dramatiq.Message = dramatiq.Message(
            queue_name = queue,
            actor_name = 'animate',
            args = (identity, ),
            kwargs = {},
            options = {})
        with self._connection.reach():
            self._broker.enqueue(message)

    def cancel(self, ended: Job) -> None:
        """
        End a job that waits; ask for the end of one that runs.

        :param ended: the job as it is to be recorded where it waits
        :type ended: Job
        """
        self._connection.run_script('cancel', ended.id, job_to_json(ended), ended.state)

    def give_up(self, identity: str, error: errors.Refusal) -> None:
        """
        End a job of which nothing can be read.

        :param identity: its id
        :type identity: str
        :param error: shown to whoever asks for it
        :type error: errors.Refusal
        """
        self._connection.run_script('give_up', identity, unreadable_to_json(error))

    def remove(self, identity: str) -> None:
        """
        Forget a job; every web process is notified.

        :param identity: its id
        :type identity: str
        """
        self._connection.run_script('remove', identity)

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
