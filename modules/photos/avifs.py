#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
AVIFs that decoders refuse for the way in which an early encoder (cavif) has laid them out, although browsers show them.

Libraries: none.
"""

import struct
from collections.abc import Iterator

#: how files begin that have AV1 in the container of HEIF
BRANDS = (b'ftypavif', b'ftypavis', b'ftypmif1')
#: bytes before what a box holds: of any, and of one with version and flags
HEAD, FULL_HEAD = 8, 12


def is_avif(head: bytes) -> bool:
    """
    Recognise what may be an AVIF.

    :param head: the first 12 bytes
    :type head: bytes
    :return: whether it begins like one
    :rtype: bool
    """
    return head.startswith(BRANDS, 4)


def join_tables(data: bytes) -> bytes | None:
    """
    Join the tables that give items their properties (``ipma``) into one: with transparency, cavif has written one
    for the picture and one for its transparency, of which HEIF (ISO/IEC 23008-12, 9.3.1) allows one alone.

    :param data: the file
    :type data: bytes
    :return: the same, of the same length; None where there is nothing to join
    :rtype: bytes | None
    """
    place = _find(data, (b'meta', FULL_HEAD), (b'iprp', HEAD))
    if not place:
        return None
    boxes = list(_boxes(data, *place))
    tables = [data[start + HEAD:end] for kind, start, end in boxes if kind == b'ipma']
    # those of several versions may stand side by side
    if len(tables) < 2 or len({table[:4] for table in tables}) > 1 or boxes[0][0] != b'ipco':
        return None
    count = sum(int.from_bytes(table[4:8], 'big') for table in tables)
    table = _box(b'ipma', tables[0][:4], struct.pack('>I', count), *(table[8:] for table in tables))
    properties = data[boxes[0][1] + HEAD:boxes[0][2]]
    # what lies behind must stay where it is; properties that nothing has are allowed
    spare = place[1] - place[0] - len(table) - len(properties) - HEAD
    filled = _box(b'ipco', properties, _box(b'free', bytes(spare - HEAD)))
    return data[:place[0]] + filled + table + data[place[1]:]


def _find(data: bytes, *path: tuple[bytes, int]) -> tuple[int, int] | None:
    """Where the content of a box within boxes begins and ends; each with the bytes before what it holds."""
    place = 0, len(data)
    for wanted, head in path:
        found = next((box for box in _boxes(data, *place) if box[0] == wanted), None)
        if not found:
            return None
        place = found[1] + head, found[2]
    return place


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, beginning and end of boxes that follow one another, as far as they make sense."""
    while start + HEAD <= end:
        size, kind = struct.unpack_from('>I4s', data, start)
        if not HEAD <= size <= end - start:
            return
        yield kind, start, start + size
        start += size


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b''.join(parts)
    return struct.pack('>I', HEAD + len(content)) + kind + content
