#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The header of a file of weights: https://huggingface.co/docs/safetensors, "Format".

Libraries: none.
"""

import functools
import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

#: a header longer than this is none
_LONGEST_HEADER = 100_000_000

#: types of numbers that can be converted to another precision
_PRECISIONS = ('F64', 'F32', 'F16', 'BF16')


@dataclass(frozen = True)
class Description:
    """A safetensors file."""

    #: bytes it should have
    size: int
    #: how many numbers it holds that can be converted to another precision
    numbers: int
    #: bytes of everything else
    rest: int

    def bytes_at(self, width: int) -> int:
        """
        Compute the bytes of its tensors, once they are loaded.

        :param width: bytes of a number that is computed with
        :type width: int
        :return: bytes
        :rtype: int
        """
        return self.numbers * width + self.rest


def describe(path: Path) -> Description | None:
    """
    Read a file's header; cheap, and kept until the file changes.

    :param path: a safetensors file
    :type path: Path
    :return: the description, or None where it has no header
    :rtype: Description | None
    :raises OSError: when it cannot be read
    """
    status = path.stat()
    return _read_header(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize = 64)
def _read_header(path: Path, size: int, _changed: int) -> Description | None:
    with path.open('rb') as file:
        start = file.read(8)
        length = struct.unpack('<Q', start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(size - 8, _LONGEST_HEADER):
            return None
        header = file.read(length)
    try:
        tensors = json.loads(header)
        tensors.pop('__metadata__', None)
        ends = [tensor['data_offsets'][1] for tensor in tensors.values()]
        numbers = sum(
            math.prod(tensor['shape']) for tensor in tensors.values()
            if tensor['dtype'] in _PRECISIONS)
        rest = sum(tensor['data_offsets'][1] - tensor['data_offsets'][0]
                   for tensor in tensors.values() if tensor['dtype'] not in _PRECISIONS)
        return Description(8 + length + max(ends, default = 0), numbers, rest)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return None
