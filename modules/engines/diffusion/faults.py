#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How torch and the libraries beneath it say that memory is used up, or that a GPU has failed: mostly in words, for lack
of exceptions of their own.

Libraries: torch, imported by whoever computes.
"""

#: what means that memory is used up, in lower case. A handle of cuBLAS that cannot be made has found no memory;
#: whatever else is not initialised means something else. cuDNN finds no engine where none has memory for its workspace.
MEMORY_WORDS = ('out of memory', "can't allocate memory", 'not enough memory',
                'cublas_status_alloc_failed',
                'cublas_status_not_initialized when calling `cublascreate',
                'cudnn_status_alloc_failed', 'hipblas_status_alloc_failed',
                'unable to find an engine', 'invalid buffer size',
                'failed to allocate private mtlbuffer')

#: what means that CUDA or ROCm compute nothing any more in this process, or that torch has no code for a GPU
FAILURE_WORDS = ('illegal memory access', 'illegal instruction', 'misaligned address',
                 'invalid program counter',
                 'operation not supported on global/shared address space', 'hardware stack error',
                 'unspecified launch failure', 'device-side assert', 'launch timed out',
                 'uncorrectable ecc', 'uncorrectable nvlink', 'context is destroyed',
                 'no kernel image', 'invalid device function', '_arch_mismatch')


def is_out_of_memory(error: Exception) -> bool:
    """
    Tell whether an exception means that memory does not suffice, on whatever device.

    :param error: what was raised
    :type error: Exception
    :return: the answer
    :rtype: bool
    """
    import torch
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error).lower() for words in MEMORY_WORDS)


def has_failed(device: str, error: Exception) -> bool:
    """
    Tell whether an exception that is no lack of memory means that a device can compute nothing any more. CUDA repeats
    such an error in every later call of the process.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param error: what was raised
    :type error: Exception
    :return: the answer
    :rtype: bool
    """
    import torch
    if not isinstance(error, RuntimeError):
        return False
    if any(words in str(error).lower() for words in FAILURE_WORDS):
        return True
    try:
        return torch.ones(2, device = device).sum().item() != 2
    except RuntimeError as other:
        return not is_out_of_memory(other)
