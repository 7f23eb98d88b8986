#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Decoding of a text file that a person saved with any editor.

Libraries: none but the standard one, because the launcher reads the options before anything is installed.
"""

import codecs

#: byte order marks, the longer ones first: UTF-32's begin like UTF-16's
MARKS = (
    (codecs.BOM_UTF8, 'utf-8'),
    (codecs.BOM_UTF32_LE, 'utf-32-le'),
    (codecs.BOM_UTF32_BE, 'utf-32-be'),
    (codecs.BOM_UTF16_LE, 'utf-16-le'),
    (codecs.BOM_UTF16_BE, 'utf-16-be'),
)


class NotText(ValueError):
    """The bytes are not text in a known encoding."""


def decode(content: bytes) -> str:
    """
    Decode text by its byte order mark, and without one as UTF-8, UTF-16 or GB 18030,
    which Chinese editors on Windows write.

    :param content: the file's bytes
    :type content: bytes
    :return: its text
    :rtype: str
    :raises NotText: when the bytes are text in none of these encodings
    """
    mark, encoding = next((pair for pair in MARKS if content.startswith(pair[0])), (b'', ''))
    encoding = encoding or _guess_encoding(content)
    # GB 18030 is the last guess: one wrong byte in a comment is no reason to refuse the file
    errors = 'replace' if encoding == 'gb18030' else 'strict'
    try:
        decoded = content[len(mark):].decode(encoding, errors)
    except UnicodeDecodeError as error:
        raise NotText from error
    if '\0' in decoded:
        raise NotText
    # GB 18030 has a mark too, and some editors write two
    return decoded.lstrip('\ufeff')


def _guess_encoding(content: bytes) -> str:
    """Guess the encoding of text without a mark; only UTF-16 has a zero byte beside each ASCII letter."""
    if b'\0' in content:
        return 'utf-16-be' if content[0::2].count(0) > content[1::2].count(0) else 'utf-16-le'
    try:
        content.decode('utf-8')
    except UnicodeDecodeError:
        return 'gb18030'
    return 'utf-8'
