#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The options of Wan alone. Where one is empty, the model's own kind decides (:mod:`modules.engines.wan.kinds`).

Libraries: none; this file is read before anything is installed.
"""

from dataclasses import dataclass
from pathlib import PurePath

from modules.choices import LONGEST_TEXT
from modules.i18n import text
from modules.option import InvalidValue, number_parser, option, parse_boolean, text_parser


def parse_lora(value: str) -> tuple[str, ...]:
    """
    Parse the names of two files in one folder.

    :param value: the text of the INI
    :type value: str
    :return: the file for steps with much noise, and the one for the others; nothing where there is no text
    :rtype: tuple[str, ...]
    :raises InvalidValue: for anything else
    """
    if not value:
        return ()
    names = tuple(name.strip() for name in value.split(','))
    folders = {PurePath(name).parent for name in names}
    are_files = all(name.endswith('.safetensors') for name in names)
    if len(names) != 2 or len(folders) > 1 or not are_files:
        raise InvalidValue(text('configuration.lora'))
    return names


@dataclass(frozen = True)
class WanOptions:
    """Wan."""

    model_name: str = option('ModelName', str, 'Wan-AI/Wan2.2-TI2V-5B-Diffusers', names = 'model')
    width: int | None = option('Width', number_parser(int, 64, 4096), None)
    height: int | None = option('Height', number_parser(int, 64, 4096), None)
    frames: int | None = option('Frames', number_parser(int, 5, 401), None)
    steps: int | None = option('Steps', number_parser(int, 1, 200), None)
    guidance: float | None = option('Guidance', number_parser(float, 1, 20), None)
    lora: tuple[str, ...] = option('Lora', parse_lora, (), names = 'files', unrecorded = '')
    tiles: bool | None = option('Tiles', parse_boolean, None)
    prompt: str = option('Prompt', text_parser(LONGEST_TEXT), '')
    negative_prompt: str = option('NegativePrompt', text_parser(LONGEST_TEXT), '')


SECTION = WanOptions
