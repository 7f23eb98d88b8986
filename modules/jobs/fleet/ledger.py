#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What Redis knows of jobs and workers: each job's record, photo, progress and files, the line, and who is there to work.
Every change is one script, so that no two processes can both make it: whoever works on a job holds the number of its
attempt, and once another attempt has begun, nothing that the former one says counts.

Libraries: none here.
"""

import contextlib
import json
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from modules import errors
from modules.clips.animator import preview_jpeg
from modules.jobs.fleet.broker import open_broker, send
from modules.jobs.fleet.contact import PIECE, Contact
from modules.jobs.job import Job
from modules.jobs.record import facts_from_json, job_from_fields, job_to_json, unreadable_to_json
from modules.jobs.store import FOLDER
from modules.progress import Progress

logger = logging.getLogger(__name__)

#: seconds for which Redis keeps a job that has ended: time for every web process to fetch it, one that is being
#: restarted too
KEPT_SECONDS = 3600
#: seconds within which a job that is being submitted is accepted
SUBMITTING_SECONDS = 600
#: bytes of a photo, or of all files of a job; Redis holds them in memory, and one value may have 512 MB
MOST_BYTES = 256 * 1024 * 1024
#: names that are noted in the log at the most
MOST_ODD = 1000
#: bytes of a picture of a clip as it forms, which is small
MOST_PICTURE_BYTES = 1024 * 1024
#: seconds after which a worker that has gone is forgotten
FORGOTTEN = 24 * 3600

CHANGED = 'tlp:changed'

#: part of Redis's memory that new photos may fill; the rest is for what workers write
FILLED = 0.8

#: the rule by which Redis throws nothing away
KEEPING = 'noeviction'

#: the greatest millisecond that a moment can be; beyond are numbers that are none
LAST_MOMENT = 2**53

#: what the scripts have in common
COMMON = '''
    local id = ARGV[1]
    local job = 'tlp:job:' .. id
    local state = redis.call('hget', job, 'state')
    local function leave()
        redis.call('zrem', 'tlp:line', id)
        redis.call('zrem', 'tlp:client:' .. (redis.call('hget', job, 'client') or ''), id)
        redis.call('srem', 'tlp:running', id)
    end
    local function tell()
        redis.call('publish', 'tlp:changed', id)
    end
    local function news()
        local now = redis.call('time')
        redis.call('zadd', 'tlp:news', now[1] * 1000 + math.floor(now[2] / 1000), id)
        redis.call('zremrangebyscore', 'tlp:news', 0, (now[1] - 2 * KEPT) * 1000)
        tell()
    end
    local function finish(final, record)
        redis.call('hset', job, 'state', final, 'record', record)
        leave()
        redis.call('expire', job, KEPT)
        redis.call('expire', 'tlp:photo:' .. id, KEPT)
        redis.call('del', 'tlp:picture:' .. id)
        news()
    end
    local function enter()
        redis.call('persist', job)
        redis.call('persist', 'tlp:photo:' .. id)
        local client = redis.call('hget', job, 'client')
        local number = redis.call('hget', job, 'number')
        redis.call('zadd', 'tlp:line', number, id)
        if client ~= '' then redis.call('zadd', 'tlp:client:' .. client, number, id) end
    end
'''.replace('KEPT', str(KEPT_SECONDS))

SCRIPTS = {
    # id, record, queue, client, most, most of a client
    'submit':
    '''
        if redis.call('zcard', 'tlp:line') >= tonumber(ARGV[5]) then return 'full' end
        if ARGV[4] ~= '' and tonumber(ARGV[6]) > 0
            and redis.call('zcard', 'tlp:client:' .. ARGV[4]) >= tonumber(ARGV[6]) then return 'many' end
        if ARGV[2] == '' then return 'ok' end
        redis.call('hset', job, 'state', 'queued', 'record', ARGV[2], 'queue', ARGV[3], 'client', ARGV[4],
            'attempt', 0, 'number', redis.call('incr', 'tlp:number'))
        redis.call('expire', job, SUBMITTING)
        return 'ok'
    '''.replace('SUBMITTING', str(SUBMITTING_SECONDS)),
    'accept':
    '''
        if not state then return 0 end
        if state == 'queued' then enter() tell() end
        return 1
    ''',
    # id, number of attempts so far, record
    'begin':
    '''
        if state ~= 'queued' and state ~= 'running' then return 0 end
        if redis.call('hget', job, 'attempt') ~= ARGV[2] then return 0 end
        redis.call('persist', job)
        redis.call('persist', 'tlp:photo:' .. id)
        leave()
        redis.call('sadd', 'tlp:running', id)
        redis.call('hset', job, 'state', 'running', 'attempt', ARGV[2] + 1, 'record', ARGV[3])
        redis.call('hdel', job, 'progress')
        tell()
        return 1
    ''',
    # id, attempt, progress, picture
    'tell':
    '''
        if state ~= 'running' or redis.call('hget', job, 'attempt') ~= ARGV[2] then return 0 end
        if ARGV[4] ~= '' then
            redis.call('set', 'tlp:picture:' .. id, ARGV[4], 'EX', KEPT)
            redis.call('hincrby', job, 'pictures', 1)
        end
        if ARGV[3] ~= '' then
            redis.call('hset', job, 'progress', ARGV[3])
            tell()
        end
        return redis.call('hexists', job, 'unwanted') == 0 and 1 or 0
    '''.replace('KEPT', str(KEPT_SECONDS)),
    # id, attempt, state, record
    'finish':
    '''
        if redis.call('hget', job, 'attempt') ~= ARGV[2] or state ~= 'running' then return 0 end
        redis.call('hset', job, 'files', ARGV[2])
        finish(ARGV[3], ARGV[4])
        return 1
    ''',
    # id, attempt, record
    'hand_back':
    '''
        if redis.call('hget', job, 'attempt') ~= ARGV[2] or state ~= 'running' then return 0 end
        redis.call('hset', job, 'state', 'queued', 'record', ARGV[3])
        redis.call('hdel', job, 'progress')
        leave()
        enter()
        tell()
        return 1
    ''',
    # id, record of a job that was cancelled or failed before it began, its state
    'cancel':
    '''
        if state == 'queued' then finish(ARGV[3], ARGV[2]) end
        if state == 'running' then redis.call('hset', job, 'unwanted', 1) end
        return 1
    ''',
    # id, record of a job that could not be read, as it is to be kept
    'give_up':
    '''
        if state == 'done' or state == 'cancelled' or state == 'failed' or state == 'removed' then return 0 end
        redis.call('hset', job, 'attempt', 0)
        redis.call('hdel', job, 'pictures')
        finish('failed', ARGV[2])
        return 1
    ''',
    'remove':
    '''
        leave()
        for _, number in ipairs({'files', 'attempt'}) do
            redis.call('del', 'tlp:files:' .. id .. ':' .. (redis.call('hget', job, number) or ''))
        end
        redis.call('del', job, 'tlp:photo:' .. id, 'tlp:picture:' .. id)
        redis.call('hset', job, 'state', 'removed')
        redis.call('expire', job, 2 * KEPT)
        news()
        return 1
    '''.replace('KEPT', str(KEPT_SECONDS)),
}


class Ledger:
    """
    The jobs in Redis. May be used by several threads.

    :param url: where it is
    :type url: str
    :param is_hurried: people wait for its answers, see :class:`modules.jobs.fleet.contact.Contact`
    :type is_hurried: bool
    """

    def __init__(self, url: str, *, is_hurried: bool = False):
        self.contact = Contact(url, is_hurried = is_hurried)
        self.client = self.contact.client
        #: names of workers whose words were not understood
        self._odd: set[bytes] = set()
        self._broker = open_broker(self.client)
        scripts = {
            name: self.client.register_script(COMMON + text)
            for name, text in SCRIPTS.items()
        }

        def run(name: str, *arguments: object) -> object:
            with self.contact.reaching():
                return scripts[name](args = arguments)

        self._run: Callable[..., object] = run

    def close(self) -> None:
        """Close what is open; whoever asks again opens it again."""
        self.client.close()

    def check_room(self, client: str, most: int, most_per_client: int) -> bytes:
        """
        Tell whether a job would be accepted.

        :param client: whose it is; may be empty
        :type client: str
        :param most: jobs that may wait
        :type most: int
        :param most_per_client: those of one client
        :type most_per_client: int
        :return: ``ok``, ``full`` or ``many``
        :rtype: bytes
        """
        return self._run('submit', '', '', '', client, most, most_per_client)

    def submit(self, job: Job, queue: str, most: int, most_per_client: int) -> bytes:
        """
        Accept a job. It begins to exist for a short time only, is then queued, and is made to last at the end: a crash
        in between leaves nothing that stays.

        :param job: its upload is on the disk
        :type job: Job
        :param queue: who is able to do it
        :type queue: str
        :param most: jobs that may wait
        :type most: int
        :param most_per_client: those of one client
        :type most_per_client: int
        :return: ``ok``, ``full`` or ``many``
        :rtype: bytes
        :raises modules.errors.UploadTooLarge: when it is larger than what Redis is to hold
        :raises modules.errors.BrokerAway: when nothing, or not all, is known to be there
        """
        photo = job.upload.read_bytes()
        if len(photo) > MOST_BYTES:
            raise errors.UploadTooLarge('file', limit = MOST_BYTES // 1_000_000)
        self.check_memory(len(photo))
        key = f'tlp:photo:{job.id}'
        with self.contact.reaching():
            self.client.set(key, photo[:PIECE], ex = SUBMITTING_SECONDS)
            for start in range(PIECE, len(photo), PIECE):
                self.client.append(key, photo[start:start + PIECE])
        answer = self._run('submit', job.id, job_to_json(job), queue, job.client, most,
                           most_per_client)
        if answer != b'ok':
            return answer
        with self.contact.reaching():
            send(self._broker, queue, job.id)
        if not self._run('accept', job.id):
            raise errors.BrokerAway
        return answer

    def find(self, identity: str, folder: Path) -> tuple[Job, dict[str, str]] | None:
        """
        A job as it stands.

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
        with self.contact.reaching():
            found = self.client.hgetall(f'tlp:job:{identity}')
        if b'record' not in found:
            return None
        return job_from_fields(folder, found)

    def begin(self, job: Job, attempt: int) -> bool:
        """
        Begin an attempt; from then on only this one counts.

        :param job: the job, in state ``running``
        :type job: Job
        :param attempt: the number of attempts so far
        :type attempt: int
        :return: whether it may; another one may have begun or ended it
        :rtype: bool
        """
        return bool(self._run('begin', job.id, attempt, job_to_json(job)))

    def tell(self, identity: str, attempt: int, progress: Progress | None = None) -> bool:
        """
        Note how far an attempt is.

        :param identity: the job's id
        :type identity: str
        :param attempt: which attempt
        :type attempt: int
        :param progress: how far; None asks only
        :type progress: Progress | None
        :return: whether to go on: the attempt still counts and the job is wanted
        :rtype: bool
        """
        words, preview = '', b''
        if progress:
            words = json.dumps([progress.phase, progress.step, progress.steps])
            if progress.picture is not None:
                preview = preview_jpeg(progress.picture)
        return bool(self._run('tell', identity, attempt, words, preview))

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
            with self.contact.reaching(), self.client.pipeline() as together:
                together.hset(key, mapping = files)
                together.expire(key, KEPT_SECONDS)
                together.execute()
        return bool(self._run('finish', job.id, attempt, job.state, job_to_json(job)))

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
        return bool(self._run('hand_back', job.id, attempt, job_to_json(job)))

    def cancel(self, ended: Job) -> None:
        """
        End a job that waits; ask for the end of one that runs.

        :param ended: the job as it is to be recorded where it waits
        :type ended: Job
        """
        self._run('cancel', ended.id, job_to_json(ended), ended.state)

    def give_up(self, identity: str, error: errors.Refusal) -> None:
        """
        End a job of which nothing can be read.

        :param identity: its id
        :type identity: str
        :param error: what is told to whoever asks for it
        :type error: errors.Refusal
        """
        self._run('give_up', identity, unreadable_to_json(error))

    def remove(self, identity: str) -> None:
        """
        Forget a job; every web process hears of it.

        :param identity: its id
        :type identity: str
        """
        self._run('remove', identity)

    def photo(self, identity: str) -> bytes | None:
        """
        The upload.

        :param identity: the job's id
        :type identity: str
        :return: its bytes; None when it is not there
        :rtype: bytes | None
        """
        return self._value(f'tlp:photo:{identity}', MOST_BYTES)

    def picture(self, identity: str) -> bytes | None:
        """
        A small picture of the clip as it forms.

        :param identity: the job's id
        :type identity: str
        :return: JPEG; None when there is none
        :rtype: bytes | None
        """
        return self._value(f'tlp:picture:{identity}', MOST_PICTURE_BYTES)

    def _value(self, key: str, most: int) -> bytes | None:
        with self.contact.reaching():
            # more than we write was written by somebody else, and is not read into memory
            return self.client.get(key) if self.client.strlen(key) <= most else None

    def files(self, identity: str, attempt: str, names: Sequence[str]) -> dict[str, bytes]:
        """
        What an attempt has delivered.

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
        with self.contact.reaching():
            if sum(self.client.hstrlen(key, name) for name in names) > MOST_BYTES:
                raise errors.ResultTooLarge(limit = MOST_BYTES // 1_000_000)
            found = self.client.hmget(key, names)
        return {
            name: content
            for name, content in zip(names, found, strict = True) if content is not None
        }

    def is_removed(self, identity: str) -> bool:
        """
        Whether somebody has removed a job; told for two hours.

        :param identity: its id
        :type identity: str
        :return: whether it was
        :rtype: bool
        """
        with self.contact.reaching():
            return self.client.hget(f'tlp:job:{identity}', 'state') == b'removed'

    def news(self, since: int) -> list[tuple[str, int]]:
        """
        Which jobs have ended or were removed.

        :param since: milliseconds of Redis's clock
        :type since: int
        :return: ids and moments, in their order
        :rtype: list[tuple[str, int]]
        """
        with self.contact.reaching():
            found = self.client.zrangebyscore('tlp:news', since, LAST_MOMENT, withscores = True)
        named = [(identity.decode(errors = 'replace'), int(moment)) for identity, moment in found]
        return [(identity, moment) for identity, moment in named if FOLDER.fullmatch(identity)]

    def position(self, identity: str) -> int | None:
        """
        A job's place in the line.

        :param identity: its id
        :type identity: str
        :return: 1 for the next; None when it does not wait
        :rtype: int | None
        """
        with self.contact.reaching():
            rank = self.client.zrank('tlp:line', identity)
        return None if rank is None else rank + 1

    def counts(self) -> tuple[int, int]:
        """
        How many jobs wait and how many run.

        :return: both numbers
        :rtype: tuple[int, int]
        """
        with self.contact.reaching():
            return self.client.zcard('tlp:line'), self.client.scard('tlp:running')

    def changes(self) -> Iterator[set[str]]:
        """
        Hear of changes as they come; never ends.

        :yield: ids of jobs that have changed; once a second at least, then perhaps none
        :ytype: set[str]
        """
        with self.contact.reaching(), self.client.pubsub(ignore_subscribe_messages = True) as heard:
            heard.subscribe(CHANGED)
            while True:
                found, wait = set(), 1.0
                while message := heard.get_message(timeout = wait):
                    found.add(message['data'].decode(errors = 'replace'))
                    wait = 0.0
                yield found

    def seconds(self) -> float:
        """
        Try whether the broker answers; who was spared waiting for it asks again after that.

        :return: Redis's clock, the one that everybody shares: seconds since 1970
        :rtype: float
        """
        return self.contact.probe()

    def eviction(self) -> str | None:
        """
        By which rule the broker throws jobs away when it is full.

        :return: its ``maxmemory-policy``; None where it keeps all, or does not tell
        :rtype: str | None
        """
        told = self._memory()
        policy = told.get('maxmemory_policy', KEEPING)
        return policy if told.get('maxmemory') and policy != KEEPING else None

    def check_memory(self, more: int = 0) -> None:
        """
        Make sure that workers still have room when a photo is there too: in a full Redis they could take none away.

        :param more: bytes of the photo
        :type more: int
        :raises errors.BrokerRefuses: when they would not
        """
        told = self._memory()
        most = told.get('maxmemory') or math.inf
        if told.get('used_memory', 0) + more > FILLED * most:
            raise errors.BrokerRefuses

    def _memory(self) -> dict:
        """What the broker tells of its memory; nothing where it does not."""
        try:
            # hosted ones forbid CONFIG
            with self.contact.reaching():
                return self.client.info('memory')
        except errors.BrokerAway:
            return {}

    def enrol(self, name: str, facts: dict, kind: str = 'workers') -> None:
        """
        A worker, or a web process, is there.

        :param name: its name
        :type name: str
        :param facts: what is to be known of it
        :type facts: dict
        :param kind: ``workers`` or ``webs``
        :type kind: str
        """
        with self.contact.reaching():
            self.client.hset(f'tlp:{kind}', name, json.dumps({**facts, 'seen': self._moment()}))

    def dismiss(self, name: str) -> None:
        """
        A worker has gone in order.

        :param name: its name
        :type name: str
        """
        with self.contact.reaching():
            self.client.hdel('tlp:workers', name)

    def workers(self, kind: str = 'workers') -> dict[str, dict]:
        """
        Who was there within the last day.

        :param kind: ``workers`` or ``webs``
        :type kind: str
        :return: name → facts, with ``silent``, the seconds since it was heard of
        :rtype: dict[str, dict]
        """
        moment, found, known = self._moment(), {}, {}
        # something else may lie there
        with contextlib.suppress(errors.BadRecord), self.contact.reaching():
            found = self.client.hgetall(f'tlp:{kind}')
        for name, words in found.items():
            try:
                known[name.decode()] = facts_from_json(words, moment)
            except (errors.BadRecord, UnicodeDecodeError):
                self._note_odd(name)
        gone = [name for name, facts in known.items() if facts['silent'] > FORGOTTEN]
        # one that may only be read answers all the same
        with contextlib.suppress(errors.BrokerRefuses), self.contact.reaching():
            for name in gone:
                self.client.hdel(f'tlp:{kind}', name)
        return {name: facts for name, facts in known.items() if name not in gone}

    def _note_odd(self, name: bytes) -> None:
        """In the log, once for each name."""
        if name not in self._odd and len(self._odd) < MOST_ODD:
            self._odd.add(name)
            logger.warning('What %r says of itself is not understood', name)

    def _moment(self) -> float:
        with self.contact.reaching():
            whole, millionths = self.client.time()
        return whole + millionths / 1e6
