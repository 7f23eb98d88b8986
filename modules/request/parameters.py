#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The form fields: their names, ranges, choices and defaults.

Libraries: none but the standard one.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from modules import encoders, engines, errors
from modules.choices import (
    GREATEST_SEED,
    KEY_FRAMES,
    LONGEST_TEXT,
    LOOPS,
    MOST_SECONDS,
    MOVES,
    PRESETS,
    SMOOTH,
)
from modules.i18n import to_line
from modules.request.drawing import MOST_CHARACTERS, parse_flow


@dataclass(frozen = True)
class Parameter:
    """One form field, one command line option."""

    #: name of the field and of the attribute of :class:`AnimationRequest`
    name: str
    #: string → value; raises a :class:`modules.errors.BadRequest` that names the field
    parse: Callable[[str], Any]
    #: what holds when the field is not given; None is filled in from the options or by chance
    default: Any
    #: least and greatest value of a number
    minimum: float | None = None
    maximum: float | None = None
    #: the words a choice is made from
    choices: tuple[str, ...] = ()
    #: how a value is written that is neither a number nor one of a few words
    form: str = ''
    #: other names it may come under
    aliases: tuple[str, ...] = ()
    #: characters of a text at most
    longest: int | None = None
    #: on the command line it is the name of a file that holds the value
    is_file: bool = False


def _number(name: str, kind: type, default: float | None, minimum: float, maximum: float,
            **more) -> Parameter:
    form = r'[+-]?\d+' if kind is int else r'[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?'

    def parse(value: str) -> float:
        if not re.fullmatch(form, value, re.ASCII):
            raise errors.NotANumber(name, value = value[:40])
        # a whole number of thousands of digits is out of range, not a reason for int() to complain
        parsed = kind(value) if len(value) < 40 else math.inf
        if not minimum <= parsed <= maximum:
            raise errors.OutOfRange(name, minimum = minimum, maximum = maximum)
        return parsed

    return Parameter(name, parse, default, minimum, maximum, **more)


def _choice(name: str, default: str | None, choices: tuple[str, ...]) -> Parameter:

    def parse(value: str) -> str:
        if value not in choices:
            raise errors.UnknownChoice(name, value = value[:40], choices = ', '.join(choices))
        return value

    return Parameter(name, parse, default, choices = choices)


def _count(name: str, counts: tuple[int, ...]) -> Parameter:
    word = _choice(name, None, tuple(map(str, counts)))
    return replace(word, parse = lambda value: int(word.parse(value)), form = 'int')


def _point(name: str) -> Parameter:
    coordinate = r'(?:0|1|0?\.\d+|0\.|1\.0*)'

    def parse(value: str) -> str:
        if not re.fullmatch(rf'{coordinate}\s*,\s*{coordinate}', value, re.ASCII):
            raise errors.NotAPoint(name, value = value[:40])
        return ','.join(f'{float(part):.4g}' for part in value.split(','))

    return Parameter(name, parse, None, form = 'x,y')


def _text(name: str, longest: int) -> Parameter:

    def parse(value: str) -> str | None:
        words = to_line(value)
        if len(words) > longest:
            raise errors.TooLong(name, length = len(words), longest = longest)
        return words or None

    return Parameter(name, parse, None, form = 'text', longest = longest)


#: every field of ``POST /generate`` but the photo itself
PARAMETERS = (
    _number('motion_bucket_id', int, 127, 0, 255, aliases = ('motion_bucket', )),
    _number('noise_aug_strength', float, 0.02, 0, 1),
    _number('max_guidance_scale', float, 3.0, 1, 10),
    _number('seed', int, None, 0, GREATEST_SEED),
    _choice('format', 'gif', tuple(encoders.TABLE)),
    _choice('engine', None, ('auto', *engines.TABLE)),
    _choice('loop', 'none', LOOPS),
    _choice('key_frame', None, KEY_FRAMES),
    _count('smooth', SMOOTH),
    _choice('preset', None, PRESETS),
    _number('seconds', float, None, 1, MOST_SECONDS),
    _choice('move', 'auto', MOVES),
    _point('focus'),
    _number('blur', float, 0.0, 0, 1),
    Parameter('flow', parse_flow, None, form = 'JSON', longest = MOST_CHARACTERS, is_file = True),
    _text('prompt', LONGEST_TEXT),
    _text('negative_prompt', LONGEST_TEXT),
)
