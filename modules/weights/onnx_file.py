#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The outermost fields of a model in the ONNX format, a message of protobuf:
https://protobuf.dev/programming-guides/encoding and ``ModelProto`` of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.

Libraries: none.
"""

import functools
from pathlib import Path
from typing import BinaryIO

#: numbers of the fields that every model has: version of the format, graph, versions of the operators
_VERSION, _GRAPH, _OPERATORS = 1, 7, 8

#: wire types of a number of any length, of 8 bytes, of a length with as many bytes behind it, and of 4 bytes
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def is_whole(path: Path) -> bool:
    """
    Check whether a file is a model of its full length; reads a few bytes, and remembers until the file changes.

    :param path: a file
    :type path: Path
    :return: False for a download that was cut short and for what is no such file
    :rtype: bool
    :raises OSError: when it cannot be read
    """
    status = path.stat()
    return _has_all_fields(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize = 64)
def _has_all_fields(path: Path, size: int, _changed: int) -> bool:
    found = set()
    with path.open('rb') as file:
        try:
            while file.tell() < size:
                field, wire_type = divmod(_read_number(file), 8)
                found.add(field)
                _skip(file, wire_type)
        except ValueError:
            return False
        return file.tell() == size and {_VERSION, _GRAPH, _OPERATORS} <= found


def _skip(file: BinaryIO, wire_type: int) -> None:
    if wire_type == _VARINT:
        _read_number(file)
    elif wire_type == _BYTES:
        length = _read_number(file)
        file.seek(length, 1)
    elif wire_type in (_FIXED64, _FIXED32):
        file.seek(8 if wire_type == _FIXED64 else 4, 1)
    else:
        raise ValueError(wire_type)


def _read_number(file: BinaryIO) -> int:
    """Read an integer of seven bits a byte, the lowest first."""
    number = 0
    for position in range(0, 63, 7):
        byte = file.read(1)
        if not byte:
            break
        number |= (byte[0] & 127) << position
        if byte[0] < 128:
            return number
    raise ValueError(number)
