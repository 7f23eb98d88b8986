#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
More frames than were made: between two of them, what moves is shown on its way. Where the way cannot be known, because
something comes into view or the picture is another one, the two dissolve into each other instead.

Libraries: numpy; OpenCV, imported when a clip is made smooth.
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from modules.encoders import Clip
from modules.encoders.frames import LazyFrames

#: frames a second from which on nobody sees steps
FLUENT = 30
#: frames a second of which screens and phones show every one
MOST = 60

#: side, in pixels, below which motion is not looked for, and from which on half the size tells as much about it
LEAST_SIDE, LARGE_SIDE = 32, 64
#: pixels around, at the size at which motion is looked for, that decide whether it is right
AROUND = 9
#: how far two frames that were brought together still differ when the picture is another one: as a part of how far
#: they differed before, and in steps of 255; from the first figure on it is doubted, from the second on it is certain
OTHER_PART, OTHER_STEPS = (0.55, 0.65), (16, 32)


def choose_factor(wanted: int, fps: float) -> int:
    """
    Choose how many frames to show for each frame that was made.

    :param wanted: 1, 2 or 4
    :type wanted: int
    :param fps: frames a second that were made
    :type fps: float
    :return: the greatest of 1, 2, 4 that is not more than wanted and gives at most :data:`MOST` frames a second
    :rtype: int
    """
    while wanted > 1 and fps * wanted > MOST:
        wanted //= 2
    return wanted


def smooth_frames(clip: Clip, factor: int, *, loops: bool) -> Clip:
    """
    Show frames between frames. Those that were made stay as they are.

    :param clip: the clip, in the order in which it is played
    :type clip: Clip
    :param factor: frames shown for each that was made, 1 or more
    :type factor: int
    :param loops: whether the first frame follows the last
    :type loops: bool
    :return: the clip, which takes as long as before; where it does not loop the last frame is shown longer
    :rtype: Clip
    """
    frames, count = clip.frames, len(clip.frames)
    if factor == 1 or count < 2:
        return clip

    # encoders read in order, some of them twice
    @lru_cache(maxsize = 1)
    def find(number: int) -> 'Motion':
        return Motion(frames[number], frames[(number + 1) % count])

    def read(number: int) -> np.ndarray:
        made, part = divmod(number, factor)
        is_last = made == count - 1 and not loops
        return frames[made] if is_last or not part else find(made).between(part / factor)

    return replace(
        clip,
        frames = LazyFrames((count * factor, *frames.shape[1:]), read),
        fps = clip.fps * factor,
        key_index = clip.key_index * factor)


@dataclass(frozen = True)
class Motion:
    """
    What moves between two frames: dense optical flow by inverse search (Kroeger et al. 2016, "Fast Optical Flow using
    Dense Inverse Search").
    """

    #: uint8 [H, W, 3] each
    first: np.ndarray
    second: np.ndarray

    def between(self, time: float) -> np.ndarray:
        """
        Make a frame between both.

        :param time: when, from 0, the first, to 1, the second
        :type time: float
        :return: uint8 [H, W, 3]; the same for the same frames with any number of threads
        :rtype: np.ndarray
        """
        import cv2
        height, width = self.first.shape[:2]
        flow = self._flow_at(time)
        trust = cv2.resize(self._trust(flow, time), (width, height))
        flow = cv2.resize(flow, (width, height)) * np.float32(self._shrunk)
        places = _places(height, width)
        first = _sample(self.first, places - time * flow, is_shown = True)
        second = _sample(self.second, places + (1 - time) * flow, is_shown = True)
        moved = cv2.addWeighted(first, 1 - time, second, time, 0)
        mixed = cv2.addWeighted(self.first, 1 - time, self.second, time, 0)
        return cv2.blendLinear(moved, mixed, trust, 1 - trust)

    @property
    def _shrunk(self) -> int:
        """By how much frames are made smaller to find motion."""
        return 2 if min(self.first.shape[:2]) >= LARGE_SIDE else 1

    @cached_property
    def _small(self) -> tuple[np.ndarray, np.ndarray]:
        """Both frames as motion is looked for in them, uint8 [h, w, 3]."""
        import cv2
        height, width = (side // self._shrunk for side in self.first.shape[:2])
        first, second = (
            cv2.resize(frame, (width, height), interpolation = cv2.INTER_AREA)
            for frame in (self.first, self.second))
        return first, second

    @cached_property
    def _flow(self) -> np.ndarray:
        """Where each pixel of the small first frame is in the second, float32 [h, w, 2], x and y in pixels."""
        import cv2
        first, second = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in self._small)
        if min(first.shape) < LEAST_SIDE:
            return np.zeros((*first.shape, 2), np.float32)
        search = cv2.DISOpticalFlow.create(cv2.DISOpticalFlow_PRESET_MEDIUM)
        # costs half as much again and finds the same
        search.setVariationalRefinementIterations(0)
        # its types have no None, but a first guess of no motion would find less
        return search.calc(first, second, None)  # type: ignore[call-overload]

    def _flow_at(self, time: float) -> np.ndarray:
        """The flow of what is at each place at a time between, rather than in the first frame."""
        places = _places(*self._flow.shape[:2])
        flow = _sample(self._flow, places - time * self._flow)
        return _sample(self._flow, places - time * flow)

    def _trust(self, flow: np.ndarray, time: float) -> np.ndarray:
        """
        How far the flow explains what differs between the frames, float32 [h, w], 0–1: it does where they are alike
        once each is moved along it.
        """
        first, second = self._small
        places = _places(*flow.shape[:2])
        apart = _differ(first, second)
        left = _differ(
            _sample(first, places - time * flow), _sample(second, places + (1 - time) * flow))
        trust = apart**2 / (apart**2 + left**2 + np.float32(1e-3))
        part = left.mean() / max(apart.mean(), 1e-6)
        is_other = np.interp(part, OTHER_PART, (0, 1)) * np.interp(left.mean(), OTHER_STEPS, (0, 1))
        return trust * np.float32(1 - is_other)


@lru_cache(maxsize = 4)
def _places(height: int, width: int) -> np.ndarray:
    """x and y of every pixel, float32 [H, W, 2]."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    places = np.dstack([x, y])
    places.flags.writeable = False
    return places


def _sample(picture: np.ndarray, places: np.ndarray, *, is_shown: bool = False) -> np.ndarray:
    """A picture at places between its pixels; beyond its edges it goes on as there."""
    import cv2
    # softer frames between sharp ones would flicker
    way = cv2.INTER_CUBIC if is_shown else cv2.INTER_LINEAR
    return cv2.remap(
        picture, places[..., 0], places[..., 1], way, borderMode = cv2.BORDER_REPLICATE)


def _differ(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How much two pictures differ around each pixel, in steps of 255, float32 [h, w]."""
    import cv2
    red, green, blue = cv2.split(cv2.absdiff(first, second))
    differences = cv2.max(cv2.max(red, green), blue).astype(np.float32)
    return cv2.blur(differences, (AROUND, AROUND))
