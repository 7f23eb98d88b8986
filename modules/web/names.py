#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Names of files as they come from other machines and go to them: bytes that do not say which encoding they are in, and
headers that have room for plain letters only.

Libraries: none.
"""

import re
import unicodedata
from collections.abc import Callable

#: what a file is called whose name cannot be read, or has no letters that fit
NAMELESS = 'photo'

FOREIGN = re.compile(r'[^\x00-\x7f]+')


def guess_text(raw: bytes) -> str | None:
    """
    Read bytes that may be in any of the encodings that systems have used for names before UTF-8. Korean ones look like
    Chinese ones, and are read as such.

    :param raw: a name, or a line that holds one
    :type raw: bytes
    :return: the text; None where no reading makes sense
    :rtype: str | None
    """
    for encoding, is_likely in READINGS:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if is_likely(text):
            return text
    return None


def plain_name(name: str) -> str:
    """
    Reduce a file's name to ASCII, for programs that know no other.

    :param name: the name, with its ending
    :type name: str
    :return: what is left of it without marks and other scripts; :data:`NAMELESS` where no letter or digit is left
        before the ending
    :rtype: str
    """
    if name.isascii():
        return name
    left = unicodedata.normalize('NFKD', name).encode('ascii', 'ignore').decode()
    stem, dot, ending = re.sub(r'[<>:"/\\|?*\x00-\x1f\x7f]', '', left).partition('.')
    stem = stem.strip(' -')
    if not re.search('[A-Za-z0-9]', stem):
        stem = NAMELESS + stem
    return re.sub(r'\.+', '.', stem + dot + ending).rstrip(' .-')


def _has_whole_words(text: str) -> bool:
    """Tell whether no word mixes scripts of two-byte letters, as a few Chinese words do that can be read as UTF-8."""
    for word in FOREIGN.findall(text):
        scripts = {unicodedata.name(letter, ' ').split(' ')[0] for letter in word}
        if len(scripts) > 1 and len(word.encode()) == 2 * len(word):
            return False
    return True


def _has_common(encoding: str, leads: range, least: float) -> Callable[[str], bool]:
    """Tell texts whose foreign letters are, for so large a part, in the common rows of a table of 94 columns."""

    def is_likely(text: str) -> bool:
        foreign = [letter.encode(encoding, 'ignore') for letter in ''.join(FOREIGN.findall(text))]
        common = [code for code in foreign if len(code) == 2 and code[0] in leads]
        return len(common) >= least * len(foreign)

    return is_likely


def _is_western(text: str) -> bool:
    """Tell whether letters with marks stand alone, or two of them among others, as words have them."""
    return all(
        set(found[0]) <= WESTERN and (
            len(found[0]) == 1 or len(found[0]) == 2 and _has_letter_beside(found))
        for found in FOREIGN.finditer(text))


def _has_letter_beside(found: re.Match) -> bool:
    before, after = found.string[:found.start()][-1:], found.string[found.end():][:1]
    return any(letter.isascii() and letter.isalpha() for letter in (before, after))


def _is_cyrillic(text: str) -> bool:
    """Tell whether all words are Russian ones, in capitals where words have them."""
    return all(
        set(word.lower()) <= RUSSIAN and (word.islower() or word.istitle() or word.isupper())
        for word in FOREIGN.findall(text))


WESTERN = frozenset('’“”ŒœŠšŽžŸ' + ''.join(map(chr, range(0xC0, 0x100)))) - set('×÷')
RUSSIAN = frozenset('абвгдеёжзийклмнопрстуфхцчшщъыьэюя')

#: encodings in the order in which they are tried, and what makes a reading in them likely. Nearly all bytes can be
#: read in several of them, but as letters that hardly anybody uses.
READINGS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ('utf-8', _has_whole_words),
    ('gb18030', _has_common('gb2312', range(0xB0, 0xD8), 0.51)),
    ('cp932', _has_common('shift_jis', range(0x81, 0x99), 0.51)),
    ('cp1252', _is_western),
    ('big5', _has_common('big5', range(0xA4, 0xC7), 0.9)),
    ('cp1251', _is_cyrillic),
    ('gb18030', _has_common('gb2312', range(0xA1, 0xF8), 1)),
    ('cp932', _has_common('shift_jis', range(0x81, 0xEB), 1)),
    ('utf-8', lambda text: True),
)
