#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The INI file: read into :class:`~modules.configuration.options.Configuration`, and written from it. Every problem is
reported at once, with its line and the nearest known name.

Libraries: none but the standard one, because the launcher reads the options before anything is installed.
"""

import dataclasses
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.configuration import text_files
from modules.configuration.options import (
    ENGINE_SECTIONS,
    OPTIONS,
    ROOT,
    SECTIONS,
    Configuration,
)
from modules.i18n import Text, text
from modules.option import InvalidValue

#: section names of earlier versions
SECTION_ALIASES = {'InstalltionOptions': 'InstallationOptions'}

#: lines of a problem that stands on none: the file as a whole, and the command line
_WHOLE_FILE, _COMMAND_LINE = -1, 0


class ConfigurationError(Exception):
    """
    Everything that is wrong with the configuration.

    :param problems: one text for each problem
    :type problems: list[Text]
    """

    def __init__(self, problems: list[Text]):
        super().__init__('\n'.join(problem.in_('en') for problem in problems))
        self.problems = problems


@dataclass(frozen = True)
class _Problem:
    """What is wrong, and on which line."""

    line: int
    words: Text

    def to_text(self) -> Text:
        """
        Put the place before the words.

        :return: the whole sentence
        :rtype: Text
        """
        if self.line == _WHOLE_FILE:
            return self.words
        where = text('configuration.line', line = self.line)
        if self.line == _COMMAND_LINE:
            where = text('configuration.command_line')
        return text('configuration.problem', where = where, problem = self.words)


@dataclass(frozen = True)
class _Entry:
    """A setting as it was written, and on which line."""

    section: str
    key: str
    value: str
    line: int


def read(path: Path | None = None,
         overrides: Mapping[tuple[str, str], str] | None = None) -> Configuration:
    """
    Read an INI file.

    :param path: the file, or None for defaults alone
    :type path: Path | None
    :param overrides: (section, key) → value from the command line, with absolute paths; they replace the file's
    :type overrides: Mapping[tuple[str, str], str] | None
    :return: the options; every path is absolute: relative ones start at the INI's folder, defaults at the program's
    :rtype: Configuration
    :raises ConfigurationError: with every problem found, in the order of the file
    """
    problems: list[_Problem] = []
    entries = list(_read_entries(path, problems)) if path else []
    entries += [_Entry(*name, value, _COMMAND_LINE) for name, value in (overrides or {}).items()]
    values = _parse_entries(entries, problems)
    if problems:
        problems.sort(key = lambda problem: problem.line)
        raise ConfigurationError([problem.to_text() for problem in problems])
    folder = path.resolve().parent if path else ROOT
    made = {
        kind: _make_section(kind, values.get(section, {}), folder)
        for section, kind in SECTIONS.items()
    }
    of_engines = tuple(made.pop(kind) for kind in ENGINE_SECTIONS)
    return Configuration(*[*made.values(), of_engines])


def to_ini(configuration: Configuration) -> str:
    """
    Write options as an INI file, for another program that is to have the same.

    :param configuration: the options
    :type configuration: Configuration
    :return: the file's content; :func:`read` makes equal options of it, wherever the file lies
    :rtype: str
    """
    lines = []
    for (section, table), values in zip(OPTIONS.items(), configuration.sections, strict = True):
        lines.append(f'[{section}]')
        lines += [f'{key} = {format_value(getattr(values, o.name))}' for key, o in table.items()]
    return '\n'.join([*lines, ''])


def format_value(value: object) -> str:
    """
    Write a value as the INI has it.

    :param value: of an option
    :type value: object
    :return: its text; empty for None
    :rtype: str
    """
    if isinstance(value, tuple):
        return ' '.join(map(str, value))
    return '' if value is None else str(value)


def suggest_name(key: str, name: str, known: Iterable[str], **more: object) -> Text:
    """
    Report an unknown name, with the most similar known one.

    :param key: of a text with the placeholders ``name`` and ``hint``
    :type key: str
    :param name: the unknown name
    :type name: str
    :param known: all known names
    :type known: Iterable[str]
    :param more: values of the text's other placeholders
    :type more: object
    :return: the text
    :rtype: Text
    """
    lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), lower, n = 1, cutoff = 0.4)
    hint = text('configuration.did_you_mean', name = lower[near[0]]) if near else ''
    return text(key, name = name, hint = hint, **more)


def _read_entries(path: Path, problems: list[_Problem]) -> Iterator[_Entry]:
    """Yield the file's settings in their order; add what cannot be understood to ``problems``."""
    section, first = '', dict[tuple[str, str], int]()
    for number, line in enumerate(re.split(r'\r\n?|\n', _read_text(path, problems)), 1):
        line = line.strip()
        if not line or line.startswith(('#', ';')):
            continue
        if header := re.fullmatch(r'\[([^]]*)\]', line):
            section = SECTION_ALIASES.get(header[1].strip(), header[1].strip())
            if section not in SECTIONS:
                words = suggest_name('configuration.unknown_section', header[1], SECTIONS)
                problems.append(_Problem(number, words))
        elif not (setting := re.fullmatch(r'([^=:]+?)\s*[=:]\s*(.*)', line)):
            problems.append(_Problem(number, text('configuration.not_a_setting', line = line)))
        elif not section:
            problems.append(_Problem(number, text('configuration.no_section', line = line)))
        elif section in SECTIONS:
            key, value = setting.groups()
            before = first.setdefault((section, key.lower()), number)
            if before != number:
                words = text('configuration.twice', name = key, first = before)
                problems.append(_Problem(number, words))
            yield _Entry(section, key, value, number)


def _read_text(path: Path, problems: list[_Problem]) -> str:
    try:
        return text_files.decode(path.read_bytes())
    except OSError as error:
        words = text('configuration.unreadable', path = path, reason = error.strerror)
    except text_files.NotText:
        words = text('configuration.not_text', path = path)
    problems.append(_Problem(_WHOLE_FILE, words))
    return ''


def _parse_entries(entries: list[_Entry], problems: list[_Problem]) -> dict[str, dict[str, Any]]:
    """Return section → attribute → value; add what is not accepted to ``problems``."""
    values: dict[str, dict[str, Any]] = {}
    for entry in entries:
        table = OPTIONS[entry.section]
        option = {key.lower(): option for key, option in table.items()}.get(entry.key.lower())
        if option is None:
            words = suggest_name('configuration.unknown_key', entry.key, table)
            problems.append(_Problem(entry.line, words))
        elif entry.value.strip():
            try:
                value = option.metadata['parse'](entry.value.strip())
            except InvalidValue as error:
                named = {'name': entry.key, 'value': entry.value, 'expected': error.expected}
                problems.append(_Problem(entry.line, Text('configuration.invalid', named)))
            else:
                values.setdefault(entry.section, {})[option.name] = value
    return values


def _make_section(kind: type, values: dict[str, Any], folder: Path) -> Any:
    """Make one section's dataclass; paths start at the INI's folder, defaults at the program's."""
    made = kind(**values)
    paths: dict[str, object] = {}
    for field in dataclasses.fields(kind):
        value = getattr(made, field.name)
        if isinstance(field.default, Path):
            start = folder if field.name in values else ROOT
            paths[field.name] = start / value.expanduser()
        # a model is named by its place on the hub or by a folder; only the disk tells which
        elif field.metadata['names'] == 'model' and (folder / value).is_dir():
            paths[field.name] = str(folder / value)
    return dataclasses.replace(made, **paths)
