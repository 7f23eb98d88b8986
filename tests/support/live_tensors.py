#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Counts the bytes of tensors that are alive, on any device, the meta device included; and plays a device whose memory
ends. Not a test itself.

Libraries: torch.
"""

import weakref

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


class LiveBytes(TorchDispatchMode):
    """
    Counts what is made while it is entered; what was there before does not count.

    :param limit: bytes after which memory is said to be used up; None for none
    :type limit: int | None
    :param device: the kind of device whose tensors count; None for all
    :type device: str | None
    """

    def __init__(self, limit: int | None = None, device: str | None = None):
        super().__init__()
        self.limit = limit
        self.device = device
        self.now = self.peak = 0
        self._known = weakref.WeakSet()

    def __torch_dispatch__(self, func, types, args = (), kwargs = None):
        # weights are met here first, as what is computed with; a view of one must not count as new
        self._known.update(self._storages((args, kwargs)))
        made = func(*args, **(kwargs or {}))
        for storage in self._storages(made):
            if storage not in self._known:
                self._count(storage)
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        size = storage.nbytes()
        self._known.add(storage)
        self.now += size
        weakref.finalize(storage, self._forget, size)
        if self.limit is not None and self.now > self.limit:
            raise torch.OutOfMemoryError(f'{self.now} of {self.limit} bytes are used')
        self.peak = max(self.peak, self.now)

    def _forget(self, size: int) -> None:
        self.now -= size

    def _storages(self, values: object) -> list[torch.UntypedStorage]:
        found, left = [], [values]
        while left:
            value = left.pop()
            if isinstance(value, (tuple, list)):
                left += value
            elif isinstance(value, dict):
                left += value.values()
            elif isinstance(value, torch.Tensor) and self.device in (None, value.device.type):
                found.append(value.untyped_storage())
        return found


class FusedAttention(TorchFunctionMode):
    """Attention as GPUs compute it, without its matrix, for devices on which torch would make that."""

    def __torch_function__(self, func, types, args = (), kwargs = None):
        if func is torch.nn.functional.scaled_dot_product_attention:
            return torch.empty_like(args[0])
        return func(*args, **(kwargs or {}))
