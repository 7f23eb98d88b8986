#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What computes: which device there is, how much memory it has, and what running out of it looks like.

Libraries: torch, handed in by the caller once it is imported; psutil, which accelerate brings along.
"""

import logging
import os
import platform
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from modules.engines.common import first_line
from modules.engines.diffusion import allocator, attention, memory
from modules.engines.diffusion.memory import Needs
from modules.i18n import Text, text
from modules.install import installed_torch

logger = logging.getLogger(__name__)

#: files that drivers of NVIDIA (Linux, WSL) and AMD put there
DRIVERS = ('/dev/nvidiactl', '/dev/nvidia0', '/dev/dxg', '/dev/kfd')

#: what broken installations of torch and diffusers raise when they are imported
IMPORT_ERRORS = (ImportError, OSError, RuntimeError, AttributeError, ValueError)

#: how torch's backends and the libraries beneath them say without an exception of their own that memory is used up, in
#: lower case. A handle of cuBLAS that cannot be made has found no room; whatever else is not initialised says no such
#: thing. cuDNN finds no engine where none has room for what it computes with.
MEMORY_WORDS = ('out of memory', "can't allocate memory", 'not enough memory',
                'cublas_status_alloc_failed',
                'cublas_status_not_initialized when calling `cublascreate',
                'cudnn_status_alloc_failed', 'hipblas_status_alloc_failed',
                'unable to find an engine', 'invalid buffer size',
                'failed to allocate private mtlbuffer')

#: bytes that the driver takes after a limit was set: kernels as they are first used, handles
OUTSIDE = 2**28

#: how CUDA and ROCm say that they compute nothing any more in this process, or that torch has no code for a GPU
FAILURE_WORDS = ('illegal memory access', 'illegal instruction', 'misaligned address',
                 'invalid program counter',
                 'operation not supported on global/shared address space', 'hardware stack error',
                 'unspecified launch failure', 'device-side assert', 'launch timed out',
                 'uncorrectable ecc', 'uncorrectable nvlink', 'context is destroyed',
                 'no kernel image', 'invalid device function', '_arch_mismatch')


def expected(option: str) -> str:
    """
    What :func:`pick` will most likely find, told without importing torch.

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


def pick(option: str, torch: ModuleType) -> str | None:
    """
    The device to compute on. ROCm builds of torch call theirs CUDA as well.

    :param option: the option ``Device``; ``auto`` prefers CUDA, then MPS, then the CPU
    :type option: str
    :param torch: the library
    :type torch: ModuleType
    :return: ``cuda:N``, ``mps`` or ``cpu``; None when what the option names is not there
    :rtype: str | None
    """
    there = [f'cuda:{index}' for index in range(_cuda_devices(torch))]
    there += ['mps'] if torch.backends.mps.is_available() else []
    there += ['cpu']
    if option == 'auto':
        return there[0]
    return next((device for device in there if option in (device, device.partition(':')[0])), None)


def _cuda_devices(torch: ModuleType) -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def described(option: str) -> str | Text:
    """
    The device, told to a person; imports torch.

    :param option: the option ``Device``
    :type option: str
    :return: its name, and of a GPU what it is called and its memory; or what is wrong
    :rtype: str | Text
    """
    try:
        import torch
        device = pick(option, torch)
        if device is None:
            return text('engines.svd_no_device', device = option)
        size = total_memory(device, torch)
        if size is None:
            return device
        return f'{device}, {torch.cuda.get_device_name(device)}, {size / 2**30:.1f} GiB'
    except IMPORT_ERRORS as error:
        return text('engines.svd_broken', error = first_line(error))


def free_memory(device: str, torch: ModuleType | None = None) -> int:
    """
    Bytes that can still be had, those among them that torch keeps for later tensors.

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


def for_clips(device: str, weights: int) -> int:
    """
    Bytes that weights and a clip may use. On a machine without a GPU of its own everything else lives in the same
    memory, so half of what is free is left alone.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param weights: what weights that are there already take
    :type weights: int
    :return: bytes
    :rtype: int
    """
    import torch
    free = free_memory(device, torch)
    return weights + (free if device.startswith('cuda') else free // 2)


def total_memory(device: str, torch: ModuleType) -> int | None:
    """
    Bytes of a GPU.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param torch: the library
    :type torch: ModuleType
    :return: bytes; None for a device that uses the machine's own memory
    :rtype: int | None
    """
    return torch.cuda.mem_get_info(device)[1] if device.startswith('cuda') else None


def prepare(device: str, torch: ModuleType) -> None:
    """
    Make memory of a GPU end where it ends: torch's segments grow only where the driver can do that, and where it would
    go on in main memory, many times slower and without a word, an exception comes instead.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param torch: the library
    :type torch: ModuleType
    """
    if not device.startswith('cuda'):
        return
    _try_growing(device, torch)
    if goes_around_cudnn(torch):
        logger.warning(
            'This PyTorch does without cuDNN %s for a part of the model, which takes twice the '
            'time; cuDNN 9.15 and newer it would use', torch.backends.cudnn.version())
    if sys.platform == 'win32' or allocator.is_wsl():
        kept = torch.cuda.memory_reserved(device)
        free, total = torch.cuda.mem_get_info(device)
        part = min(1.0, max(0, free + kept - OUTSIDE) / total)
        torch.cuda.set_per_process_memory_fraction(part, device)


def _try_growing(device: str, torch: ModuleType) -> None:
    """Drivers of parts of a GPU (vGPU) may know no growing segments; the first tensor fails then."""
    if not allocator.grows(os.environ):
        return
    try:
        torch.empty(1, device = device)
    except RuntimeError as error:
        if is_out_of_memory(error, torch):
            return
        logger.warning('Segments cannot grow on %s: %s', device, first_line(error))
        torch.cuda.memory._set_allocator_settings('expandable_segments:False')
        os.environ[allocator.VARIABLES[0]] = 'expandable_segments:False'


def adjust(needs: Needs, device: str, is_half: bool) -> Needs:
    """
    Tell what is needed on a device. On a GPU torch holds more than its tensors, because gaps between them fit nothing:
    as measured on an H200, 25 frames of 1024 × 576 on every rung, less what
    :data:`modules.engines.diffusion.memory.OVERHEAD` has for that already.

    :param needs: what tensors need
    :type needs: Needs
    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param is_half: whether it is computed at half precision
    :type is_half: bool
    :return: what is needed there, as far as it is known before torch is imported
    :rtype: Needs
    """
    torch = installed_torch.find_imported()
    if device != 'mps' and not (torch and device.startswith('cuda')):
        return needs
    if not attention.is_fused(device, torch):
        needs = replace(needs, scores = attention.COPIES * attention.MOST)
    if device == 'mps':
        return needs
    if is_half and goes_around_cudnn(torch):
        needs = replace(needs, frame = int(needs.frame * memory.AROUND_CUDNN))
    return replace(needs, fragments = 2**28 if allocator.grows(os.environ) else 2**30)


def goes_around_cudnn(torch: ModuleType) -> bool:
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


def is_out_of_memory(error: Exception, torch: ModuleType) -> bool:
    """
    Whether an exception means that memory does not suffice, on whatever device.

    :param error: what was raised
    :type error: Exception
    :param torch: the library
    :type torch: ModuleType
    :return: the answer
    :rtype: bool
    """
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error).lower() for words in MEMORY_WORDS)


def has_failed(device: str, error: Exception, torch: ModuleType) -> bool:
    """
    Whether an exception that is no lack of memory means that a device can compute nothing any more. CUDA repeats such
    an error in every later call of the process.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param error: what was raised
    :type error: Exception
    :param torch: the library
    :type torch: ModuleType
    :return: the answer
    :rtype: bool
    """
    if not isinstance(error, RuntimeError):
        return False
    if any(words in str(error).lower() for words in FAILURE_WORDS):
        return True
    try:
        return torch.ones(2, device = device).sum().item() != 2
    except RuntimeError as other:
        return not is_out_of_memory(other, torch)


def release(device: str) -> None:
    """
    Give unused memory back to the driver.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    """
    import torch
    if device.startswith('cuda'):
        torch.cuda.empty_cache()
    elif device == 'mps':
        torch.mps.empty_cache()
