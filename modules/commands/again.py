#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``animate --again``: the settings inside a result → what makes the same result again. A file may come from anywhere and
may have been edited, so everything in it goes through the checks of a form's fields and the INI's options.

Libraries: none but the standard one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from modules import configuration, errors
from modules.clips.provenance import NoSettings, read_settings
from modules.configuration.options import ENGINE_SECTIONS
from modules.i18n import Text, is_printable, text
from modules.request.parameters import PARAMETERS
from modules.weights import HUB_FILE, is_hub_name

#: sections of the INI that a result may set; the rest is the owner's alone
SECTIONS = ('ModelOptions', 'OutputOptions', *(kind.__name__ for kind in ENGINE_SECTIONS))
#: keys that stay as the owner has them: a stranger's file must not make the next clip keep its location
KEPT_FROM_RESULTS = (('OutputOptions', 'KeepLocation'), )
#: years that every kind of file can hold
YEARS = range(1980, 2100)


@dataclass(frozen = True)
class Recorded:
    """How a result was made."""

    #: (name, value) of the parameters
    fields: tuple[tuple[str, str], ...]
    #: (section, key) → value, for :func:`modules.configuration.read`
    overrides: dict[tuple[str, str], str]
    #: when the result was asked for, with its time zone; None where the file would be the same at any time
    created: datetime | None


def read_result(result: Path) -> Recorded:
    """
    Read how a result was made.

    :param result: a file :func:`modules.clips.provenance.read_settings` knows
    :type result: Path
    :return: its settings, known to be good
    :rtype: Recorded
    :raises NoSettings: when it holds none, or bad ones
    """
    found = read_settings(result)
    try:
        return Recorded(
            tuple(_fields(_names(found, 'parameters'))), dict(_overrides(_names(found, 'options'))),
            _created(found.get('created')))
    except _Invalid as error:
        raise NoSettings(text('settings.invalid', path = result,
                              problem = error.args[0])) from error


def find_photo_beside(result: Path) -> Path | None:
    """
    Find the photo a result was made of, where a job's folder holds both.

    :param result: the result
    :type result: Path
    :return: the photo as it came, if it is there
    :rtype: Path | None
    """
    photo = result.parent / 'upload'
    return photo if photo.is_file() else None


class _Invalid(Exception):
    """
    Something in the settings is not valid.

    :param reason: why, in words
    :type reason: Text
    """

    def __init__(self, reason: Text):
        super().__init__(reason)


def _names(found: Mapping[str, object], name: str) -> Mapping[str, object]:
    inner = found.get(name)
    if not isinstance(inner, dict):
        raise _Invalid(text('settings.not_names', name = _shown(name)))
    return inner


def _fields(found: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    known = {parameter.name: parameter for parameter in PARAMETERS}
    for name, value in found.items():
        if name not in known:
            raise _Invalid(text('settings.unknown', name = _shown(name)))
        if value is None:
            continue
        word = _word(name, value)
        try:
            known[name].parse(word)
        except errors.BadRequest as refusal:
            raise _Invalid(refusal.text) from refusal
        yield name, word


def _overrides(found: Mapping[str, object]) -> Iterator[tuple[tuple[str, str], str]]:
    for section in found:
        if section not in SECTIONS:
            raise _Invalid(text('settings.unknown', name = _shown(section)))
        table = configuration.OPTIONS[section]
        for key, value in _names(found, section).items():
            if key not in table:
                raise _Invalid(text('settings.unknown', name = _shown(key)))
            if value is not None and (section, key) not in KEPT_FROM_RESULTS:
                word = _option(key, value, table[key].metadata['parse'])
                named = table[key].metadata['names']
                if not named or _is_on_hub(named, word):
                    yield (section, key), word
    recorded = _names(found, 'ModelOptions') if 'ModelOptions' in found else {}
    if recorded.get('Seconds') is None:
        yield from _length(recorded)
    for section in dict.fromkeys(['ModelOptions', *found]):
        known = _names(found, section) if section in found else {}
        for key, option in configuration.OPTIONS[section].items():
            unrecorded = option.metadata['unrecorded']
            if unrecorded is not None and key not in known:
                # a model that was installed since would make another clip
                yield (section, key), unrecorded


def _is_on_hub(kind: str, word: str) -> bool:
    """Tell whether a value names no folder of the machine where the result was made."""
    if kind == 'model':
        return is_hub_name(word)
    return not word or all(HUB_FILE.fullmatch(name.strip()) for name in word.split(','))


def _length(recorded: Mapping[str, object]) -> Iterator[tuple[tuple[str, str], str]]:
    """Clips once were as long as their number of frames said, of all engines; the range is that of ``Seconds``."""
    frames, fps = recorded.get('OutputFrames'), recorded.get('OutputFPS')
    if 'ModelName' in recorded or 'Seconds' in recorded:
        # as many frames as the model makes in one go
        yield ('ModelOptions', 'Seconds'), ''
    elif isinstance(frames, int) and isinstance(fps, int) and fps:
        yield ('ModelOptions', 'Seconds'), f'{min(10, max(1, frames / fps)):.6g}'


def _option(key: str, value: object, parse: Callable[[str], object]) -> str:
    word = _word(key, value)
    try:
        parse(word)
    except configuration.InvalidValue as error:
        raise _Invalid(
            text('configuration.invalid', name = key, value = word[:40],
                 expected = error.expected)) from error
    return word


def _word(name: str, value: object) -> str:
    """Return a value as a person would type it."""
    # control characters are in no value of ours
    if not isinstance(value, (str, int, float)) or not is_printable(str(value)):
        raise _Invalid(text('settings.not_a_value', name = _shown(name)))
    return str(value).strip()


def _created(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        created = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise _Invalid(text('settings.no_created')) from error
    if created.tzinfo is None or created.year not in YEARS:
        raise _Invalid(text('settings.no_created'))
    return created


def _shown(name: str) -> str:
    """Return a name with escapes for whatever cannot be shown."""
    return ascii(name)[1:41].rstrip("'")
