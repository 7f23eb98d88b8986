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

#: part of a clip that a crossfade takes
FADE = 1 / 4


def loop_frames(clip: Clip, loop: str, *, is_closed: bool) -> Clip:
    """
    Order the frames of a clip that is played over and over.

    :param clip: frames as the engine made them
    :type clip: Clip
    :param loop: ``none``; ``pingpong`` there and back, neither end twice; ``crossfade`` the end dissolves into the
        beginning while both go on moving, so the clip becomes shorter by that time
    :type loop: str
    :param is_closed: the frames loop without a jump already, so there is nothing to dissolve
    :type is_closed: bool
    :return: the clip
    :rtype: Clip
    """
    frames = clip.frames
    if loop == 'pingpong':
        return replace(clip, frames = np.concatenate([frames, frames[-2:0:-1]]))
    if loop == 'crossfade' and not is_closed:
        return replace(clip, frames = _crossfaded(frames))
    return clip


def _crossfaded(frames: np.ndarray) -> np.ndarray:
    """Frames after the beginning, of which the last dissolve into the beginning; the one after them is the first."""
    length = max(1, round(len(frames) * FADE)) if len(frames) > 2 else 0
    if not length:
        return frames
    faded = frames[length:].copy()
    for number in range(length):
        share = (number + 1) / (length + 1)
        mixed = (1 - share) * faded[number - length].astype(np.float32) + share * frames[number]
        faded[number - length] = np.rint(mixed).astype(np.uint8)
    return faded


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
    frames = clip.frames
    count = len(frames)
    if is_closed:
        index = {'start': 0, 'middle': count // 2, 'end': count - 1}[key_frame]
        return replace(clip, frames = np.roll(frames, index, 0), key_index = index)
    if key_frame == 'middle':
        frames = np.concatenate([frames[:0:-1], frames])
    elif key_frame == 'end':
        frames = frames[::-1]
    return replace(clip, frames = frames, key_index = 0 if key_frame == 'start' else count - 1)
