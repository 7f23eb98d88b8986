#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A checkpoint's files: what is loaded of them, how large it is, what the model is called.

Libraries: none.
"""

import re
from pathlib import Path

from modules.configuration import ROOT
from modules.weights import is_hub_name, tensors


def count_file_bytes(folder: Path, variant: str | None, part: str = '*') -> int:
    """
    Count the bytes of the files that are loaded.

    :param folder: a whole model
    :type folder: Path
    :param variant: ``fp16`` or None
    :type variant: str | None
    :param part: the folder of one of its models, or ``*`` for all
    :type part: str
    :return: bytes
    :rtype: int
    """
    return sum(file.stat().st_size for file in list_loaded_files(folder, variant, part))


def list_loaded_files(folder: Path, variant: str | None, part: str) -> list[Path]:
    """
    List the files of weights that are loaded.

    :param folder: a whole model
    :type folder: Path
    :param variant: ``fp16`` or None
    :type variant: str | None
    :param part: the folder of one of its models, or ``*`` for all
    :type part: str
    :return: the files
    :rtype: list[Path]
    """
    files = list(folder.glob(f'{part}/*.safetensors'))
    halves = {file.parent for file in files if '.fp16' in file.name} if variant else set()
    return [file for file in files if ('.fp16' in file.name) == (file.parent in halves)]


def count_bytes(file: Path, width: int) -> int:
    """
    Count the bytes of a file's tensors at a width; plain files may hold half-precision numbers as well.

    :param file: a file of weights
    :type file: Path
    :param width: bytes of a number that is computed with: 2 or 4
    :type width: int
    :return: bytes
    :rtype: int
    """
    if header := tensors.describe(file):
        return header.bytes_at(width)
    return file.stat().st_size * width // (2 if '.fp16' in file.name else 4)


def get_public_name(name: str) -> str:
    """
    Give a model's name without a path on this machine.

    :param name: the option ``ModelName``
    :type name: str
    :return: its name on the hub, or that of its folder
    :rtype: str
    """
    is_folder = any((place / name).is_dir() for place in (Path.cwd(), ROOT))
    if is_hub_name(name) and not is_folder:
        return name
    return get_last_part(name)


def hide_folder(name: str) -> str:
    """
    Give a file's name without a folder that other machines do not have.

    :param name: a path, on this machine or on a hub
    :type name: str
    :return: the same, of an absolute path the last part
    :rtype: str
    """
    is_here = name.startswith('~') or Path(name).is_absolute()
    return get_last_part(name) if is_here else name


def get_last_part(name: str) -> str:
    """
    Give a model's name without its owner or the folders above it.

    :param name: the option ``ModelName``
    :type name: str
    :return: the last part
    :rtype: str
    """
    return re.split(r'[/\\]', name.rstrip('/\\'))[-1]
