#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Words for people, in Chinese and English, from ``static/locales``.

Libraries: none but the standard one, because the launcher speaks before anything is installed.
"""

import functools
import json
import locale
import os
from dataclasses import dataclass, field
from pathlib import Path

#: zero-width non-joiner and joiner
JOINERS = '\u200c\u200d'

LANGUAGES = ('en', 'zh')
LOCALES = Path(__file__).resolve().parent.parent / 'static' / 'locales'


@functools.cache
def words(language: str) -> dict:
    """
    Return all the words of one language.

    :param language: one of :data:`LANGUAGES`
    :type language: str
    :return: sections, each a mapping of key to sentence
    :rtype: dict
    """
    return json.loads((LOCALES / f'{language}.json').read_text(encoding = 'utf-8'))


def of_this_machine() -> str:
    """
    Return the language for a terminal, by the environment, then by the system's settings.

    :return: one of :data:`LANGUAGES`; English where neither is named
    :rtype: str
    """
    for variable in ('LC_ALL', 'LC_MESSAGES', 'LANG'):
        if os.environ.get(variable):
            return 'zh' if os.environ[variable].lower().startswith('zh') else 'en'
    system = (locale.getlocale()[0] or '').lower()
    return 'zh' if system.startswith(('zh', 'chinese')) else 'en'


@dataclass(frozen = True)
class Text:
    """A sentence that waits for its reader's language: a key of the locale files and its values."""

    #: ``section.key`` in the locale files
    key: str
    #: what the sentence's placeholders stand for; may be texts themselves
    values: dict = field(default_factory = dict)

    def in_(self, language: str) -> str:
        """
        Return the sentence in one language.

        :param language: one of :data:`LANGUAGES`
        :type language: str
        :return: the sentence with its values in place
        :rtype: str
        """
        section, key = self.key.split('.', 1)
        values = {
            name: value.in_(language) if isinstance(value, Text) else value
            for name, value in self.values.items()
        }
        return words(language)[section][key].format(**values)

    def to_dict(self) -> dict:
        """
        Return the text in a form that can be kept.

        :return: what JSON can hold, for :meth:`from_dict`
        :rtype: dict
        """
        values = {
            name:
            value.to_dict() if isinstance(value, Text) else
            value if isinstance(value, (int, float, type(None))) else str(value)
            for name, value in self.values.items()
        }
        return {'key': self.key, 'values': values}

    @classmethod
    def from_dict(cls, kept: dict) -> 'Text':
        """
        Return a text that was kept.

        :param kept: from :meth:`to_dict`
        :type kept: dict
        :return: the same text
        :rtype: Text
        """
        values = {
            name: cls.from_dict(value) if isinstance(value, dict) else value
            for name, value in kept['values'].items()
        }
        return cls(kept['key'], values)


def text(key: str, **values: object) -> Text:
    """
    Make a :class:`Text`.

    :param key: ``section.key`` in the locale files
    :type key: str
    :param values: what the sentence's placeholders stand for
    :type values: object
    :return: the text
    :rtype: Text
    """
    return Text(key, values)


def to_line(value: str) -> str:
    """
    Make one printable line of a text: no control character reaches a terminal or the settings inside a file, and models
    read all space alike.

    :param value: a text
    :type value: str
    :return: the line
    :rtype: str
    """
    line = ' '.join(''.join(c if is_printable(c) else ' ' for c in value).split())
    # alone they would be a text that nobody sees
    return line.strip(f' {JOINERS}')


def is_printable(value: str) -> bool:
    """
    Tell whether a text has no control character. What joins characters is none: emoji and some scripts are made of it.

    :param value: a text
    :type value: str
    :return: the answer
    :rtype: bool
    """
    return all(c.isprintable() or c in JOINERS for c in value)
