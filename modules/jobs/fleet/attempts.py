#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a worker writes to Redis about the job it has.

Libraries: none here.
"""

import json

from modules import errors
from modules.jobs.fleet.connection import Connection
from modules.jobs.fleet.scripts import KEPT_SECONDS, Scripts
from modules.jobs.job import Job
from modules.jobs.record import job_to_json, unreadable_to_json
from modules.progress import Progress


class Attempts:
    """
    Attempts at jobs. Each has a number, and only the one that began last counts.

    :param connection: to Redis
    :type connection: Connection
    :param scripts: change jobs
    :type scripts: Scripts
    """

    def __init__(self, connection: Connection, scripts: Scripts):
        self._connection = connection
        self._scripts = scripts

    def begin(self, job: Job, attempt: int) -> bool:
        """
        Begin an attempt; from then on only this one counts.

        :param job: the job, in state ``running``
        :type job: Job
        :param attempt: the number of attempts so far
        :type attempt: int
        :return: whether it may begin; another one may have begun or ended the job
        :rtype: bool
        """
        return bool(self._scripts.run('begin', job.id, attempt, job_to_json(job)))

    def report(self,
               identity: str,
               attempt: int,
               progress: Progress | None = None,
               preview: bytes = b'') -> bool:
        """
        Write how far an attempt is.

        :param identity: the job's id
        :type identity: str
        :param attempt: which attempt
        :type attempt: int
        :param progress: how far; None where that has not changed
        :type progress: Progress | None
        :param preview: a small JPEG of the clip as it stands; empty where there is no newer one
        :type preview: bytes
        :return: whether to go on: the attempt still counts and the job is wanted
        :rtype: bool
        """
        words = json.dumps([progress.phase, progress.step, progress.steps]) if progress else ''
        return bool(self._scripts.run('report', identity, attempt, words, preview))

    def finish(self, job: Job, attempt: int, files: dict[str, bytes]) -> bool:
        """
        Deliver.

        :param job: the job in its final state
        :type job: Job
        :param attempt: which attempt
        :type attempt: int
        :param files: name → content
        :type files: dict[str, bytes]
        :return: whether it was taken; not where the attempt no longer counts
        :rtype: bool
        """
        if files:
            key = f'tlp:files:{job.id}:{attempt}'
            with self._connection.reach() as client, client.pipeline() as together:
                together.hset(key, mapping = files)
                together.expire(key, KEPT_SECONDS)
                together.execute()
        return bool(self._scripts.run('finish', job.id, attempt, job.state, job_to_json(job)))

    def hand_back(self, job: Job, attempt: int) -> bool:
        """
        Undo an attempt; the job stands where it stood in the line.

        :param job: the job in state ``queued``
        :type job: Job
        :param attempt: which attempt
        :type attempt: int
        :return: whether it still counted
        :rtype: bool
        """
        return bool(self._scripts.run('hand_back', job.id, attempt, job_to_json(job)))

    def give_up(self, identity: str, error: errors.Refusal) -> None:
        """
        End a job of which nothing can be read.

        :param identity: its id
        :type identity: str
        :param error: shown to whoever asks for it
        :type error: errors.Refusal
        """
        self._scripts.run('give_up', identity, unreadable_to_json(error))
