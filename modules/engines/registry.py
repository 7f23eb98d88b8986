#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The engines of one worker: which can work, which does a job, which are loaded.

Libraries: none here; an engine imports its own when it loads, on the worker.
"""

import importlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from modules import errors
from modules.configuration import Configuration
from modules.engines import TABLE
from modules.engines.common import COMING, are_never_coming
from modules.engines.contract import Engine, EngineFactory, EngineStatus
from modules.i18n import Text
from modules.install import installed_torch
from modules.progress import StopIfCancelled, do_nothing

logger = logging.getLogger(__name__)


class Engines:
    """
    The engines of one worker.

    :param configuration: the options
    :type configuration: Configuration
    :param table: name → (module, class), in order of preference
    :type table: Mapping[str, tuple[str, str]]
    :param are_libraries_coming: whether libraries are being installed at this moment
    :type are_libraries_coming: Callable[[], bool]
    """

    def __init__(self,
                 configuration: Configuration,
                 table: Mapping[str, tuple[str, str]] = TABLE,
                 are_libraries_coming: Callable[[], bool] = are_never_coming):
        self.preferred = configuration.model.engine
        self._engines: dict[str, Engine] = {}
        for name, (module, factory) in table.items():
            make: EngineFactory = getattr(importlib.import_module(module), factory)
            self._engines[name] = make(configuration, are_libraries_coming = are_libraries_coming)
        self._loaded: set[str] = set()
        self._loading = threading.Lock()
        self._others: Sequence[Engines] = ()

    def join(self, others: 'Sequence[Engines]') -> None:
        """
        Count in what further devices can do.

        :param others: their engines
        :type others: Sequence[Engines]
        """
        self._others = others

    def describe(self, name: str) -> Engine:
        """
        Get an engine for what it says of itself; it need not be loaded, nor able to work.

        :param name: an engine
        :type name: str
        :return: the engine
        :rtype: Engine
        """
        return self._engines[name]

    def status(self, name: str) -> EngineStatus:
        """
        Say what an engine can do now, on the first device.

        :param name: an engine
        :type name: str
        :return: its status
        :rtype: EngineStatus
        """
        return self._engines[name].status()

    def own_reasons(self) -> dict[str, Text | None]:
        """
        Say which engines can work on this device.

        :return: name → why it cannot, or None when it can
        :rtype: dict[str, Text | None]
        """
        return {name: engine.status().reason for name, engine in self._engines.items()}

    def reasons(self) -> dict[str, Text | None]:
        """
        Say which engines can work here, on any device.

        :return: name → why it cannot, or None when it can
        :rtype: dict[str, Text | None]
        """
        others = [each.own_reasons() for each in self._others]
        return {
            name: None if any(reasons.get(name, reason) is None for reasons in others) else reason
            for name, reason in self.own_reasons().items()
        }

    def choose(self, name: str) -> str:
        """
        Choose the engine that does a job.

        :param name: an engine, or ``auto`` for the first that can
        :type name: str
        :return: its name
        :rtype: str
        :raises modules.errors.EngineUnavailable: when it cannot work here, with the reason
        """
        reasons = self.reasons()
        if name == 'auto':
            name = self.find_best(reasons) or next(iter(reasons))
        if reasons[name]:
            raise errors.EngineUnavailable('engine', engine = name, reason = reasons[name])
        return name

    def find_best(self, reasons: Mapping[str, Text | None]) -> str | None:
        """
        Find the engine that ``auto`` takes: the first of the table that can work, a slow one only where all are.

        :param reasons: name → why it cannot work, or None when it can
        :type reasons: Mapping[str, Text | None]
        :return: its name; None where none can work
        :rtype: str | None
        """
        able = [name for name, reason in reasons.items() if not reason]
        return next((name for name in able if not self.status(name).slow), next(iter(able), None))

    def get(self, name: str, stop_if_cancelled: StopIfCancelled = do_nothing) -> Engine:
        """
        Get an engine, loaded; loads it first where that has not been done, once its libraries are complete.

        :param name: what :meth:`choose` returned, perhaps before the program was restarted
        :type name: str
        :param stop_if_cancelled: called while waiting for libraries
        :type stop_if_cancelled: StopIfCancelled
        :return: the engine
        :rtype: Engine
        :raises modules.errors.EngineUnavailable: when loading fails, or it has become unable to work since
        """
        engine = self._engines[name]
        while _is_waiting(engine):
            stop_if_cancelled()
            time.sleep(0.2)
        with self._loading:
            if name not in self._loaded:
                logger.info('Loading the %s engine', name)
                if self.preferred == 'auto' and name == self.find_best(self.own_reasons()):
                    # what has failed stays known for that
                    before = [each for each in self._loaded if not self.has_failed(each)]
                    for other in before:
                        logger.info('Making room: the %s engine is let go of', other)
                        self._engines[other].unload()
                        self._loaded.discard(other)
                installed_torch.set_variables()
                engine.load()
                self._loaded.add(name)
        if reason := engine.status().reason:
            raise errors.EngineUnavailable('engine', engine = name, reason = reason)
        return engine

    def load_preferred(self) -> None:
        """
        Load the engine that does jobs which name none.

        :raises modules.errors.EngineUnavailable: when it cannot work here
        """
        name = self.choose(self.preferred)
        try:
            self.get(name)
        except errors.EngineUnavailable:
            # that it is slow here may have become known just now
            if not self.status(name).slow:
                raise
            self.get(self.choose(self.preferred))

    def has_failed(self, name: str) -> bool:
        """
        Say whether an engine worked and does not any more; in another process it may.

        :param name: an engine
        :type name: str
        :return: whether it has failed
        :rtype: bool
        """
        return name in self._loaded and self._engines[name].status().reason is not None

    def prepare(self, stop_if_cancelled: StopIfCancelled) -> None:
        """
        Let engines that are loaded do what makes later clips faster.

        :param stop_if_cancelled: called between steps
        :type stop_if_cancelled: StopIfCancelled
        :raises modules.errors.Cancelled: when a job has come
        """
        for name in tuple(self._loaded):
            self._engines[name].prepare(stop_if_cancelled)


def _is_waiting(engine: Engine) -> bool:
    reason = engine.status().reason
    return reason is not None and reason.key == COMING.key
