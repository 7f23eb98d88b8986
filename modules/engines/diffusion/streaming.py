#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Weights that wait in main memory and come to the GPU a layer at a time: while one layer computes, the next one's are on
their way, on a stream of their own, into the other of two places that are there for good. Nothing travels back.

diffusers' group offloading does the same for models that call the same layers in every step. A VAE whose halves are
called without its ``forward``, whose precision changes between them, and steps that compute some layers only are not
among those.

At half precision the published UNet is 2.84 GiB, which a step of two passes brings twice: by arithmetic in 0.25 s at
24 GB/s (PCIe 4 × 16) or 0.5 s at 12 GB/s (PCIe 3 × 16), beside 0.7 s and more of computing.

Libraries: torch, through what is handed in; accelerate, imported when the engine loads.
"""

import functools
import itertools
from typing import TYPE_CHECKING, Any

from modules.engines.diffusion import lanes
from modules.engines.diffusion.lanes import AtOnce

if TYPE_CHECKING:
    import torch

#: bytes of main memory that are pinned at once; torch would round other numbers up to a power of two
ARENA = 2**28

#: addresses that tensors begin at, as torch's own allocator has them, so that the same kernels are chosen for them
ALIGNMENT = 512

#: places for a layer's weights: for the one that computes, and for the next one
PLACES = 2


class Layer:
    """
    The weights of one layer.

    :param module: the layer
    :type module: torch.nn.Module
    """

    def __init__(self, module: 'torch.nn.Module'):
        self.module = module
        self.tensors = [*module.parameters(recurse = False), *module.buffers(recurse = False)]
        #: its weights in main memory, one after the other; of those of another precision, it knows nothing
        self.home: torch.Tensor | None = None
        self._at_home: list[torch.Tensor] = []
        self._dtypes = self.dtypes
        # what was computed with before it came to the device
        self._waiting: list[torch.Tensor] | None = None

    @property
    def dtypes(self) -> list['torch.dtype']:
        """Of its weights as they are now."""
        return [tensor.dtype for tensor in self.tensors]

    @property
    def size(self) -> int:
        """Bytes that a place for it needs."""
        return sum(_aligned(tensor) for tensor in self.tensors)

    @property
    def is_home(self) -> bool:
        """Whether what it is to compute with is what lies in :attr:`home`."""
        return self.home is not None and self.dtypes == self._dtypes

    def views(self, room: 'torch.Tensor') -> list['torch.Tensor']:
        """
        Its weights' shapes laid over bytes.

        :param room: at least :attr:`size` bytes, on any device
        :type room: torch.Tensor
        :return: tensors whose numbers are whatever the bytes are
        :rtype: list[torch.Tensor]
        """
        ends = list(itertools.accumulate(map(_aligned, self.tensors), initial = 0))
        return [
            room.narrow(0, at,
                        tensor.nbytes).view(tensor.dtype).as_strided(tensor.shape, tensor.stride())
            for at, tensor in zip(ends, self.tensors, strict = False)
        ]

    def settle(self, room: 'torch.Tensor') -> None:
        """
        Move into main memory of its own.

        :param room: bytes there, as many as :attr:`size`
        :type room: torch.Tensor
        """
        self._at_home = self.views(room)
        for tensor, view in zip(self.tensors, self._at_home, strict = True):
            view.copy_(tensor.data)
            tensor.data = view
        self.home = room

    def enter(self, views: list['torch.Tensor']) -> None:
        """
        Compute with weights elsewhere.

        :param views: those weights
        :type views: list[torch.Tensor]
        """
        self._waiting = self.views(
            self.home) if self.is_home else [tensor.data for tensor in self.tensors]
        for tensor, view in zip(self.tensors, views, strict = True):
            tensor.data = view

    def leave(self) -> None:
        """Be in main memory again, where the weights have been all the time."""
        if self._waiting is not None:
            for tensor, waiting in zip(self.tensors, self._waiting, strict = True):
                tensor.data = waiting
            self._waiting = None


def _aligned(tensor: 'torch.Tensor') -> int:
    return -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT


class Place:
    """
    Room for one layer's weights on the device.

    :param size: bytes
    :type size: int
    :param device: where
    :type device: str
    """

    def __init__(self, size: int, device: str):
        import torch
        self.room = torch.empty(size, dtype = torch.uint8, device = device)
        self.layer: Layer | None = None
        self.views: list[torch.Tensor] = []

    def holds(self, layer: Layer) -> bool:
        """
        Tell whose weights are here, or on their way.

        :param layer: the layer
        :type layer: Layer
        :return: whether they are this one's, at the precision it has now
        :rtype: bool
        """
        return self.layer is layer and [view.dtype for view in self.views] == layer.dtypes

    def fill(self, layer: Layer, lane: AtOnce) -> None:
        """
        Become a layer's.

        :param layer: the layer, in main memory
        :type layer: Layer
        :param lane: how its weights come here
        :type lane: AtOnce
        """
        self.layer = None
        views = layer.views(self.room)
        if layer.is_home:
            lane.copy(self, [(self.room.narrow(0, 0, layer.size), layer.home)])
        else:
            waiting = [tensor.data for tensor in layer.tensors]
            lane.copy(self, list(zip(views, waiting, strict = True)))
        self.layer, self.views = layer, views


class Streaming:
    """
    Brings layers' weights. Used by one thread at a time.

    :param parts: models, in main memory
    :type parts: list[torch.nn.Module]
    :param device: where they compute
    :type device: str
    :param lane: how weights get there
    :type lane: AtOnce
    """

    def __init__(self, parts: list['torch.nn.Module'], device: str, lane: AtOnce):
        self._device = device
        self._lane = lane
        layers = [Layer(module) for part in parts for module in part.modules()]
        layers = [layer for layer in layers if layer.tensors]
        settle(layers, lane.pinnable)
        self._largest = max(layer.size for layer in layers)
        # what was used last comes last
        self._places: list[Place] = []
        self._computing: Layer | None = None
        self._last: Layer | None = None
        # which layer came after which, when it last did
        self._following: dict[Layer, Layer] = {}
        for layer in layers:
            begin, end = (functools.partial(hook, layer) for hook in (self._begin, self._end))
            layer.module.register_forward_pre_hook(begin)
            layer.module.register_forward_hook(end, always_call = True)

    def release(self) -> None:
        """Hold nothing on the device, whatever cut a clip short."""
        if self._computing:
            self._computing.leave()
        if self._places:
            self._lane.finish()
        self._places.clear()
        self._last = self._computing = None

    def _begin(self, layer: Layer, *_unused: Any) -> None:
        if self._computing:
            # an interrupted program leaves a layer without a word
            self._end(self._computing)
        place = self._filled(layer)
        self._lane.wait(place)
        layer.enter(place.views)
        self._computing = layer
        if self._last:
            self._following[self._last] = layer
        self._last = layer
        following = self._following.get(layer, layer)
        if following is not layer:
            self._filled(following)

    def _end(self, layer: Layer, *_unused: Any) -> None:
        layer.leave()
        self._computing = None
        for place in self._places:
            if place.layer is layer:
                self._lane.done(place)

    def _filled(self, layer: Layer) -> Place:
        """A place with a layer's weights in it or on their way."""
        place = next((place for place in self._places if place.holds(layer)), None)
        if place is None:
            place = self._spare(layer.size)
            place.fill(layer, self._lane)
        self._places.remove(place)
        self._places.append(place)
        return place

    def _spare(self, size: int) -> Place:
        """The place that was not used for the longest time, large enough."""
        if len(self._places) < PLACES:
            self._places.insert(0, Place(max(size, self._largest), self._device))
        elif len(self._places[0].room) < size:
            self._lane.finish()
            self._places.pop(0)
            return self._spare(size)
        return self._places[0]


def settle(layers: list[Layer], pinnable: int) -> None:
    """
    Give layers memory that a GPU can read by itself, as far as there is some.

    :param layers: the layers
    :type layers: list[Layer]
    :param pinnable: bytes of main memory that may be pinned
    :type pinnable: int
    """
    left = sum(layer.size for layer in layers)
    rooms: list[torch.Tensor] = []
    for layer in sorted(layers, key = lambda layer: layer.size, reverse = True):
        size = layer.size
        at = next((at for at, room in enumerate(rooms) if len(room) >= size), len(rooms))
        if at == len(rooms):
            new = max(size, min(left, ARENA))
            rooms.append(lanes.room(new, new <= pinnable))
            pinnable -= new
        layer.settle(rooms[at].narrow(0, 0, size))
        rooms[at] = rooms[at].narrow(0, size, len(rooms[at]) - size)
        left -= size


def compute_on(part: 'torch.nn.Module', device: str) -> None:
    """
    Let diffusers make a model's inputs where it computes, which is not where its weights are.

    :param part: the model
    :type part: torch.nn.Module
    :param device: where it computes
    :type device: str
    """
    import torch
    from accelerate.hooks import ModelHook, add_hook_to_module
    hook = ModelHook()
    hook.execution_device = torch.device(device)
    add_hook_to_module(part, hook)
