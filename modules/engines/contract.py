#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What every engine offers, and what it says of itself.

Libraries: none; numpy for types alone.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from modules.choices import PRESETS
from modules.configuration import Configuration
from modules.i18n import Text
from modules.progress import JobControl, StopIfCancelled

if TYPE_CHECKING:
    import numpy

    from modules.photos.sizes import Photo
    from modules.request import AnimationRequest


@dataclass(frozen = True)
class MemoryUse:
    """How memory is used."""

    #: one of :data:`modules.choices.RUNGS`
    rung: str
    #: bytes that a clip is predicted to hold at once, weights included
    peak: int


@dataclass(frozen = True)
class DepthUse:
    """What estimates the distance of things in a photo."""

    #: the AI model that does; None where rules do
    model: str | None = None
    #: why no model does
    reason: Text | None = None


def predict_nothing() -> None:
    """Predict no use of memory."""


@dataclass(frozen = True)
class EngineStatus:
    """What an engine can do now."""

    #: why it cannot work here; None when it can
    reason: Text | None = None
    #: what can be fetched so that it works, or works better: ``libraries``, the name of a model
    #: (:data:`modules.engines.models.MODELS`), or nothing
    fetchable: str = ''
    #: settings that are known to give bad clips
    warnings: tuple[Text, ...] = ()
    #: None for an engine that does not estimate depth
    depth: DepthUse | None = None
    #: why clips take so long here that ``auto`` takes another engine, though this one can work; None where they do not
    slow: Text | None = None
    #: for an engine that can work: how it uses memory, None where it needs hardly any or nothing is known. Slower than
    #: the rest, so called only for who wants to see it
    predict_memory: Callable[[], MemoryUse | None] = predict_nothing


class Engine(Protocol):
    """
    What every engine offers. Making one is cheap and imports nothing heavy; it takes a
    :class:`modules.configuration.Configuration` and ``are_libraries_coming``, which answers whether libraries are being
    installed at this moment: half of one can be found then and must not be imported.
    """

    #: parameters (names of :data:`modules.request.PARAMETERS`) that change this engine's result
    parameters: tuple[str, ...]
    #: frames a second of what it makes
    fps: float
    #: length of a clip whose request does not say how long; None for an engine that does not understand ``seconds``
    usual_seconds: float | None = None
    #: length of what a model makes in one go, longer clips being made in parts; None for an engine that makes no parts
    longest_seconds: float | None = None
    #: texts to choose from for ``prompt``: name (``page.wish_NAME`` in the locale files) → language → text
    wishes: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    #: the first frame would follow the last without a jump
    is_closed: bool
    #: pixels of the photo that it can use; None for what suits the size in the options. May be known only once
    #: :meth:`status` was called
    photo_pixels: int | None = None
    #: those that change anything, where it understands ``preset``
    presets: tuple[str, ...] = PRESETS
    #: that is so of a clip whose request has ``loop = model``; may be known only once :meth:`status` was called
    can_close: bool = False
    #: a model invents what moves, which files have to say
    is_generative: bool

    def status(self) -> EngineStatus:
        """
        Say what the engine can do now; cheap, and called for every request.

        :return: the status
        :rtype: EngineStatus
        """
        ...

    def load(self) -> None:
        """
        Import libraries and load weights, on the worker.

        :raises modules.errors.EngineUnavailable: when that fails for a reason a person can remove
        """

    def unload(self) -> None:
        """Let go of a model that fills the device, on the worker; :meth:`load` brings it back."""
        # most have none
        return

    def prepare(self, stop_if_cancelled: StopIfCancelled) -> None:
        """
        Do what makes later clips faster; called on a loaded engine whenever no job waits.

        :param stop_if_cancelled: called between steps
        :type stop_if_cancelled: StopIfCancelled
        :raises modules.errors.Cancelled: when a job has come; the rest is done when called again
        """

    def settings(self, request: 'AnimationRequest') -> dict[str, object]:
        """
        Collect the options that change this engine's result, besides the request's own parameters, for the settings
        inside files; called on a loaded engine.

        :param request: what was wanted
        :type request: AnimationRequest
        :return: keys of the INI's ``[ModelOptions]`` and of its own section → the values that are used; ``Section.Key``
            where both have a key
        :rtype: dict[str, object]
        """
        ...

    def animate(self, photo: 'Photo', request: 'AnimationRequest',
                control: JobControl) -> 'Iterable[numpy.ndarray]':
        """
        Make the frames of a clip, one after the other where that saves memory.

        :param photo: the upright photo
        :type photo: Photo
        :param request: what is wanted
        :type request: AnimationRequest
        :param control: takes the progress after every step, and ends the work between steps
        :type control: JobControl
        :return: frames, uint8 [H, W, 3], sRGB, H × W being the result's size; the work may be done while they are taken
        :rtype: Iterable[numpy.ndarray]
        :raises modules.errors.Cancelled: when the job is no longer wanted
        :raises modules.errors.EngineUnavailable: when it becomes unable to work; :meth:`status` says so from then on
        :raises modules.errors.OutOfMemory: when memory does not suffice
        :raises modules.errors.UnusablePicture: when a frame is black or no picture at all
        """
        ...


class EngineFactory(Protocol):
    """Makes an engine: its class."""

    def __call__(self, configuration: Configuration, *,
                 are_libraries_coming: Callable[[], bool]) -> Engine:
        """
        Make the engine.

        :param configuration: the options
        :type configuration: Configuration
        :param are_libraries_coming: whether libraries are being installed at this moment
        :type are_libraries_coming: Callable[[], bool]
        :return: the engine, not loaded
        :rtype: Engine
        """
        ...
