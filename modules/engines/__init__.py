#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What makes pictures move. Adding an engine: copy a sibling, add a line to :data:`TABLE`, copy its test.

Libraries: none here; an engine imports its own when it loads, on the worker.
"""

import dataclasses
import importlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Protocol

from modules import errors
from modules.configuration import Configuration, ModelOptions
from modules.i18n import Text, text
from modules.install import installed_torch
from modules.progress import JobControl, StopIfCancelled, do_nothing

if TYPE_CHECKING:
    import numpy

    from modules.photos.sizes import Photo
    from modules.request import AnimationRequest

logger = logging.getLogger(__name__)

#: why an engine, or a part of one, waits for libraries that are being installed
COMING = text('engines.libraries_coming')

#: name → module and class, in the order in which ``auto`` prefers them
TABLE = {
    'svd': ('modules.engines.stable_video', 'StableVideo'),
    'camera': ('modules.engines.camera.engine', 'CameraMotion'),
}

#: attributes of :class:`modules.configuration.ModelOptions` that change every engine's result
CLIP_OPTIONS = ('output_fps', 'output_frames', 'image_prompt_width', 'image_prompt_height')


def settings(model: ModelOptions, *more: str) -> dict[str, object]:
    """
    :data:`CLIP_OPTIONS` and more, by the names they have in the INI.

    :param model: the options
    :type model: ModelOptions
    :param more: further attributes of ``model``
    :type more: str
    :return: INI key → value, in the order of the option table
    :rtype: dict[str, object]
    """
    return {
        field.metadata['key']: getattr(model, field.name)
        for field in dataclasses.fields(model) if field.name in CLIP_OPTIONS + more
    }


def missing_libraries(*names: str) -> list[str]:
    """
    What is not installed; imports nothing.

    :param names: libraries
    :type names: str
    :return: those that are not there
    :rtype: list[str]
    """
    # importlib.util.find_spec stumbles over a library that another thread is just importing
    return [name for name in names if PathFinder.find_spec(name) is None]


def in_one_line(error: Exception) -> str:
    """
    The first words of an exception, which may go on for pages.

    :param error: what was raised
    :type error: Exception
    :return: its first line, or its kind where it says nothing
    :rtype: str
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]


class Engine(Protocol):
    """
    What every engine offers. Making one is cheap and imports nothing heavy.

    :param configuration: the options
    :type configuration: Configuration
    """

    #: parameters (names of :data:`modules.request.PARAMETERS`) that change this engine's result
    parameters: tuple[str, ...]
    #: the first frame would follow the last without a jump
    is_closed: bool
    #: a model makes up what moves, which files have to tell
    is_generative: bool
    #: whether libraries are just being installed, of which half can be found and must not be imported; told to it by
    #: :class:`Engines`
    are_libraries_coming: Callable[[], bool]

    def __init__(self, configuration: Configuration):
        ...

    def unavailable(self) -> Text | None:
        """
        Why the engine cannot work here now; cheap, and asked anew for every request.

        :return: the reason, or None when it can
        :rtype: Text | None
        """

    def warnings(self) -> list[Text]:
        """
        What is set in a way that is known to give bad clips; cheap, and asked anew for every page.

        :return: one text for each
        :rtype: list[Text]
        """

    def memory_use(self) -> dict[str, object] | None:
        """
        How memory is used; cheap.

        :return: ``rung``, a name, and ``peak``, bytes that a clip is predicted to hold at once; None for an engine
            that needs hardly any
        :rtype: dict[str, object] | None
        """

    def depth_use(self) -> dict[str, object] | None:
        """
        What tells near from far; cheap, and asked anew for every request.

        :return: ``model``, the name of the AI model that does, or None where a guess by rules does, and ``reason``,
            why no model does, a text, or None; None for an engine that does not ask
        :rtype: dict[str, object] | None
        """

    def load(self) -> None:
        """
        Import libraries and load weights, on the worker.

        :raises modules.errors.EngineUnavailable: when that fails for a reason a person can mend
        """

    def prepare(self, stop_if_cancelled: StopIfCancelled) -> None:
        """
        Do what makes later clips faster; for an engine that is loaded, asked whenever no job waits.

        :param stop_if_cancelled: called between steps
        :type stop_if_cancelled: StopIfCancelled
        :raises modules.errors.Cancelled: when there is something better to do; the rest is done when asked again
        """

    def settings(self, request: 'AnimationRequest') -> dict[str, object]:
        """
        What was set that changes this engine's result, besides the request's own parameters, as files tell it to
        whoever gets them; for an engine that is loaded.

        :param request: what was wanted
        :type request: AnimationRequest
        :return: keys of the INI's ``[ModelOptions]`` → the values that are used
        :rtype: dict[str, object]
        """

    def animate(self, photo: 'Photo', request: 'AnimationRequest',
                control: JobControl) -> 'numpy.ndarray':
        """
        Make the frames of a clip.

        :param photo: the upright photo
        :type photo: Photo
        :param request: what is wanted
        :type request: AnimationRequest
        :param control: is told after every step, and ends the work between steps
        :type control: JobControl
        :return: frames, uint8 [T, H, W, 3], sRGB, H × W being the result's size
        :rtype: numpy.ndarray
        :raises modules.errors.Cancelled: when the job is no longer wanted
        :raises modules.errors.EngineUnavailable: when it becomes unable to work, as :meth:`unavailable` tells then
        """


class Engines:
    """
    The engines of one worker.

    :param configuration: the options
    :type configuration: Configuration
    :param table: name → (module, class), in order of preference
    :type table: dict[str, tuple[str, str]]
    :param are_libraries_coming: whether libraries are just being installed
    :type are_libraries_coming: Callable[[], bool]
    """

    def __init__(self,
                 configuration: Configuration,
                 table: dict[str, tuple[str, str]] = TABLE,
                 are_libraries_coming: Callable[[], bool] = bool):
        self.preferred = configuration.model.engine
        self._engines = {
            name: getattr(importlib.import_module(module), kind)(configuration)
            for name, (module, kind) in table.items()
        }
        for engine in self._engines.values():
            engine.are_libraries_coming = are_libraries_coming
        self._loaded: set[str] = set()
        self._loading = threading.Lock()
        self._others: Sequence[Engines] = ()

    def join(self, others: 'Sequence[Engines]') -> None:
        """
        Tell as well what further devices can do.

        :param others: their engines
        :type others: Sequence[Engines]
        """
        self._others = others

    def own_reasons(self) -> dict[str, Text | None]:
        """
        What can work on this device and what cannot.

        :return: name → why it cannot, or None when it can
        :rtype: dict[str, Text | None]
        """
        return {name: engine.unavailable() for name, engine in self._engines.items()}

    def reasons(self) -> dict[str, Text | None]:
        """
        What can work here, on any device, and what cannot.

        :return: name → why it cannot, or None when it can
        :rtype: dict[str, Text | None]
        """
        others = [each.own_reasons() for each in self._others]
        return {
            name: None if any(reasons.get(name, reason) is None for reasons in others) else reason
            for name, reason in self.own_reasons().items()
        }

    def warnings(self, name: str) -> list[Text]:
        """
        What is set in a way that is known to give bad clips.

        :param name: an engine
        :type name: str
        :return: one text for each
        :rtype: list[Text]
        """
        return self._engines[name].warnings()

    def parameters(self, name: str) -> tuple[str, ...]:
        """
        What changes an engine's result.

        :param name: an engine
        :type name: str
        :return: names of parameters
        :rtype: tuple[str, ...]
        """
        return self._engines[name].parameters

    def memory_use(self, name: str) -> dict[str, object] | None:
        """
        How an engine uses memory.

        :param name: an engine
        :type name: str
        :return: as :meth:`Engine.memory_use`
        :rtype: dict[str, object] | None
        """
        return self._engines[name].memory_use()

    def depth_use(self, name: str) -> dict[str, object] | None:
        """
        What tells an engine near from far.

        :param name: an engine
        :type name: str
        :return: as :meth:`Engine.depth_use`
        :rtype: dict[str, object] | None
        """
        return self._engines[name].depth_use()

    def choose(self, name: str) -> str:
        """
        The engine that does a job.

        :param name: an engine, or ``auto`` for the first that can
        :type name: str
        :return: its name
        :rtype: str
        :raises modules.errors.EngineUnavailable: when it cannot work here, with the reason
        """
        reasons = self.reasons()
        if name == 'auto':
            name = next((able for able, reason in reasons.items() if not reason),
                        next(iter(reasons)))
        if reasons[name]:
            raise errors.EngineUnavailable('engine', engine = name, reason = reasons[name])
        return name

    def get(self, name: str, stop_if_cancelled: StopIfCancelled = do_nothing) -> Engine:
        """
        An engine, loaded; loads it first where that has not been done, once its libraries are whole.

        :param name: what :meth:`choose` returned, perhaps before the program was started anew
        :type name: str
        :param stop_if_cancelled: called while libraries are waited for
        :type stop_if_cancelled: StopIfCancelled
        :return: the engine
        :rtype: Engine
        :raises modules.errors.EngineUnavailable: when loading fails, or it has become unable to work since
        """
        while self._must_wait(name):
            stop_if_cancelled()
            time.sleep(0.2)
        with self._loading:
            if name not in self._loaded:
                logger.info('Loading the %s engine', name)
                installed_torch.set_variables()
                self._engines[name].load()
                self._loaded.add(name)
        if reason := self._engines[name].unavailable():
            raise errors.EngineUnavailable('engine', engine = name, reason = reason)
        return self._engines[name]

    def has_failed(self, name: str) -> bool:
        """
        Whether an engine worked and does not any more; in another process it may.

        :param name: an engine
        :type name: str
        :return: the answer
        :rtype: bool
        """
        return name in self._loaded and self._engines[name].unavailable() is not None

    def prepare(self, stop_if_cancelled: StopIfCancelled) -> None:
        """
        Let engines that are loaded do what makes later clips faster.

        :param stop_if_cancelled: called between steps
        :type stop_if_cancelled: StopIfCancelled
        :raises modules.errors.Cancelled: when there is something better to do
        """
        for name in tuple(self._loaded):
            self._engines[name].prepare(stop_if_cancelled)

    def _must_wait(self, name: str) -> bool:
        reason = self._engines[name].unavailable()
        return reason is not None and reason.key == COMING.key
