#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The letters of a text file that a person wrote with whatever editor was at hand.

Libraries: none but the standard one, because the launcher reads the options before anything is installed.
"""

import codecs

#: the first bytes of a file that tells its encoding, the longer ones first: UTF-32's begin like UTF-16's
MARKS = (
    (codecs.BOM_UTF8, 'utf-8'),
    (codecs.BOM_UTF32_LE, 'utf-32-le'),
    (codecs.BOM_UTF32_BE, 'utf-32-be'),
    (codecs.BOM_UTF16_LE, 'utf-16-le'),
    (codecs.BOM_UTF16_BE, 'utf-16-be'),
)


class NotText(ValueError):
    """The bytes are no letters."""


def decode(content: bytes) -> str:
    """
    Read text in the encoding that its first bytes tell, and without such a mark in UTF-8, in UTF-16 or in GB 18030,
    which Chinese editors on Windows write.

    :param content: the file's bytes
    :type content: bytes
    :return: its letters
    :rtype: str
    :raises NotText: when the bytes are text in none of them
    """
    mark, encoding = next((pair for pair in MARKS if content.startswith(pair[0])), (b'', ''))
    encoding = encoding or _guess_encoding(content)
    # one wrong byte in a comment is no reason to refuse a file of the one encoding that has no other sign
    errors = 'replace' if encoding == 'gb18030' else 'strict'
    try:
        decoded = content[len(mark):].decode(encoding, errors)
    except UnicodeDecodeError as error:
        raise NotText from error
    if '\0' in decoded:
        raise NotText
    # GB 18030 has a mark as well, and editors have been seen to write two
    return decoded.lstrip('\ufeff')


def _guess_encoding(content: bytes) -> str:
    """What no mark tells: ASCII letters have a zero beside each in UTF-16, and text has none elsewhere."""
    if b'\0' in content:
        return 'utf-16-be' if content[0::2].count(0) > content[1::2].count(0) else 'utf-16-le'
    try:
        content.decode('utf-8')
    except UnicodeDecodeError:
        return 'gb18030'
    return 'utf-8'
