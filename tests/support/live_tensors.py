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

aten = torch.ops.aten

#: what these make of tensors without numbers, which torch itself finds out by walking through all that they are made of
MADE_WITHOUT_NUMBERS = {
    aten.addmm.default:
    lambda bias, one, other: one.new_empty(len(one), other.shape[1]),
    aten.native_group_norm.default:
    lambda given, _weight, _bias, count, _channels, _size, groups, _:
    (torch.empty_like(given), *(given.new_empty(count, groups) for _statistic in range(2))),
    aten.native_layer_norm.default:
    lambda given, shape, *_: (torch.empty_like(given, memory_format = torch.contiguous_format), *(
        given.new_empty((*given.shape[:-len(shape)], *(1 for _ in shape)), dtype = torch.float32)
        for _statistic in range(2))),
}


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
        if func in MADE_WITHOUT_NUMBERS and args[0].device.type == 'meta':
            func = MADE_WITHOUT_NUMBERS[func]
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
            return torch.empty_like(args[0] if args else kwargs['query'])
        return func(*args, **(kwargs or {}))
