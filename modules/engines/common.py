#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What several engines do alike: ask for libraries, put exceptions into words, record options.

Libraries: none.
"""

import dataclasses
from importlib.machinery import PathFinder

from modules.configuration import ModelOptions
from modules.i18n import text

#: why an engine, or a part of one, waits for libraries that are being installed
COMING = text('engines.libraries_coming')

#: attributes of :class:`modules.configuration.ModelOptions` that change every engine's result
CLIP_OPTIONS = ('output_fps', 'image_prompt_width', 'image_prompt_height')


def are_never_coming() -> bool:
    """
    Answer for a program that installs no libraries while it runs.

    :return: False
    :rtype: bool
    """
    return False


def recorded_options(model: ModelOptions, *more: str) -> dict[str, object]:
    """
    Collect :data:`CLIP_OPTIONS` and more, by the names they have in the INI.

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
    Find out which libraries are not installed; imports none.

    :param names: libraries
    :type names: str
    :return: those that are not there
    :rtype: list[str]
    """
    # importlib.util.find_spec stumbles over a library that another thread is just importing
    return [name for name in names if PathFinder.find_spec(name) is None]


def first_line(error: Exception) -> str:
    """
    Shorten an exception's message, which may go on for pages.

    :param error: what was raised
    :type error: Exception
    :return: its first line, or its class where it has no message
    :rtype: str
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]
