#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The options of Wan alone. Where one is empty, the model's own kind decides (:mod:`modules.engines.wan.kinds`).

Libraries: none; this file is read before anything is installed.
"""

from dataclasses import dataclass

from modules.choices import LONGEST_TEXT
from modules.option import number_parser, option, parse_boolean, text_parser


@dataclass(frozen = True)
class WanOptions:
    """Wan."""

    model_name: str = option('ModelName', str, 'Wan-AI/Wan2.2-TI2V-5B-Diffusers', is_model = True)
    width: int | None = option('Width', number_parser(int, 64, 4096), None)
    height: int | None = option('Height', number_parser(int, 64, 4096), None)
    frames: int | None = option('Frames', number_parser(int, 5, 401), None)
    steps: int | None = option('Steps', number_parser(int, 1, 200), None)
    guidance: float | None = option('Guidance', number_parser(float, 1, 20), None)
    tiles: bool | None = option('Tiles', parse_boolean, None)
    prompt: str = option('Prompt', text_parser(LONGEST_TEXT), '')
    negative_prompt: str = option('NegativePrompt', text_parser(LONGEST_TEXT), '')


SECTION = WanOptions
