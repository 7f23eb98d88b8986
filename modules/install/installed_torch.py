#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The build of the installed PyTorch, found without importing it; the variables it reads; and whether it is imported.

Libraries: none but the standard one.
"""

import os
import re
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

#: makes fused attention work on AMD's cards for players (RDNA); data centres' have it anyway. Read once, when attention
#: is first computed. https://github.com/ROCm/aotriton/issues/16
ROCM_ATTENTION = 'TORCH_ROCM_AOTRITON_ENABLE_EXPERIMENTAL'


@dataclass(frozen = True)
class InstalledTorch:
    """A build of PyTorch."""

    #: as ``2.13.0+cu126``
    version: str
    #: of CUDA, as ``12.6``; empty where it was not built for NVIDIA's cards
    cuda: str
    #: of HIP, as ``7.2.1``; empty where it was not built for AMD's cards
    hip: str


def find() -> InstalledTorch | None:
    """
    Look for PyTorch where an import would find it.

    :return: the build; None where there is none, or half of one
    :rtype: InstalledTorch | None
    """
    spec = PathFinder.find_spec('torch')
    file = Path(spec.origin).with_name('version.py') if spec and spec.origin else None
    if file is None or not file.is_file():
        return None
    content = file.read_text(encoding = 'utf-8')
    found = dict(re.findall(r'''^(__version__|cuda|hip)\b[^=\n]*= *['"](.*)['"]''', content, re.M))
    return InstalledTorch(found.get('__version__', ''), found.get('cuda', ''), found.get('hip', ''))


def find_imported() -> ModuleType | None:
    """
    Find PyTorch where somebody has imported it. While another thread is at that, which takes seconds, it is there
    already and lacks most of its names.

    :return: the library; None where it is not imported, or not to its end
    :rtype: ModuleType | None
    """
    torch = sys.modules.get('torch')
    is_half = getattr(getattr(torch, '__spec__', None), '_initializing', False)
    return None if is_half else torch


def set_variables(environment: MutableMapping[str, str] = os.environ) -> None:
    """
    Set what PyTorch reads from the environment, unless somebody has. To be called before it is imported.

    :param environment: of this process
    :type environment: MutableMapping[str, str]
    """
    torch = find()
    if torch and torch.hip:
        environment.setdefault(ROCM_ATTENTION, '1')
