#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Dramatiq on Redis, set up for jobs that take minutes on machines that may die. Its own worker is not used: it would hold
a job of one queue back while it does one of another; it looks after dead workers by chance; and it never gets back a
message whose delivery a broken connection swallowed.

Libraries: dramatiq, redis.
"""

import logging
from collections.abc import Sequence

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from modules.jobs.store import FOLDER

logger = logging.getLogger(__name__)

#: seconds after which a silent worker is taken for dead and its job given to another
HEARTBEAT = 15.0

NAMESPACE = 'tlp-queue'


def open_broker(client: redis.Redis,
                heartbeat: float = HEARTBEAT,
                is_keeper: bool = False) -> RedisBroker:
    """
    Dramatiq's broker, without anything that ends, ages or repeats jobs on its own.

    :param client: from :func:`modules.jobs.fleet.contact.connect`
    :type client: redis.Redis
    :param heartbeat: seconds after which a silent worker is taken for dead
    :type heartbeat: float
    :param is_keeper: whether every command also takes the jobs of dead workers back
    :type is_keeper: bool
    :return: the broker
    :rtype: RedisBroker
    """
    return RedisBroker(
        client = client,
        middleware = [],
        namespace = NAMESPACE,
        heartbeat_timeout = round(heartbeat * 1000),
        maintenance_chance = 1_000_000 if is_keeper else 0)


def send(broker: RedisBroker, queue: str, identity: str) -> None:
    """
    Put a job into a queue.

    :param broker: the broker
    :type broker: RedisBroker
    :param queue: its name
    :type queue: str
    :param identity: the job's id
    :type identity: str
    """
    broker.enqueue(
        dramatiq.Message(
            queue_name = queue,
            actor_name = 'animate',
            args = (identity, ),
            kwargs = {},
            options = {}))


class Post:
    """
    Where one worker thread gets its messages, one at a time.

    :param client: from :func:`modules.jobs.fleet.contact.connect`
    :type client: redis.Redis
    :param queues: names, the ones to be looked at first standing first
    :type queues: Sequence[str]
    :param heartbeat: seconds after which a silent worker is taken for dead
    :type heartbeat: float
    """

    def __init__(self, client: redis.Redis, queues: Sequence[str], heartbeat: float):
        self.queues = queues
        self._broker = open_broker(client, heartbeat)
        self._keeper = open_broker(client, heartbeat, is_keeper = True)
        # one worker in the eyes of the others
        self._keeper.broker_id = self._broker.broker_id
        # milliseconds between two looks at an empty queue, at the most
        self._consumers = [
            self._broker.consume(queue, prefetch = 1, timeout = 250) for queue in queues
        ]
        self._client = client
        #: where the message at hand was taken from
        self._held: dramatiq.Consumer | None = None

    def next(self) -> str | None:
        """
        Take a message. One that names no job is dropped.

        :return: a job's id; None when there is none just now
        :rtype: str | None
        """
        for consumer in self._consumers:
            try:
                message = next(consumer)
            except dramatiq.errors.DecodeError:
                message = ()
            if message is None:
                continue
            self._held = consumer
            if identity := _named(message):
                return identity
            logger.error('Something that is no job lay in queue %s', consumer.queue_name)
            self.done()
        return None

    def done(self) -> None:
        """The message that was taken is not needed any more."""
        consumer = self._held
        for number in self._taken():
            consumer.broker.do_ack(consumer.queue_name, number)
        self._let_go()

    def hand_back(self) -> None:
        """Somebody else is to have the message that was taken."""
        consumer = self._held
        if taken := self._taken():
            consumer.broker.do_requeue(consumer.queue_name, *taken)
        self._let_go()

    def _taken(self) -> list[bytes]:
        """Numbers of what this worker has taken from the queue, whatever messages say of themselves."""
        name = f'{NAMESPACE}:__acks__.{self._broker.broker_id}.{self._held.queue_name}'
        return list(self._client.smembers(name))

    def _let_go(self) -> None:
        self._held.queued_message_ids.clear()
        self._held = None

    def beat(self, *, looks_after_dead: bool) -> None:
        """
        Be alive.

        :param looks_after_dead: whether to take the jobs of dead workers back, too
        :type looks_after_dead: bool
        """
        broker = self._keeper if looks_after_dead else self._broker
        for queue in self.queues:
            # none of its messages, but a sign of life
            broker.do_fetch(queue, 0)


def _named(message: dramatiq.MessageProxy | tuple) -> str | None:
    """The id of a job that a message is about."""
    words = message and message.args
    identity = words[0] if words else None
    is_one = isinstance(identity, str) and FOLDER.fullmatch(identity)
    return identity if is_one else None
