#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How weights get from main memory to a device: at once, or beside what is computed there.

Libraries: torch, imported when the engine loads; psutil, which accelerate brings along.
"""

import logging
from typing import TYPE_CHECKING

from modules.engines.common import first_line

if TYPE_CHECKING:
    import torch

    from modules.engines.diffusion.streaming import Place

logger = logging.getLogger(__name__)


class AtOnce:
    """Copies where there is nothing to copy beside."""

    #: bytes of main memory that may be pinned: given to the device alone, which reads it by itself
    pinnable = 0

    def copy(self, _place: 'Place', copies: list[tuple['torch.Tensor', 'torch.Tensor']]) -> None:
        """
        Bring weights to a place.

        :param _place: the place
        :type _place: 'Place'
        :param copies: to, from
        :type copies: list[tuple[torch.Tensor, torch.Tensor]]
        """
        for to, source in copies:
            to.copy_(source)

    def wait(self, place: 'Place') -> None:
        """
        Let what is computed from now on find the weights in a place.

        :param place: the place
        :type place: 'Place'
        """

    def done(self, place: 'Place') -> None:
        """
        Let the place be filled anew once what was computed until now is.

        :param place: the place
        :type place: 'Place'
        """

    def finish(self) -> None:
        """Let what is computed from now on find all copies made."""


class Beside(AtOnce):
    """
    Copies beside what is computed: who waits is the GPU, not the program.

    :param device: ``cuda:N``
    :type device: str
    """

    def __init__(self, device: str):
        import psutil
        import torch
        self.pinnable = psutil.virtual_memory().available // 2
        self._device = device
        self._torch = torch
        self._stream = torch.cuda.Stream(device)
        self._full: dict[Place, torch.cuda.Event] = {}
        self._free: dict[Place, torch.cuda.Event] = {}

    def copy(self, place: 'Place', copies: list[tuple['torch.Tensor', 'torch.Tensor']]) -> None:
        """
        See :meth:`AtOnce.copy`.

        :param place: the place
        :type place: Place
        :param copies: to, from
        :type copies: list[tuple[torch.Tensor, torch.Tensor]]
        """
        if place not in self._free:
            # its memory may have been something else's that is still computed with
            self.done(place)
        self._stream.wait_event(self._free[place])
        with self._torch.cuda.stream(self._stream):
            for to, source in copies:
                to.copy_(source, non_blocking = True)
        self._full[place] = self._stream.record_event()

    def wait(self, place: 'Place') -> None:
        """
        See :meth:`AtOnce.wait`.

        :param place: the place
        :type place: Place
        """
        arrived = self._full.pop(place, None)
        if arrived:
            self._torch.cuda.current_stream(self._device).wait_event(arrived)

    def done(self, place: 'Place') -> None:
        """
        See :meth:`AtOnce.done`.

        :param place: the place
        :type place: Place
        """
        self._free[place] = self._torch.cuda.current_stream(self._device).record_event()

    def finish(self) -> None:
        """See :meth:`AtOnce.finish`."""
        self._torch.cuda.current_stream(self._device).wait_stream(self._stream)
        self._full.clear()
        self._free.clear()


def best(device: str) -> AtOnce:
    """
    Choose a way.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :return: the fastest one there is
    :rtype: AtOnce
    """
    import torch
    return Beside(device) if device.startswith('cuda') and torch.cuda.is_available() else AtOnce()


def room(size: int, is_pinned: bool) -> 'torch.Tensor':
    """
    Take main memory.

    :param size: bytes
    :type size: int
    :param is_pinned: whether a GPU is to read it by itself, where that can be had
    :type is_pinned: bool
    :return: uint8 [size]
    :rtype: torch.Tensor
    """
    import torch
    if is_pinned:
        try:
            return torch.empty(size, dtype = torch.uint8, pin_memory = True)
        except RuntimeError as error:
            logger.warning('Memory cannot be pinned: %s', first_line(error))
    return torch.empty(size, dtype = torch.uint8)
