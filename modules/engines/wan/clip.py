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
class Clip:
    """What is made."""

    #: sides of the model's picture
    width: int
    height: int
    #: 4 · k + 1
    frames: int
    steps: int
    guidance: float


def plan_clip(own: WanOptions, kind: Kind, preset: Preset, photo: tuple[int, int]) -> Clip:
    """
    Decide on what is made of a photo: at most as many pixels as the options say, in the photo's own ratio.

    :param own: the options
    :type own: WanOptions
    :param kind: the checkpoint's
    :type kind: Kind
    :param preset: what is given up for speed
    :type preset: Preset
    :param photo: width and height of the upright photo
    :type photo: tuple[int, int]
    :return: what is made
    :rtype: Clip
    """
    pixels = (own.width or kind.width) * (own.height or kind.height)
    width, height = choose_size(photo, round(pixels * preset.pixels), kind.multiple)
    frames = min(own.frames or FRAMES, preset.frames or own.frames or FRAMES)
    steps = own.steps or kind.steps
    return Clip(width, height, (frames - 1) // 4 * 4 + 1,
                max(round(steps * preset.steps), min(steps, FEWEST_STEPS)),
                kind.guidance if own.guidance is None else own.guidance)


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

    sizes = ((width, max(1, min(most // width, round(width / ratio))))
             for width in range(1, most + 1))
    width, height = min(sizes, key = judge)
    return width * multiple, height * multiple
