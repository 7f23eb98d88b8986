#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Engines that behave in ways a real one only sometimes does. Each is a whole engine; none replaces a part of one.

Libraries: numpy.
"""

import threading
import time

import numpy

from modules import errors
from modules.choices import PRESETS
from modules.engines.common import COMING, are_never_coming, recorded_options
from modules.engines.contract import EngineStatus
from modules.i18n import text
from modules.photos.sizes import result_size
from modules.progress import Progress


class Instant:
    """The photo's mean colour, at once."""

    parameters = ('motion_bucket_id', 'seed')
    is_closed = False
    presets = PRESETS
    photo_pixels = None
    can_close = False
    is_generative = False
    frames = 2
    seconds_per_frame = 0.0

    def __init__(self, configuration, are_libraries_coming = are_never_coming):
        self.model = configuration.model
        self.fps = self.model.output_fps
        self.are_libraries_coming = are_libraries_coming

    def status(self):
        return EngineStatus()

    def load(self):
        pass

    def unload(self):
        pass

    def prepare(self, stop_if_cancelled):
        pass

    def settings(self, request):
        return recorded_options(self.model)

    def animate(self, photo, request, control):
        width, height = result_size(photo.full_size, 64 * 36)
        colour = numpy.asarray(photo.image.resize((1, 1)))[0, 0]
        frames = numpy.empty((self.frames, height, width, 3), numpy.uint8)
        for index in range(self.frames):
            control.stop_if_cancelled()
            time.sleep(self.seconds_per_frame)
            frames[index] = colour
            control.report(Progress('step', index + 1, self.frames, frames[index]))
        return frames


class NeedsLibraries(Instant):
    """The same, with libraries that the program may be fetching."""

    is_loaded = False

    def status(self):
        return EngineStatus(None if self.is_loaded or not self.are_libraries_coming() else COMING)

    def load(self):
        self.is_loaded = True


class Drifting(Instant):
    """The photo, which slides out to the left, eight pixels a frame."""

    def animate(self, photo, request, control):
        size = result_size(photo.full_size, 160 * 96)
        first = numpy.asarray(photo.image.resize(size))
        return numpy.stack([numpy.roll(first, -8 * i, 1) for i in range(self.model.output_frames)])


class Closed(Drifting):
    """The same, as an engine that says that its last frame leads to its first."""

    is_closed = True


class Closing(Drifting):
    """The same, as an engine that can lead its last frame to its first."""

    can_close = True


class Generative(Drifting):
    """The same, as an engine that says that a model made it up."""

    is_generative = True


class Slow(Instant):
    """Twenty steps of a tenth of a second."""

    frames = 20
    seconds_per_frame = 0.1


class SlowToLoad(Instant):
    """Loads for a second."""

    def load(self):
        time.sleep(1)


class Held(Instant):
    """Waits in its first step until it is let go."""

    go = threading.Event()

    def animate(self, photo, request, control):
        while not self.go.wait(0.05):
            control.stop_if_cancelled()
        return super().animate(photo, request, control)


class Failing(Instant):
    """Breaks with a secret in its message."""

    def animate(self, photo, request, control):
        raise ValueError('a secret of the machine')


class OutOfMemory(Instant):
    """Needs more than there is."""

    def animate(self, photo, request, control):
        raise MemoryError


class DiskFull(Instant):
    """Finds no room."""

    def animate(self, photo, request, control):
        raise OSError(28, 'No space left on device')


class IllSet(Instant):
    """Is asked for more than it was made for."""

    def status(self):
        return EngineStatus(warnings = (text('engines.warn_frames', trained = 25, frames = 72), ))


class Unavailable(Instant):
    """Cannot work here."""

    def status(self):
        return EngineStatus(text('doctor.not_installed'))


class FailsToLoad(Instant):
    """Seems to work until it is loaded."""

    def load(self):
        raise errors.EngineUnavailable(
            'engine', engine = 'svd', reason = text('doctor.not_installed'))


class Lingering(Instant):
    """Takes long for a clip, which is known from the first attempt to load it on."""

    is_known = False

    def status(self):
        return EngineStatus(
            slow = text('engines.slow_gpu', engine = 'wan') if self.is_known else None)

    def load(self):
        was_known, type(self).is_known = self.is_known, True
        if not was_known:
            raise errors.EngineUnavailable('engine', engine = 'wan', reason = self.status().slow)


class BreaksWhileLoading(Instant):
    """Its library is broken."""

    def load(self):
        raise ImportError('a library that is not whole')


def table(**names):
    """
    An engine table.

    :param names: engine name → class name of this module
    :type names: str
    :return: for :class:`modules.engines.Engines`
    :rtype: dict[str, tuple[str, str]]
    """
    return {name: ('stand_ins', kind) for name, kind in names.items()}
