#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A model from the moment it is loaded until its device fails, for one thread at a time.

Libraries: numpy for types alone.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from modules import errors
from modules.engines.diffusion import attempts, loader, selftest
from modules.engines.diffusion.selftest import Testable
from modules.i18n import Text, text
from modules.progress import JobControl, StopIfCancelled

if TYPE_CHECKING:
    import numpy

Model = TypeVar('Model', bound = Testable)


class ModelHolder(Generic[Model]):
    """
    Holds a model.

    :param engine: the engine whose model it is
    :type engine: str
    """

    def __init__(self, engine: str):
        self._engine = engine
        #: what makes clips; None before loading, and once the device has failed
        self.model: Model | None = None
        #: why there is none and will be none in this process
        self.failure: Text | None = None
        self._lock = threading.Lock()

    def load(self, load: Callable[[], Model]) -> Model:
        """
        Load the model, unless it is here. Jobs wait for that, pages do not.

        :param load: loads it
        :type load: Callable[[], Model]
        :return: the model
        :rtype: Model
        :raises modules.errors.EngineUnavailable: when there is none
        """
        with self._lock:
            if self.model is None:
                try:
                    self.model = load()
                except loader.LoadingError as error:
                    self.failure = error.reason
            return self.require()

    def unload(self) -> None:
        """Let go of the model and its memory."""
        with self._lock:
            device = self.model.device if self.model is not None else 'cpu'
            self.model = None
        selftest.release(device)

    def require(self) -> Model:
        """
        Give the model.

        :return: the model
        :rtype: Model
        :raises modules.errors.EngineUnavailable: before loading, and once the device has failed
        """
        if self.model is None:
            raise errors.EngineUnavailable('engine', engine = self._engine, reason = self.failure)
        return self.model

    @contextmanager
    def use(self, stop_if_cancelled: StopIfCancelled) -> Iterator[Model]:
        """
        Wait for the model: two threads in one pipeline break each other's schedule. It is put in order afterwards.

        :param stop_if_cancelled: called while waiting
        :type stop_if_cancelled: StopIfCancelled
        :yield: the model
        :ytype: Model
        :raises modules.errors.EngineUnavailable: when the device has failed meanwhile
        """
        while not self._lock.acquire(timeout = 0.2):
            stop_if_cancelled()
        try:
            yield self.require()
        finally:
            try:
                if self.model is not None:
                    self.model.restore()
            finally:
                self._lock.release()

    def make_clip(self, compute: 'Callable[[Model], numpy.ndarray]',
                  control: JobControl) -> 'numpy.ndarray':
        """
        Make the frames of a clip. Where memory does not suffice, the clip is begun again one rung further down, with a
        note.

        :param compute: makes the frames with the model
        :type compute: Callable[[Model], numpy.ndarray]
        :param control: takes the note, and ends the wait for the model
        :type control: JobControl
        :return: uint8 [T, H, W, 3]
        :rtype: numpy.ndarray
        :raises modules.errors.Cancelled: when the job is no longer wanted
        :raises modules.errors.OutOfMemory: when memory does not suffice on the last rung
        :raises modules.errors.EngineUnavailable: when the device fails
        """
        with self.use(control.stop_if_cancelled) as model:
            try:
                return attempts.make_clip(model, partial(compute, model), control.report)
            except attempts.DeviceError as error:
                # first, so that nobody takes the engine for one that was not loaded yet
                self.failure = text(
                    'engines.device_failed', device = model.device, error = str(error))
                self.model = None
        # the exception that is raised would keep the model as long as a job keeps its error
        del model
        raise errors.EngineUnavailable('engine', engine = self._engine, reason = self.failure)
