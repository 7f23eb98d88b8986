#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Which libraries an environment has, and which of them are whole, as its own Python finds them. That Python runs this
file, alone.

Libraries: none but the standard one, because nothing is installed yet.
"""

import importlib.metadata
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

#: places that may be missing, or are no files of the library's own
ELSEWHERE = r'\.\.|[A-Za-z]:|.*(__pycache__|\.pyc$|\.dist-info)'


@dataclass(frozen = True)
class Inventory:
    """What was found."""

    #: library → version, of those that are whole; names as :func:`normalize` makes them
    whole: dict[str, str]
    #: libraries that are there in part
    broken: tuple[str, ...]


def take(python: Path) -> Inventory | None:
    """
    List the libraries of an environment.

    :param python: its Python
    :type python: Path
    :return: the libraries; None where that Python does not run
    :rtype: Inventory | None
    """
    try:
        done = subprocess.run([str(python), '-I', __file__],
                              stdin = subprocess.DEVNULL,
                              capture_output = True,
                              encoding = 'utf-8',
                              check = False)
        found = json.loads(done.stdout)
    except (OSError, ValueError):
        return None
    return Inventory(found['whole'], tuple(found['broken']))


def normalize(name: str) -> str:
    """
    Write a library's name in the one form of all its spellings.

    :param name: as ``Pillow_heif``
    :type name: str
    :return: as ``pillow-heif``
    :rtype: str
    """
    return re.sub(r'[-_.]+', '-', name).lower()


def _list_libraries() -> dict:
    """Return what this Python finds, for JSON."""
    whole: dict[str, str] = {}
    broken: list[str] = []
    for library in importlib.metadata.distributions():
        head, places = _read(library)
        name = normalize(head.get('Name', ''))
        if not name or name in whole or name in broken:
            continue
        if all(Path(str(library.locate_file(place))).exists() for place in places):
            whole[name] = head.get('Version', '')
        else:
            broken.append(name)
    return {'whole': whole, 'broken': broken}


def _read(library: importlib.metadata.Distribution) -> tuple[dict[str, str], set[str]]:
    """Return name, version and places of a library; nothing where its description is not UTF-8, as pip's are."""
    try:
        # the library's own parser reads whole descriptions, which takes longer than everything else
        head = library.read_text('METADATA') or library.read_text('PKG-INFO') or ''
        return (dict(re.findall(r'^(Name|Version): *(.*)$',
                                head.partition('\n\n')[0], re.M)), _places(library))
    except UnicodeDecodeError:
        return {}, set()


def _places(library: importlib.metadata.Distribution) -> set[str]:
    """Return a library's files and folders down to the second level; deeper ones are thousands."""
    listed = library.read_text('RECORD') or ''
    places = set(re.findall(r'^[^/,"\n]+(?:/[^/,"\n]+)?', listed, re.M))
    # scripts lie elsewhere, and what Python compiled it compiles again
    return {place for place in places if not re.match(ELSEWHERE, place)}


if __name__ == '__main__':
    sys.stdout.write(json.dumps(_list_libraries()))
