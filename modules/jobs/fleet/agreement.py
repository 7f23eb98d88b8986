#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a worker must have in common with the web side to be given its jobs: version, engine, model and settings. All of it
is in a queue's name, so that no worker is given what it cannot do.

Libraries: none.
"""

import contextlib
import dataclasses
import hashlib
import json
import re
import threading
import time

from modules import VERSION, errors
from modules.configuration import Configuration
from modules.engines.contract import DepthUse, EngineStatus
from modules.engines.registry import Engines
from modules.i18n import Text, text
from modules.jobs.fleet.broker import HEARTBEAT_TIMEOUT
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.fleet.members import FORGOTTEN, Members

#: options that machines of one fleet may differ in: they say how a machine computes, not what
MACHINE_OPTIONS = ('device', 'engine', 'memory', 'decode_chunk_size', 'unet')

#: seconds for which an answer about the fleet holds
FRESH = 1.0


def common(configuration: Configuration) -> dict[str, str]:
    """
    List what machines of one fleet must have in common.

    :param configuration: the options
    :type configuration: Configuration
    :return: name → value
    :rtype: dict[str, str]
    """
    shared = {'version': VERSION}
    for section in (configuration.model, configuration.output, *configuration.engines):
        # engines have keys of the same names
        prefix = f'{type(section).__name__}.' if section in configuration.engines else ''
        for field in dataclasses.fields(section):
            value = getattr(section, field.name)
            if field.metadata['names']:
                # a folder lies elsewhere on every machine
                names = value if isinstance(value, tuple) else (value, )
                value = ', '.join(re.split(r'[/\\]', name.rstrip('/\\'))[-1] for name in names)
            if field.name not in MACHINE_OPTIONS:
                shared[prefix + field.metadata['key']] = str(value)
    return shared


def queue_name(engine: str, shared: dict[str, str]) -> str:
    """
    Name the queue of workers that can do a job.

    :param engine: an engine
    :type engine: str
    :param shared: from :func:`common`
    :type shared: dict[str, str]
    :return: the name
    :rtype: str
    """
    digest = hashlib.sha256(json.dumps(shared, sort_keys = True).encode()).hexdigest()
    return f'{engine}-{digest[:16]}'


def differences(one: dict[str, str], other: dict[str, str]) -> str:
    """
    Tell in what two machines differ.

    :param one: from :func:`common`
    :type one: dict[str, str]
    :param other: the same of another machine
    :type other: dict[str, str]
    :return: ``OutputFrames 14 ≠ 25, …``; empty where they fit
    :rtype: str
    """
    return ', '.join(f'{name} {one.get(name)} ≠ {other.get(name)}'
                     for name in sorted({*one, *other}) if one.get(name) != other.get(name))


class FleetEngines(Engines):
    """
    The engines of the workers, as the web side sees them: what any of them can do.

    :param configuration: the options
    :type configuration: Configuration
    :param ledger: knows the workers
    :type ledger: Ledger
    """

    def __init__(self, configuration: Configuration, ledger: Ledger):
        super().__init__(configuration)
        self._members = ledger.members
        self.shared = common(configuration)
        self._workers: list[dict] = []
        self._asked = -FRESH
        self._lock = threading.Lock()

    def reasons(self) -> dict[str, Text | None]:
        # one that was there within a day counts: jobs wait until it is back
        able = {name for facts in self._known() for name in facts['engines']}
        missing = text('engines.no_worker')
        return {name: None if name in able else missing for name in self._engines}

    def status(self, name: str) -> EngineStatus:
        # owners of workers see warnings and memory in their logs and ``doctor``; a depth model of any worker counts
        models = (facts.get('depth', {}).get(name) for facts in self._known())
        depth = super().status(name).depth and DepthUse(next(filter(None, models), None))
        # whoever has an engine takes its jobs, a slow worker too
        is_slow = any(name in facts['slow'] for facts in self._known() if name in facts['engines'])
        slow = text('engines.slow_gpu', engine = name) if is_slow else None
        return EngineStatus(self.reasons()[name], depth = depth, slow = slow)

    def _known(self) -> list[dict]:
        with self._lock:
            # a first worker may just have come
            if not self._workers or time.monotonic() - self._asked > FRESH:
                self._asked = time.monotonic()
                # what was known last holds while the broker is away
                with contextlib.suppress(errors.BrokerAway):
                    self._workers = fitting(self._members, self.shared, FORGOTTEN)
            return self._workers


def fitting(members: Members,
            shared: dict[str, str],
            within: float = HEARTBEAT_TIMEOUT) -> list[dict]:
    """
    List the workers that may be given jobs.

    :param members: knows the workers
    :type members: Members
    :param shared: what they must have in common with the web side
    :type shared: dict[str, str]
    :param within: seconds since they were there
    :type within: float
    :return: the facts of each that can do something
    :rtype: list[dict]
    """
    return [
        facts for facts in members.known().values()
        if facts['silent'] <= within and facts['shared'] == shared and facts['engines']
    ]
