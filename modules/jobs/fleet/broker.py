#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Dramatiq on Redis, set up for jobs that take minutes on machines that may die. Its own worker is not used: it would hold
a job of one queue back while it does one of another; it looks after dead workers by chance; and it never gets back a
message whose delivery a broken connection swallowed.

Libraries: dramatiq, redis.
"""

import contextlib
import logging
from collections.abc import Sequence
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from modules.jobs.leftovers import FOLDER

logger = logging.getLogger(__name__)

#: seconds after which a silent worker is taken for dead and its job given to another
HEARTBEAT_TIMEOUT = 15.0

NAMESPACE = 'tlp-queue'

#: put before Dramatiq's script: when a worker was last heard of is written by Redis's clock, not by its machine's; and
#: where that was set back, nobody was heard of in the future
CLOCK = b'''
    local now, heartbeats = redis.call('time'), KEYS[1] .. ':__heartbeats__'
    ARGV[2] = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
    for _, worker in ipairs(redis.call('zrangebyscore', heartbeats, '(' .. ARGV[2], '+inf')) do
        redis.call('zadd', heartbeats, ARGV[2], worker)
    end
'''


def open_broker(client: redis.Redis,
                heartbeat: float = HEARTBEAT_TIMEOUT,
                is_keeper: bool = False) -> RedisBroker:
    """
    Make Dramatiq's broker, without anything that ends, ages or repeats jobs on its own.

    :param client: of Redis
    :type client: redis.Redis
    :param heartbeat: seconds after which a silent worker is taken for dead
    :type heartbeat: float
    :param is_keeper: whether every command also takes the jobs of dead workers back
    :type is_keeper: bool
    :return: the broker
    :rtype: RedisBroker
    """
    broker = RedisBroker(
        client = client,
        middleware = [],
        namespace = NAMESPACE,
        heartbeat_timeout = round(heartbeat * 1000),
        maintenance_chance = 1_000_000 if is_keeper else 0)
    script: Any = broker.scripts['dispatch'].script
    broker.scripts['dispatch'] = client.register_script(CLOCK + script)
    return broker


class MessageReceiver:
    """
    Takes messages from queues for one worker thread, one at a time.

    :param client: of Redis
    :type client: redis.Redis
    :param queues: names; the first ones are asked first
    :type queues: Sequence[str]
    :param heartbeat: seconds after which a silent worker is taken for dead
    :type heartbeat: float
    """

    def __init__(self, client: redis.Redis, queues: Sequence[str], heartbeat: float):
        self._broker = open_broker(client, heartbeat)
        self._keeper = open_broker(client, heartbeat, is_keeper = True)
        # one worker in the eyes of the others
        self._keeper.broker_id = self._broker.broker_id
        # Dramatiq's annotations know the base class alone; the timeout is milliseconds between two looks at an empty
        # queue, at the most
        self._consumers: dict[str, Any] = {
            queue: self._broker.consume(queue, prefetch = 1, timeout = 250)
            for queue in queues
        }
        self._client: Any = client
        #: the queue from which the message at hand was taken
        self._taken_from = ''

    def next(self) -> str | None:
        """
        Take a message. One that names no job is dropped.

        :return: a job's id; None when there is none just now
        :rtype: str | None
        """
        for queue, consumer in self._consumers.items():
            arguments: object = None
            with contextlib.suppress(dramatiq.errors.DecodeError):
                message = next(consumer)
                if message is None:
                    continue
                arguments = message.args
            self._taken_from = queue
            if identity := _job_id(arguments):
                return identity
            logger.error('Something that is no job lay in queue %s', queue)
            self.acknowledge()
        return None

    def acknowledge(self) -> None:
        """Drop the message that was taken, because its job needs nothing more."""
        for number in self._unacknowledged():
            self._broker.do_ack(self._taken_from, number)
        self._let_go()

    def hand_back(self) -> None:
        """Put the message that was taken back into its queue, for somebody else."""
        if numbers := self._unacknowledged():
            self._broker.do_requeue(self._taken_from, *numbers)
        self._let_go()

    def _unacknowledged(self) -> list[bytes]:
        """Numbers of what this worker has taken from the queue, whatever messages say of themselves."""
        name = f'{NAMESPACE}:__acks__.{self._broker.broker_id}.{self._taken_from}'
        return list(self._client.smembers(name))

    def _let_go(self) -> None:
        self._consumers[self._taken_from].queued_message_ids.clear()
        self._taken_from = ''

    def send_heartbeat(self, *, looks_after_dead: bool) -> None:
        """
        Be alive.

        :param looks_after_dead: whether to take the jobs of dead workers back, too
        :type looks_after_dead: bool
        """
        broker = self._keeper if looks_after_dead else self._broker
        for queue in self._consumers:
            # no message is asked for; that it asks is the sign of life
            broker.do_fetch(queue, 0)


def _job_id(arguments: object) -> str | None:
    """Read the id of the job that a message is about."""
    identity = arguments[0] if isinstance(arguments, list | tuple) and arguments else None
    return identity if isinstance(identity, str) and FOLDER.fullmatch(identity) else None
