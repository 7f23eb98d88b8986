#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What is made of a photo: size, frames, steps, as the options, the preset and the model's kind say.

Libraries: none.
"""

from dataclasses import dataclass

from modules.engines.wan.kinds import Kind
from modules.engines.wan.options import WanOptions

#: frames of a clip where nobody says how many
FRAMES = 81

#: multiples of a side that the model has places for (``rope_max_seq_len``)
PLACES = 1024

#: a preset does not make fewer steps than this
FEWEST_STEPS = 12


@dataclass(frozen = True)
class Preset:
    """What is given up for speed."""

    #: part of the steps that is made
    steps: float = 1.0
    #: part of the pixels that is computed
    pixels: float = 1.0
    #: frames at most
    frames: int | None = None


PRESETS = {
    'quality': Preset(),
    'balanced': Preset(steps = 0.6),
    'fast': Preset(steps = 0.4),
    'draft': Preset(steps = 0.4, pixels = 0.4, frames = 49)
}


@dataclass(frozen = True)
class PlannedClip:
    """What is made."""

    #: sides of the model's picture
    width: int
    height: int
    #: of its longest part, 4 · k + 1
    frames: int
    steps: int
    guidance: float
    #: frames of each part; every part but the first begins with the last frame of the one before
    parts: tuple[int, ...]


@dataclass(frozen = True)
class Asked:
    """What a person wants of a clip."""

    #: width and height of the upright photo
    photo: tuple[int, int]
    preset: Preset = PRESETS['quality']
    #: length; None for as many frames as usual
    seconds: float | None = None


def plan_clip(own: WanOptions, kind: Kind, asked: Asked) -> PlannedClip:
    """
    Decide on what is made of a photo: at most as many pixels as the options say, in the photo's own ratio.

    :param own: the options
    :type own: WanOptions
    :param kind: the checkpoint's
    :type kind: Kind
    :param asked: what is wanted
    :type asked: Asked
    :return: what is made
    :rtype: PlannedClip
    """
    preset, frames = asked.preset, own.frames or FRAMES
    pixels = round(count_pixels(own, kind) * preset.pixels)
    width, height = choose_size(asked.photo, pixels, kind.multiple)
    if asked.seconds:
        frames = round(asked.seconds * kind.fps / 4) * 4 + 1
    elif preset.frames:
        frames = min(frames, preset.frames)
    parts = divide(frames, find_longest(own, kind))
    steps = own.steps or kind.steps
    return PlannedClip(width, height, max(parts),
                       max(round(steps * preset.steps), min(steps, FEWEST_STEPS)),
                       kind.guidance if own.guidance is None else own.guidance, parts)


def count_pixels(own: WanOptions, kind: Kind) -> int:
    """
    Count the pixels that the model makes a frame of, at most.

    :param own: the options
    :type own: WanOptions
    :param kind: the checkpoint's
    :type kind: Kind
    :return: pixels
    :rtype: int
    """
    return (own.width or kind.width) * (own.height or kind.height)


def find_usual_seconds(own: WanOptions, kind: Kind, preset: str) -> float:
    """
    Say how long clips are where nobody asks for a length.

    :param own: the options
    :type own: WanOptions
    :param kind: the checkpoint's
    :type kind: Kind
    :param preset: one of :data:`PRESETS`
    :type preset: str
    :return: seconds
    :rtype: float
    """
    return round(plan_clip(own, kind, Asked((1, 1), PRESETS[preset])).frames / kind.fps, 2)


def list_presets(own: WanOptions, kind: Kind) -> tuple[str, ...]:
    """
    List the presets that change anything.

    :param own: the options
    :type own: WanOptions
    :param kind: the checkpoint's
    :type kind: Kind
    :return: names of :data:`PRESETS`, the first of those that make the same
    :rtype: tuple[str, ...]
    """
    made = {name: plan_clip(own, kind, Asked((1, 1), preset)) for name, preset in PRESETS.items()}
    return tuple(name for name, clip in made.items()
                 if name == next(other for other in made if made[other] == clip))


def find_longest(own: WanOptions, kind: Kind) -> int:
    """
    Say how many frames are made in one go at most.

    :param own: the options
    :type own: WanOptions
    :param kind: the checkpoint's
    :type kind: Kind
    :return: what the model was trained for, or more where the owner wants it
    :rtype: int
    """
    return max(kind.longest, own.frames or 0)


def divide(frames: int, longest: int) -> tuple[int, ...]:
    """
    Divide a clip into parts as even as possible. The model makes four frames of everything but the first.

    :param frames: of the clip
    :type frames: int
    :param longest: frames that the model makes at most
    :type longest: int
    :return: frames of each part, 4 · k + 1; every part but the first begins with the last frame of the one before
    :rtype: tuple[int, ...]
    """
    fours, most = (frames - 1) // 4, (longest - 1) // 4
    count = max(1, -(-fours // most))
    return tuple(4 * (fours * (number + 1) // count - fours * number // count) + 1
                 for number in range(count))


def choose_size(photo: tuple[int, int], pixels: int, multiple: int) -> tuple[int, int]:
    """
    Choose the sides that the model works at: at most so many pixels, the photo's ratio as nearly as multiples allow.

    :param photo: width and height of the upright photo
    :type photo: tuple[int, int]
    :param pixels: the most
    :type pixels: int
    :param multiple: what sides are multiples of
    :type multiple: int
    :return: width and height
    :rtype: tuple[int, int]
    """
    ratio = photo[0] / photo[1]
    most = max(1, pixels // multiple**2)

    def judge(size: tuple[int, int]) -> float:
        stretched = size[0] / size[1] / ratio
        # a tenth fewer pixels weigh as much as a twentieth of stretching
        return max(stretched, 1 / stretched) * (most / (size[0] * size[1]))**0.5

    widths = range(1, min(most, PLACES) + 1)
    sizes = ((width, max(1, min(most // width, PLACES, round(width / ratio)))) for width in widths)
    width, height = min(sizes, key = judge)
    return width * multiple, height * multiple
