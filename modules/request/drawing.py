#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a person drew on the photo: where it flows, and what stays; and how that is read from JSON that may come from
anywhere.

Libraries: none but the standard one.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from modules import errors
from modules.i18n import text

#: name of the form field
FIELD = 'flow'
#: characters of the JSON, strokes and pins, points of each
MOST_CHARACTERS, MOST_STROKES, MOST_POINTS = 65536, 64, 512
#: decimals that are kept: far less than a pixel
DECIMALS = 4
#: range and default of the width and the speed, and the range of a coordinate
WIDTH, SPEED, COORDINATE = (0.005, 0.5, 0.1), (0.1, 3.0, 1.0), (0.0, 1.0)


@dataclass(frozen = True)
class Stroke:
    """A line along which something flows, or over what stays."""

    #: from the upper left, in parts of the photo's width and height, 0–1 each
    points: tuple[tuple[float, float], ...]
    #: in parts of the photo's longer side
    width: float
    #: 1 moves by a tenth of the longer side in three seconds; of no account where it marks what stays
    speed: float = 1.0


@dataclass(frozen = True)
class Flow:
    """What was drawn on a photo."""

    strokes: tuple[Stroke, ...]
    #: what stays
    pins: tuple[Stroke, ...] = ()


def parse_flow(value: str) -> str | None:
    """
    Check what was drawn.

    :param value: JSON from anywhere
    :type value: str
    :return: the same in its shortest form, which this takes too; None where nothing is drawn
    :rtype: str | None
    :raises modules.errors.BadDrawing: when it is wrong, naming the place in it
    """
    flow = read_flow(value)
    if not flow.strokes and not flow.pins:
        return None
    strokes = [{
        'points': _short(stroke.points),
        'width': _short(stroke.width),
        'speed': _short(stroke.speed)
    } for stroke in flow.strokes]
    pins = [{'points': _short(pin.points), 'width': _short(pin.width)} for pin in flow.pins]
    short = json.dumps({
        'strokes': strokes,
        **({
            'pins': pins
        } if pins else {})
    },
                       separators = (',', ':'))
    # what was left out, or written with an exponent, is longer here
    _check_length(short)
    return short


def read_flow(value: str) -> Flow:
    """
    Read what was drawn.

    :param value: JSON from anywhere
    :type value: str
    :return: the strokes
    :rtype: Flow
    :raises modules.errors.BadDrawing: when it is wrong, naming the place in it
    """
    _check_length(value)
    try:
        # every number is one that may be too large, but none is slow to read
        found = json.loads(
            value,
            parse_int = float,
            parse_constant = _refuse_constant,
            object_pairs_hook = _read_names)
    # a thousand nested brackets are an error of another kind
    except (ValueError, RecursionError) as error:
        raise _refusal('', 'not_json') from error
    parts = _check_names(found, '', ('strokes', 'pins'))
    lists = {
        name: _check_list(parts.get(name, []), name, MOST_STROKES)
        for name in ('strokes', 'pins')
    }
    if sum(map(len, lists.values())) > MOST_STROKES:
        raise _refusal('', 'too_many', most = MOST_STROKES)
    strokes, pins = (
        tuple(
            _read_stroke(each, f'{name}[{number}]', has_speed = name == 'strokes')
            for number, each in enumerate(lists[name])) for name in lists)
    return Flow(strokes, pins)


def _check_length(value: str) -> None:
    if len(value) > MOST_CHARACTERS:
        raise _refusal('', 'too_long', most = MOST_CHARACTERS)


def _read_stroke(found: Any, place: str, *, has_speed: bool) -> Stroke:
    names = _check_names(found, place, ('points', 'width', *(['speed'] if has_speed else [])))
    at = f'{place}.points'
    listed = _check_list(names.get('points'), at, MOST_POINTS)
    if not listed:
        raise _refusal(at, 'empty')
    points = []
    for number, point in enumerate(listed):
        where = f'{at}[{number}]'
        if not isinstance(point, list) or len(point) != 2:
            raise _refusal(where, 'not_a_point')
        x, y = (_check_number(part, where, *COORDINATE) for part in point)
        points.append((x, y))
    width, speed = (_check_number(names.get(name, default), f'{place}.{name}', least, most)
                    for name, (least, most, default) in (('width', WIDTH), ('speed', SPEED)))
    return Stroke(tuple(points), width, speed)


def _read_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _value in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise _refusal('', 'repeated', name = _shown(twice))
    return found


def _refuse_constant(word: str) -> NoReturn:
    raise _refusal('', 'no_number', value = word)


def _check_names(found: Any, place: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise _refusal(place, 'no_object')
    for name in found:
        if name not in known:
            raise _refusal(place, 'unknown', name = _shown(name), known = ', '.join(known))
    return found


def _check_list(found: Any, place: str, most: int) -> list:
    if not isinstance(found, list):
        raise _refusal(place, 'no_list')
    if len(found) > most:
        raise _refusal(place, 'too_many', most = most)
    return found


def _check_number(found: Any, place: str, least: float, most: float) -> float:
    if not isinstance(found, float):
        raise _refusal(
            place,
            'no_number',
            value = _shown(found if isinstance(found, str) else json.dumps(found)))
    if not least <= found <= most:
        raise _refusal(place, 'out_of_range', minimum = least, maximum = most)
    # a zero has no sign
    return round(found, DECIMALS) + 0.0


def _short(values: Any) -> Any:
    """Return numbers as they are written shortest: whole ones without a decimal point."""
    if isinstance(values, tuple):
        return [_short(each) for each in values]
    return int(values) if values == int(values) else values


def _shown(name: str) -> str:
    """Return a word from outside with escapes for whatever cannot be shown."""
    return ascii(name[:40])[1:-1]


def _refusal(place: str, problem: str, **details: object) -> errors.BadDrawing:
    at = '.'.join(filter(None, (FIELD, place)))
    return errors.BadDrawing(FIELD, place = at, problem = text(f'flow.{problem}', **details))
