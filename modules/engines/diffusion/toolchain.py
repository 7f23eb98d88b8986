#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What ``torch.compile`` needs on a GPU besides torch: triton, a C compiler and Python's headers, with which triton
builds the small library that starts its kernels. Without them compiling fails minutes later, with a message that does
not say what is missing.

Libraries: none but the standard one; torch, imported by whoever asks about a GPU.
"""

import functools
import logging
import os
import shutil
import sys
import sysconfig
from pathlib import Path

from modules.engines.common import missing_libraries
from modules.i18n import Text, text

logger = logging.getLogger(__name__)

#: C compilers that triton looks for where ``CC`` names none
COMPILERS = ('cl', 'gcc', 'clang') if sys.platform == 'win32' else ('gcc', 'clang')

#: one that builds of triton for Windows bring along, with Python's headers; from where packages are installed
BUNDLED = Path('triton', 'runtime', 'tcc', 'tcc.exe')

HEADER = 'Python.h'

#: the major number of compute capability from which on triton makes code for NVIDIA's cards
WEAKEST = 7


def can_compile(device: str) -> bool:
    """
    Tell whether ``torch.compile`` can work: on a GPU it knows, with the tools it needs for one. What is missing is
    written to the log.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :return: the answer
    :rtype: bool
    """
    if not device.startswith('cuda'):
        return False
    reason = explain_missing() or explain_card(device)
    if reason:
        warn(reason.in_('en'))
    return reason is None


def explain_missing() -> Text | None:
    """
    Tell what is missing to compile for a GPU here; imports nothing.

    :return: the reason, with the way out; None when all is there
    :rtype: Text | None
    """
    is_windows = sys.platform == 'win32'
    if missing_libraries('triton'):
        return text('engines.no_triton', library = 'triton-windows' if is_windows else 'triton')
    missing = missing_tools()
    if not missing:
        return None
    headers = f'python{sys.version_info.major}.{sys.version_info.minor}-dev'
    return text('engines.no_c_compiler', missing = ', '.join(missing), headers = headers)


def explain_card(device: str) -> Text | None:
    """
    Tell why nothing can be compiled for a GPU, whatever tools there are.

    :param device: ``cuda:N``, or ``cuda`` for the first
    :type device: str
    :return: the reason; None when it can, or where torch sees no GPU
    :rtype: Text | None
    """
    import torch
    if torch.version.hip or not torch.cuda.is_available():
        return None
    if torch.cuda.get_device_capability(device)[0] >= WEAKEST:
        return None
    return text('engines.card_not_compiled', card = torch.cuda.get_device_name(device))


def missing_tools() -> list[str]:
    """
    List what triton needs and would not find.

    :return: ``gcc`` when there is no C compiler, ``Python.h`` when there are no headers
    :rtype: list[str]
    """
    if Path(sysconfig.get_path('platlib'), BUNDLED).is_file():
        return []
    named = os.environ.get('CC')
    has_compiler = any(shutil.which(name) for name in ([named] if named else COMPILERS))
    has_header = any((folder / HEADER).is_file() for folder in _header_folders())
    return ([] if has_compiler else [named or COMPILERS[0]]) + ([] if has_header else [HEADER])


def _header_folders() -> list[Path]:
    scheme = sysconfig.get_default_scheme()
    # Debian's Python would install headers there, but has its own elsewhere
    own = sysconfig.get_path('include', 'posix_prefix' if scheme == 'posix_local' else scheme)
    named = [os.environ.get(name, '') for name in ('CPATH', 'C_INCLUDE_PATH')]
    folders = [own, *(folder for paths in named for folder in paths.split(os.pathsep))]
    return [Path(folder) for folder in folders if folder]


@functools.cache
def warn(reason: str) -> None:
    """
    Write to the log, once for all GPUs of this process.

    :param reason: why nothing is compiled
    :type reason: str
    """
    logger.warning('%s', reason)
