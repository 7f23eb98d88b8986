#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The device that computes: which one there is, and how much memory it has.

Libraries: torch, handed in by the caller once it is imported; psutil, which accelerate brings along.
"""

import logging
import os
import platform
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

from modules.engines.common import first_line
from modules.engines.diffusion import allocator
from modules.engines.diffusion.faults import is_out_of_memory
from modules.i18n import Text, text
from modules.install import installed_torch

logger = logging.getLogger(__name__)

#: files that drivers of NVIDIA (Linux, WSL) and AMD put there
DRIVERS = ('/dev/nvidiactl', '/dev/nvidia0', '/dev/dxg', '/dev/kfd')

#: what broken installations of torch and diffusers raise when they are imported
IMPORT_ERRORS = (ImportError, OSError, RuntimeError, AttributeError, ValueError)

#: bytes that the driver takes after a limit was set: kernels as they are first used, handles
OUTSIDE = 2**28


def guess_kind(option: str) -> str:
    """
    Guess what :func:`find_device` will find, without importing torch.

    :param option: the option ``Device``
    :type option: str
    :return: ``cuda``, ``mps`` or ``cpu``
    :rtype: str
    """
    if option != 'auto':
        return option.partition(':')[0]
    if sys.platform == 'darwin':
        return 'mps' if platform.machine() == 'arm64' else 'cpu'
    has_driver = shutil.which('nvidia-smi') or any(Path(file).exists() for file in DRIVERS)
    build = installed_torch.find()
    # CPU-only builds are what the default index gives on Windows
    return 'cuda' if has_driver and build and (build.cuda or build.hip) else 'cpu'


def find_device(option: str, torch: ModuleType) -> str | None:
    """
    Find the device to compute on. ROCm builds of torch call theirs CUDA as well.

    :param option: the option ``Device``; ``auto`` prefers CUDA, then MPS, then the CPU
    :type option: str
    :param torch: the library
    :type torch: ModuleType
    :return: ``cuda:N``, ``mps`` or ``cpu``; None when what the option names is not there
    :rtype: str | None
    """
    found = [f'cuda:{index}' for index in range(_count_gpus(torch))]
    found += ['mps'] if torch.backends.mps.is_available() else []
    found += ['cpu']
    if option == 'auto':
        return found[0]
    return next((device for device in found if option in (device, device.partition(':')[0])), None)


def _count_gpus(torch: ModuleType) -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def describe(option: str) -> str | Text:
    """
    Describe the device to a person; imports torch.

    :param option: the option ``Device``
    :type option: str
    :return: ``cuda:N``, ``mps`` or ``cpu``, with the name and memory of a GPU; or what is wrong
    :rtype: str | Text
    """
    try:
        import torch
        device = find_device(option, torch)
        if device is None:
            return text('engines.no_device', device = option)
        size = read_total_memory(device, torch)
        if size is None:
            return device
        return f'{device}, {torch.cuda.get_device_name(device)}, {size / 2**30:.1f} GiB'
    except IMPORT_ERRORS as error:
        return text('engines.torch_broken', error = first_line(error))


def read_free_memory(device: str, torch: ModuleType | None = None) -> int:
    """
    Count the bytes that can still be allocated, those among them that torch has cached for later tensors.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param torch: the library; None asks about the machine's own memory, which is also what MPS uses
    :type torch: ModuleType | None
    :return: bytes
    :rtype: int
    """
    if torch is not None and device.startswith('cuda'):
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + idle
    import psutil
    return psutil.virtual_memory().available


def read_main_memory() -> int:
    """
    Count the bytes of the machine's own memory.

    :return: bytes
    :rtype: int
    """
    import psutil
    return psutil.virtual_memory().total


def read_usable_memory(device: str, weights: int) -> int:
    """
    Count the bytes that weights and a clip may use. On a machine without a GPU of its own everything else is in
    the same memory, so half of what is free is left alone.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param weights: bytes of the weights that are in that memory already
    :type weights: int
    :return: bytes
    :rtype: int
    """
    import torch
    free = read_free_memory(device, torch)
    return weights + (free if device.startswith('cuda') else free // 2)


def read_total_memory(device: str, torch: ModuleType) -> int | None:
    """
    Count the bytes of a GPU.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param torch: the library
    :type torch: ModuleType
    :return: bytes; None for a device that uses the machine's own memory
    :rtype: int | None
    """
    return torch.cuda.mem_get_info(device)[1] if device.startswith('cuda') else None


def prepare_memory(device: str, torch: ModuleType) -> None:
    """
    Set up torch's allocator for a GPU: segments grow only where the driver can do that, and where a driver would go on
    in main memory, many times slower and without a word, allocating fails instead.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param torch: the library
    :type torch: ModuleType
    """
    if not device.startswith('cuda'):
        return
    _test_growing_segments(device, torch)
    if is_cudnn_avoided(torch):
        logger.warning(
            'This PyTorch does not use cuDNN %s for a part of the model, which takes twice the '
            'time; it uses cuDNN 9.15 and newer', torch.backends.cudnn.version())
    if sys.platform == 'win32' or allocator.is_wsl():
        cached = torch.cuda.memory_reserved(device)
        free, total = torch.cuda.mem_get_info(device)
        part = min(1.0, max(0, free + cached - OUTSIDE) / total)
        torch.cuda.set_per_process_memory_fraction(part, device)


def _test_growing_segments(device: str, torch: ModuleType) -> None:
    """Switch growing segments off where the first tensor fails with them, as with drivers of parts of a GPU (vGPU)."""
    if not allocator.grows(os.environ):
        return
    try:
        torch.empty(1, device = device)
    except RuntimeError as error:
        if is_out_of_memory(error):
            return
        logger.warning('Segments cannot grow on %s: %s', device, first_line(error))
        torch.cuda.memory._set_allocator_settings('expandable_segments:False')
        os.environ[allocator.VARIABLES[0]] = 'expandable_segments:False'


def is_cudnn_avoided(torch: ModuleType) -> bool:
    """
    Tell whether torch computes convolutions over time without cuDNN at half precision, in twice the time: some of
    cuDNN's versions give wrong numbers for large ones (https://github.com/pytorch/pytorch/issues/163539).

    :param torch: the library, built for CUDA
    :type torch: ModuleType
    :return: the answer
    :rtype: bool
    """
    cudnn = torch.backends.cudnn.version()
    release = [int(number) for number in re.findall(r'\d+', torch.__version__)[:3]]
    if torch.version.hip or cudnn is None or release < [2, 9]:
        return False
    # the first release that does it does so with newer versions too
    return cudnn >= 90800 and (cudnn < 91500 or release == [2, 9, 0])


def empty_cache(device: str) -> None:
    """
    Give the memory that torch has cached back to the driver.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    """
    import torch
    if device.startswith('cuda'):
        torch.cuda.empty_cache()
    elif device == 'mps':
        torch.mps.empty_cache()
