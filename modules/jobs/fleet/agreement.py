#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a worker must have in common with the web side to be given its jobs: version, engine, model and settings. A queue's
name says all of it, so that nobody is given what he cannot do.

Libraries: none.
"""

import contextlib
import dataclasses
import hashlib
import json
import threading
import time

from modules import VERSION, errors
from modules.configuration import Configuration
from modules.engines.contract import DepthUse, EngineStatus
from modules.engines.registry import Engines
from modules.i18n import Text, text
from modules.jobs.fleet.broker import HEARTBEAT
from modules.jobs.fleet.ledger import FORGOTTEN, Ledger

#: options that machines of one fleet may differ in: they say how a machine computes, not what
OWN = ('device', 'engine', 'memory', 'decode_chunk_size', 'unet')

#: seconds for which an answer about the fleet holds
FRESH = 1.0


def common(configuration: Configuration) -> dict[str, str]:
    """
    What machines of one fleet must have in common.

    :param configuration: the options
    :type configuration: Configuration
    :return: name → value
    :rtype: dict[str, str]
    """
    shared = {'version': VERSION}
    for section in (configuration.model, configuration.output):
        for field in dataclasses.fields(section):
            if field.name not in OWN:
                shared[field.metadata['key']] = str(getattr(section, field.name))
    # a folder lies elsewhere on every machine
    shared['ModelName'] = shared['ModelName'].replace('\\', '/').rstrip('/').split('/')[-1]
    return shared


def queue_name(engine: str, shared: dict[str, str]) -> str:
    """
    Where jobs wait for workers that are able to do them.

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
    In what two machines differ.

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
    The engines of the workers, as the web side sees them.

    :param configuration: the options
    :type configuration: Configuration
    :param ledger: knows the workers
    :type ledger: Ledger
    """

    def __init__(self, configuration: Configuration, ledger: Ledger):
        super().__init__(configuration)
        self._ledger = ledger
        self.shared = common(configuration)
        self._workers: list[dict] = []
        self._asked = -FRESH
        self._turn = threading.Lock()

    def reasons(self) -> dict[str, Text | None]:
        """
        What the workers can do. One that was there within a day counts: jobs wait until it is back.

        :return: name → why none can, or None
        :rtype: dict[str, Text | None]
        """
        there = {name for facts in self._known() for name in facts['engines']}
        missing = text('engines.no_worker')
        return {name: None if name in there else missing for name in self._engines}

    def status(self, name: str) -> EngineStatus:
        """
        Say what the workers can do with an engine. Their owners see warnings and memory in the workers' logs and
        ``doctor``.

        :param name: an engine
        :type name: str
        :return: ``depth`` names a model if one works for any of them
        :rtype: EngineStatus
        """
        models = (facts.get('depth', {}).get(name) for facts in self._known())
        depth = super().status(name).depth and DepthUse(next(filter(None, models), None))
        return EngineStatus(self.reasons()[name], depth = depth)

    def _known(self) -> list[dict]:
        with self._turn:
            # a first worker may just have come
            if not self._workers or time.monotonic() - self._asked > FRESH:
                self._asked = time.monotonic()
                # what was known last holds while the broker is away
                with contextlib.suppress(errors.BrokerAway):
                    self._workers = fitting(self._ledger, self.shared, FORGOTTEN)
            return self._workers


def fitting(ledger: Ledger, shared: dict[str, str], within: float = HEARTBEAT) -> list[dict]:
    """
    The workers that may be given jobs.

    :param ledger: knows the workers
    :type ledger: Ledger
    :param shared: what they must have in common with the web side
    :type shared: dict[str, str]
    :param within: seconds since they were heard of
    :type within: float
    :return: what is known of each that can do something
    :rtype: list[dict]
    """
    return [
        facts for facts in ledger.workers().values()
        if facts['silent'] <= within and facts['shared'] == shared and facts['engines']
    ]


def eviction_warning(ledger: Ledger) -> Text | None:
    """
    What is to be said of a broker that throws jobs away.

    :param ledger: knows the broker
    :type ledger: Ledger
    :return: the words; None where it keeps all
    :rtype: Text | None
    """
    policy = ledger.eviction()
    return text('doctor.evicts', policy = policy) if policy else None
