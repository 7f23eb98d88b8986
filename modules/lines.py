#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Texts that people write, as one line that can be printed.

Libraries: none but the standard one.
"""

#: zero-width non-joiner and joiner
JOINERS = '\u200c\u200d'


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
