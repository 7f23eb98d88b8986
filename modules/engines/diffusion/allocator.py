#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How torch hands out a GPU's memory: settings that it reads from the environment once, when it is imported.

Libraries: none.
"""

import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path

#: where torch looks, in its order; the last one is ignored for growing segments by some versions, the first by none
VARIABLES = ('PYTORCH_CUDA_ALLOC_CONF', 'PYTORCH_HIP_ALLOC_CONF', 'PYTORCH_ALLOC_CONF')

#: segments that grow leave fewer gaps between tensors of many sizes
GROWING = 'expandable_segments:True'


def prepare(environment: MutableMapping[str, str], megabytes: int | None = None) -> None:
    """
    Set what the environment leaves open; where it sets anything for the allocator, nothing is changed.

    :param environment: of this process, before torch is imported
    :type environment: MutableMapping[str, str]
    :param megabytes: blocks larger than this are not split; None for no such limit
    :type megabytes: int | None
    """
    if any(name in environment for name in VARIABLES):
        return
    wanted = settings(megabytes, can_grow())
    if wanted:
        environment[VARIABLES[0]] = wanted


def settings(megabytes: int | None, grows: bool) -> str:
    """
    Write down how torch's allocator is to behave.

    :param megabytes: blocks larger than this are not split; None for no such limit
    :type megabytes: int | None
    :param grows: whether segments may grow
    :type grows: bool
    :return: a value for one of :data:`VARIABLES`; empty for torch's own ways
    :rtype: str
    """
    split = [f'max_split_size_mb:{megabytes}'] if megabytes else []
    return ','.join(split + [GROWING] * grows)


def can_grow(platform: str = sys.platform, devices: Path = Path('/dev')) -> bool:
    """
    Tell whether segments can grow here: with NVIDIA's own Linux driver. Torch cannot do it on Windows, says so in a
    warning with most builds for AMD, and fails at the first tensor in WSL
    (https://github.com/pytorch/pytorch/issues/192330).

    :param platform: as ``sys.platform`` tells it
    :type platform: str
    :param devices: where drivers show themselves
    :type devices: Path
    :return: the answer; for machines without a GPU, where nothing comes of it, True on Linux
    :rtype: bool
    """
    if platform != 'linux' or is_wsl(devices):
        return False
    return (devices / 'nvidiactl').exists() or not (devices / 'kfd').exists()


def is_wsl(devices: Path = Path('/dev')) -> bool:
    """
    Tell whether Linux runs inside Windows and has its GPU from there.

    :param devices: where drivers show themselves
    :type devices: Path
    :return: the answer
    :rtype: bool
    """
    return (devices / 'dxg').exists()


def grows(environment: Mapping[str, str]) -> bool:
    """
    Tell whether segments grow in this process.

    :param environment: of this process
    :type environment: Mapping[str, str]
    :return: what the variable that torch heeds says
    :rtype: bool
    """
    heeded = next((environment[name] for name in VARIABLES if name in environment), '')
    return GROWING in heeded.replace(' ', '')
