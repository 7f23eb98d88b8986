#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What engines with a video model of diffusers do alike: find its files, say why it cannot work, load it on the worker.

Libraries: torch and diffusers, imported when it loads.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from modules import errors, weights
from modules.configuration import Configuration
from modules.engines.common import COMING, missing_libraries
from modules.engines.contract import Engine, EngineStatus, MemoryUse
from modules.engines.diffusion import loader
from modules.engines.diffusion.holder import ModelHolder
from modules.engines.diffusion.selftest import Testable
from modules.i18n import Text, text

logger = logging.getLogger(__name__)

Model = TypeVar('Model', bound = Testable)


class VideoEngine(Engine, Generic[Model]):
    """
    One pipeline, loaded on the worker, used by one thread at a time.

    :param configuration: the options
    :type configuration: Configuration
    :param budget: knows the device, a :class:`modules.engines.diffusion.budget.DeviceBudget`
    :type budget: Any
    :param find: configuration → the folder of a whole model, or None; None for where models are looked for
    :type find: Callable[[Configuration], Path | None] | None
    :param are_libraries_coming: whether libraries are being installed at this moment
    :type are_libraries_coming: Callable[[], bool]
    """

    #: in :data:`modules.engines.TABLE`
    name: str
    #: the class of diffusers that is needed, and all libraries
    pipeline: str
    libraries: tuple[str, ...]
    #: its files
    files: weights.Model
    #: why the engine cannot work → what can be fetched, so that it can
    fetchable: Mapping[str, str]
    #: kinds of devices whose faults would show in the first clip; a processor that cannot compute runs no program
    tested: tuple[str, ...] = ('cuda', 'mps')

    is_closed = False
    is_generative = True

    def __init__(self, configuration: Configuration, budget: Any,
                 find: Callable[[Configuration], Path | None] | None,
                 are_libraries_coming: Callable[[], bool]):
        self.configuration = configuration
        self.model = configuration.model
        self.budget = budget
        self.holder: ModelHolder[Model] = ModelHolder(self.name)
        self._find = partial(find, configuration) if find else partial(
            weights.find, configuration, self.files)
        self._are_libraries_coming = are_libraries_coming
        #: what was loaded, and what is known to make its clips bad
        self._folder: Path | None = None
        self._warnings: tuple[Text, ...] = ()

    def status(self) -> EngineStatus:
        if failure := self.holder.failure:
            return EngineStatus(failure, self.fetchable.get(failure.key, ''), self._warnings)
        # a loaded engine does not depend on the disk its files came from; of any other the device is a guess
        sampler, folder, warnings = self.holder.model, self._folder, self._warnings
        if sampler is None or folder is None:
            folder = self._find()
            reason, warnings = self._explain(folder), self.read_warnings(folder)
            if folder is None or reason:
                return EngineStatus(reason,
                                    self.fetchable.get(reason.key, '') if reason else '', warnings)
            self.use_folder(folder)
        return EngineStatus(
            warnings = warnings,
            slow = self.budget.explain_slow(folder),
            predict_memory = partial(self._predict_memory, folder, sampler))

    def _predict_memory(self, folder: Path, sampler: Model | None) -> MemoryUse | None:
        try:
            return self.budget.predict_use(folder, sampler)
        except OSError:
            # nothing is known where the files of what is loaded were taken away
            return None

    def _explain(self, folder: Path | None) -> Text | None:
        """Explain why the engine cannot work; None when it can."""
        if self._are_libraries_coming():
            return COMING
        if missing := missing_libraries(*self.libraries):
            return text(
                'engines.no_libraries',
                engine = text(f'page.{self.name}'),
                libraries = ', '.join(missing))
        reason = self.explain_checkpoint(folder)
        return self.budget.explain_refusal(folder) if folder and not reason else reason

    def explain_checkpoint(self, folder: Path | None) -> Text | None:
        """
        Explain why there is no checkpoint that can be used.

        :param folder: a whole model, where there is one
        :type folder: Path | None
        :return: the reason; None where the folder can be used
        :rtype: Text | None
        """
        raise NotImplementedError

    def read_warnings(self, _folder: Path | None) -> tuple[Text, ...]:
        """
        List what is known to give bad clips.

        :param _folder: a whole model, where there is one
        :type _folder: Path | None
        :return: one text for each
        :rtype: tuple[Text, ...]
        """
        return ()

    def use_folder(self, folder: Path) -> None:
        """
        Go by a checkpoint that can be used, loaded or not.

        :param folder: a whole model
        :type folder: Path
        """

    def load(self) -> None:
        self.holder.load(self._load)

    def unload(self) -> None:
        self.holder.unload()

    def _load(self) -> Model:
        was_slow = self.budget.explain_slow(self._require_checkpoint())
        self.budget.use_device(*loader.find_device(self.model.device, self.pipeline))
        # the device may not be the one that was expected
        folder = self._require_checkpoint()
        if (slow := self.budget.explain_slow(folder)) and not was_slow:
            # most likely nobody has asked for this engine; whoever does is not refused again
            raise errors.EngineUnavailable('engine', engine = self.name, reason = slow)
        self._folder = folder
        self.use_folder(folder)
        self._warnings = self.read_warnings(folder)
        for warning in self._warnings:
            logger.warning('%s', warning.in_('en'))
        is_tested = self.budget.device.partition(':')[0] in self.tested
        sampler = loader.load_model(self._load_sampler, folder, is_tested)
        logger.info('%s is ready; Memory = %s',
                    text(f'page.{self.name}').in_('en'), sampler.rung.name)
        return sampler

    def _load_sampler(self, folder: Path, is_full: bool) -> Model:
        """Read a checkpoint, at full precision on any device or as is usual there."""
        raise NotImplementedError

    def _require_checkpoint(self) -> Path:
        folder = self._find()
        reason = self.holder.failure or self._explain(folder)
        if folder is None or reason:
            raise errors.EngineUnavailable('engine', engine = self.name, reason = reason)
        return folder
