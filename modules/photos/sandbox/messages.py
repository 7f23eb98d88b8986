#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the program and its picture processes send each other: a head in JSON, then bytes. Nothing in it can run code,
whoever wrote it.

Libraries: none but the standard one.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

#: lengths of head and content
LENGTHS = struct.Struct('>IQ')
#: bytes of a head; EXIF of the oddest photo is a part of it
LONGEST_HEAD = 1 << 24


class BadMessage(Exception):
    """
    What came is no message, or breaks off.

    :param reason: why
    :type reason: str
    """

    def __init__(self, reason: str):
        super().__init__(reason)


def write_head(stream: BinaryIO, head: Mapping[str, Any], size: int) -> None:
    """
    Begin a message; its content follows.

    :param stream: where to
    :type stream: BinaryIO
    :param head: what JSON can hold
    :type head: Mapping[str, Any]
    :param size: bytes of the content
    :type size: int
    """
    words = json.dumps(head).encode()
    stream.write(LENGTHS.pack(len(words), size) + words)


def read(stream: BinaryIO, most: int) -> tuple[dict[str, Any], bytes] | None:
    """
    Take a message.

    :param stream: where from
    :type stream: BinaryIO
    :param most: bytes that its content may have
    :type most: int
    :return: head and content; None at the end
    :rtype: tuple[dict[str, Any], bytes] | None
    :raises BadMessage: when it is none, or breaks off
    """
    lengths = stream.read(LENGTHS.size)
    if not lengths:
        return None
    if len(lengths) < LENGTHS.size:
        raise BadMessage('broken off')
    words, size = LENGTHS.unpack(lengths)
    if words > LONGEST_HEAD or size > most:
        raise BadMessage(f'{words} and {size} bytes')
    head, content = stream.read(words), stream.read(size)
    if len(content) < size:
        raise BadMessage('broken off')
    try:
        found = json.loads(head)
    except (ValueError, RecursionError) as error:
        raise BadMessage('no JSON') from error
    if not isinstance(found, dict):
        raise BadMessage('no head')
    return found, content
