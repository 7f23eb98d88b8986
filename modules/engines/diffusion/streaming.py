#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Weights that stay in main memory and are copied to the GPU a layer at a time: while one layer computes, the next one's
are copied into the other of two slots, which are allocated once. Nothing is copied back.

diffusers' group offloading does the same for models that call the same layers in every step. A VAE whose halves are
called without its ``forward``, whose precision changes between them, and steps that compute some layers only are not
among those.

Libraries: torch, through what is handed in.
"""

import functools
import itertools
from typing import TYPE_CHECKING, Any

from modules.engines.diffusion import copying
from modules.engines.diffusion.copying import Copier

if TYPE_CHECKING:
    import torch

#: bytes of main memory that are pinned at once; torch would round other numbers up to a power of two
BLOCK = 2**28

#: bytes that tensors are aligned to, as by torch's own allocator, so that the same kernels are chosen for them
ALIGNMENT = 512

#: slots for a layer's weights: for the one that computes, and for the next one
SLOTS = 2


class Layer:
    """
    The weights of one layer.

    :param module: the layer
    :type module: torch.nn.Module
    """

    def __init__(self, module: 'torch.nn.Module'):
        self.module = module
        self.tensors = [*module.parameters(recurse = False), *module.buffers(recurse = False)]
        #: its weights in main memory, one after the other, at the precision they had when they were stored
        self.stored: torch.Tensor | None = None
        self._stored_dtypes = self.dtypes
        # its weights in main memory while it computes with those on the device
        self._left: list[torch.Tensor] | None = None

    @property
    def dtypes(self) -> list['torch.dtype']:
        """Precisions of its weights as they are now."""
        return [tensor.dtype for tensor in self.tensors]

    @property
    def size(self) -> int:
        """Bytes that its weights need, aligned."""
        return sum(_count_aligned_bytes(tensor) for tensor in self.tensors)

    def get_stored(self) -> 'torch.Tensor | None':
        """
        Give what can be copied in one piece.

        :return: :attr:`stored`; None where the weights have another precision now
        :rtype: torch.Tensor | None
        """
        return self.stored if self.dtypes == self._stored_dtypes else None

    def make_views(self, memory: 'torch.Tensor') -> list['torch.Tensor']:
        """
        Make tensors of the weights' shapes over bytes.

        :param memory: at least :attr:`size` bytes, on any device
        :type memory: torch.Tensor
        :return: tensors whose numbers are whatever the bytes are
        :rtype: list[torch.Tensor]
        """
        starts = list(itertools.accumulate(map(_count_aligned_bytes, self.tensors), initial = 0))
        return [
            memory.narrow(0, start, tensor.nbytes).view(tensor.dtype).as_strided(
                tensor.shape, tensor.stride())
            for start, tensor in zip(starts, self.tensors, strict = False)
        ]

    def store(self, memory: 'torch.Tensor') -> None:
        """
        Move the weights into other main memory.

        :param memory: as many bytes as :attr:`size`
        :type memory: torch.Tensor
        """
        for tensor, view in zip(self.tensors, self.make_views(memory), strict = True):
            view.copy_(tensor.data)
            tensor.data = view
        self.stored = memory

    def swap_in(self, views: list['torch.Tensor']) -> None:
        """
        Compute with copies of the weights.

        :param views: the copies
        :type views: list[torch.Tensor]
        """
        stored = self.get_stored()
        self._left = [tensor.data
                      for tensor in self.tensors] if stored is None else self.make_views(stored)
        for tensor, view in zip(self.tensors, views, strict = True):
            tensor.data = view

    def swap_out(self) -> None:
        """Have the weights in main memory again, where they are unchanged."""
        if self._left is not None:
            for tensor, left in zip(self.tensors, self._left, strict = True):
                tensor.data = left
            self._left = None


def _count_aligned_bytes(tensor: 'torch.Tensor') -> int:
    return -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT


class Slot:
    """
    Memory on the device for one layer's weights at a time.

    :param size: bytes
    :type size: int
    :param device: where
    :type device: str
    """

    def __init__(self, size: int, device: str):
        import torch
        self.memory = torch.empty(size, dtype = torch.uint8, device = device)
        self.layer: Layer | None = None
        self.views: list[torch.Tensor] = []

    def holds(self, layer: Layer) -> bool:
        """
        Tell whether a layer's weights are here, or being copied.

        :param layer: the layer
        :type layer: Layer
        :return: whether they are, at the precision it has now
        :rtype: bool
        """
        return self.layer is layer and [view.dtype for view in self.views] == layer.dtypes

    def fill(self, layer: Layer, copier: Copier) -> None:
        """
        Copy a layer's weights here.

        :param layer: the layer, in main memory
        :type layer: Layer
        :param copier: what copies
        :type copier: Copier
        """
        self.layer = None
        views, stored = layer.make_views(self.memory), layer.get_stored()
        if stored is not None:
            copier.copy(self, [(self.memory.narrow(0, 0, layer.size), stored)])
        else:
            weights = [tensor.data for tensor in layer.tensors]
            copier.copy(self, list(zip(views, weights, strict = True)))
        self.layer, self.views = layer, views


class LayerStreamer:
    """
    Brings each layer's weights to the device when it computes. Used by one thread at a time.

    :param models: models, in main memory
    :type models: list[torch.nn.Module]
    :param device: where they compute
    :type device: str
    :param copier: copies weights there
    :type copier: Copier
    """

    def __init__(self, models: list['torch.nn.Module'], device: str, copier: Copier):
        self._device = device
        self._copier = copier
        layers = [Layer(module) for model in models for module in model.modules()]
        layers = [layer for layer in layers if layer.tensors]
        store_layers(layers, copier.pinnable)
        self._largest = max(layer.size for layer in layers)
        # in the order of their last use
        self._slots: list[Slot] = []
        self._computing: Layer | None = None
        self._last: Layer | None = None
        # layer → the one that computed after it the last time
        self._following: dict[Layer, Layer] = {}
        for layer in layers:
            begin, end = (functools.partial(hook, layer) for hook in (self._begin, self._end))
            layer.module.register_forward_pre_hook(begin)
            layer.module.register_forward_hook(end, always_call = True)

    def release(self) -> None:
        """Free all memory on the device, also after a clip that was cut short."""
        if self._computing:
            self._computing.swap_out()
        if self._slots:
            self._copier.finish()
        self._slots.clear()
        self._last = self._computing = None

    def _begin(self, layer: Layer, *_unused: Any) -> None:
        if self._computing:
            # after an interrupt, hooks for a layer's end were not called
            self._end(self._computing)
        slot = self._fill_slot(layer)
        self._copier.await_copy(slot)
        layer.swap_in(slot.views)
        self._computing = layer
        if self._last:
            self._following[self._last] = layer
        self._last = layer
        following = self._following.get(layer, layer)
        if following is not layer:
            self._fill_slot(following)

    def _end(self, layer: Layer, *_unused: Any) -> None:
        layer.swap_out()
        self._computing = None
        for slot in self._slots:
            if slot.layer is layer:
                self._copier.free(slot)

    def _fill_slot(self, layer: Layer) -> Slot:
        """Give a slot with a layer's weights in it or being copied there."""
        slot = next((slot for slot in self._slots if slot.holds(layer)), None)
        if slot is None:
            slot = self._find_slot(layer.size)
            slot.fill(layer, self._copier)
        self._slots.remove(slot)
        self._slots.append(slot)
        return slot

    def _find_slot(self, size: int) -> Slot:
        """Give the least recently used slot, large enough."""
        if len(self._slots) < SLOTS:
            self._slots.insert(0, Slot(max(size, self._largest), self._device))
        elif len(self._slots[0].memory) < size:
            self._copier.finish()
            self._slots.pop(0)
            return self._find_slot(size)
        return self._slots[0]


def store_layers(layers: list[Layer], pinnable: int) -> None:
    """
    Move layers' weights into pinned memory, as far as there is some.

    :param layers: the layers
    :type layers: list[Layer]
    :param pinnable: bytes of main memory that may be pinned
    :type pinnable: int
    """
    left = sum(layer.size for layer in layers)
    blocks: list[torch.Tensor] = []
    for layer in sorted(layers, key = lambda layer: layer.size, reverse = True):
        size = layer.size
        at = next((at for at, block in enumerate(blocks) if len(block) >= size), len(blocks))
        if at == len(blocks):
            new = max(size, min(left, BLOCK))
            blocks.append(copying.allocate(new, new <= pinnable))
            pinnable -= new
        layer.store(blocks[at].narrow(0, 0, size))
        blocks[at] = blocks[at].narrow(0, size, len(blocks[at]) - size)
        left -= size
