#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Form fields → :class:`AnimationRequest`. What is valid here is valid everywhere after.

Libraries: none but the standard one.
"""

import re
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules import errors
from modules.choices import GREATEST_SEED
from modules.request.drawing import Flow, read_flow
from modules.request.parameters import PARAMETERS

#: fields that say which file is made of an engine's frames, and which engine makes them
FILE_FIELDS = ('format', 'engine', 'loop', 'key_frame', 'smooth')


@dataclass(frozen = True)
class AnimationRequest:
    """What a person wants of a photo. Made by :func:`parse` alone, so it is known to be good."""

    #: the upload, as it came
    photo: Path
    #: name of the photo without folder and ending; for the result's name, never for a path on this machine
    stem: str
    #: how much moves, 0–255
    motion_bucket_id: int
    #: how far the model may depart from the photo, 0–1
    noise_aug_strength: float
    #: guidance of the last frame, 1–10
    max_guidance_scale: float
    #: 0–4294967295
    seed: int
    #: a name of :data:`modules.encoders.TABLE`
    format: str
    #: a name of :data:`modules.engines.TABLE`, or ``auto``
    engine: str
    #: one of :data:`LOOPS`; live and motion photos are played once and follow ``key_frame`` instead, but for ``model``,
    #: which changes the frames themselves
    loop: str = 'none'
    #: one of :data:`KEY_FRAMES`; None leaves it to the options
    key_frame: str | None = None
    #: frames shown for each that was made, one of :data:`SMOOTH`; None leaves it to the options and the format
    smooth: int | None = None
    #: one of :data:`PRESETS`; None leaves it to the options
    preset: str | None = None
    #: length of the clip; None leaves it to the options and the engine
    seconds: float | None = None
    #: how the camera moves, one of :data:`MOVES`
    move: str = 'auto'
    #: what stays in place and sharp: ``x,y`` from the upper left, 0–1 each; None leaves it to the depth
    focus: str | None = None
    #: how much is out of focus away from there, 0–1
    blur: float = 0.0
    #: what flows, as JSON in the shortest form; None where nothing does
    flow: str | None = None
    #: what should happen, and what should not, in any language; None leaves it to the options
    prompt: str | None = None
    negative_prompt: str | None = None
    #: the engine was left to the program, so that another one may do it
    is_auto: bool = False

    @property
    def focus_point(self) -> tuple[float, float] | None:
        """``focus`` in numbers."""
        if not self.focus:
            return None
        x, y = map(float, self.focus.split(','))
        return x, y

    @property
    def drawn_flow(self) -> Flow | None:
        """``flow`` in strokes."""
        return read_flow(self.flow) if self.flow else None


def parse_request(fields: Iterable[tuple[str, str]],
                  photo: Path,
                  stem: str,
                  engine: str = 'auto') -> AnimationRequest:
    """
    Read the fields of a form or of the command line.

    :param fields: (name, value) as they came, repetitions included; an empty value counts as not given
    :type fields: Iterable[tuple[str, str]]
    :param photo: the upload
    :type photo: Path
    :param stem: the photo's own name, without its ending
    :type stem: str
    :param engine: the engine of a request that names none
    :type engine: str
    :return: the request; without a seed one is drawn
    :rtype: AnimationRequest
    :raises modules.errors.BadRequest: naming the field at fault
    """
    known = {name: p for p in PARAMETERS for name in (p.name, *p.aliases)}
    values: dict[str, Any] = {}
    for name, value in fields:
        if name not in known:
            raise errors.UnknownField(name[:80])
        if not value.strip():
            continue
        parameter = known[name]
        if parameter.name in values:
            raise errors.RepeatedField(name)
        values[parameter.name] = parameter.parse(value.strip())
    defaults = {parameter.name: parameter.default for parameter in PARAMETERS}
    defaults |= {'engine': engine, 'seed': draw_seed()}
    return AnimationRequest(photo, stem, **(defaults | values))


def draw_seed() -> int:
    """
    A seed by chance.

    :return: 0–4294967295
    :rtype: int
    """
    return secrets.randbelow(GREATEST_SEED + 1)


def safe_stem(name: str | None) -> str:
    """
    The part of a photo's own name that is fit to name a result with.

    :param name: what the client calls the file, with whatever folder, ending or trick it contains
    :type name: str | None
    :return: 1 to 80 printable characters without any that mean something to a file system; ``photo`` where
        nothing is left
    :rtype: str
    """
    base = re.split(r'[/\\]', name or '')[-1]
    stem = base.rpartition('.')[0] or base
    kept = ''.join(c for c in stem if c.isprintable() and c not in '<>:"|?*' and not _is_slash(c))
    return kept.strip(' .-')[:80].strip(' .-') or 'photo'


def _is_slash(character: str) -> bool:
    """Whether a character becomes a slash where a header or a file system has only plain letters."""
    return any(slash in unicodedata.normalize('NFKD', character) for slash in '/\\')
