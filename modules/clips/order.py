#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
In which order a clip's frames are shown. Engines make frames that begin with the photo; what loops and where the
still sits is decided here.

Libraries: numpy.
"""

from dataclasses import replace

import numpy as np

from modules.encoders import Clip
from modules.encoders.frames import Frames, LazyFrames, pick_frames

#: part of a clip that a crossfade takes
FADE = 1 / 4


def loop_frames(clip: Clip, loop: str, *, is_closed: bool) -> Clip:
    """
    Order the frames of a clip that is played over and over.

    :param clip: frames as the engine made them
    :type clip: Clip
    :param loop: ``pingpong`` there and back, neither end twice; ``crossfade`` the end dissolves into the beginning
        while both go on moving, so the clip becomes shorter by that time; any other leaves it as it is
    :type loop: str
    :param is_closed: the frames loop without a jump already, so there is nothing to dissolve
    :type is_closed: bool
    :return: the clip
    :rtype: Clip
    """
    if loop == 'pingpong':
        count = len(clip.frames)
        there_and_back = [*range(count), *range(count - 2, 0, -1)]
        return replace(clip, frames = pick_frames(clip.frames, there_and_back))
    if loop == 'crossfade' and not is_closed:
        return replace(clip, frames = _crossfaded(clip.frames))
    return clip


def _crossfaded(frames: Frames) -> Frames:
    """Frames after the beginning, of which the last dissolve into the beginning; the one after them is the first."""
    length = max(1, round(len(frames) * FADE)) if len(frames) > 2 else 0
    count = len(frames) - length

    def read(number: int) -> np.ndarray:
        later, place = frames[length + number], number - (count - length)
        if place < 0:
            return later
        share = (place + 1) / (length + 1)
        mixed = (1 - share) * later.astype(np.float32) + share * frames[place]
        return np.rint(mixed).astype(np.uint8)

    return LazyFrames((count, *frames.shape[1:]), read) if length else frames


def lower_rate(clip: Clip, fps: float) -> Clip:
    """
    Leave out frames, so that the rest lasts as long at fewer frames a second.

    :param clip: the clip in the order in which it is played
    :type clip: Clip
    :param fps: most frames a second, above 0
    :type fps: float
    :return: the clip, with the frames that are nearest in time
    :rtype: Clip
    """
    count = len(clip.frames)
    shown = max(1, round(count * fps / clip.fps))
    if shown >= count:
        return clip
    numbers = [number * count // shown for number in range(shown)]
    return replace(clip, frames = pick_frames(clip.frames, numbers), fps = clip.fps * shown / count)


def arrange_around_still(clip: Clip, key_frame: str, *, is_closed: bool) -> Clip:
    """
    Order the frames of a live photo, played once, around its still.

    :param clip: frames as the engine made them, the first being the photo
    :type clip: Clip
    :param key_frame: ``start``: as made; ``end``: backwards, so that the motion settles into the still; ``middle``:
        backwards, then forwards. A clip that is closed runs forwards all the time and only begins elsewhere
    :type key_frame: str
    :param is_closed: whether the first frame would follow the last without a jump
    :type is_closed: bool
    :return: the clip, with its ``key_index``
    :rtype: Clip
    """
    count = len(clip.frames)
    forwards, backwards = range(count), range(count - 1, -1, -1)
    if is_closed:
        index = {'start': 0, 'middle': count // 2, 'end': count - 1}[key_frame]
        numbers = [(number - index) % count for number in forwards]
    else:
        index = 0 if key_frame == 'start' else count - 1
        numbers = {
            'start': [*forwards],
            'middle': [*backwards, *forwards[1:]],
            'end': [*backwards]
        }[key_frame]
    return replace(clip, frames = pick_frames(clip.frames, numbers), key_index = index)
