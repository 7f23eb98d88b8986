#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Copying weights from main memory to a device: while nothing else happens, or while the device computes.

Libraries: torch, imported when the engine loads; psutil, which accelerate brings along.
"""

import logging
from collections.abc import Hashable
from typing import TYPE_CHECKING

from modules.engines.common import first_line

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)


class Copier:
    """
    Copies at once. A slot is memory on the device that holds one layer's weights after another's; here it is a key.
    """

    #: bytes of main memory that may be pinned: never moved by the system, so that the device can read it by itself
    pinnable = 0

    def copy(self, slot: Hashable, copies: list[tuple['torch.Tensor', 'torch.Tensor']]) -> None:
        """
        Copy weights into a slot.

        :param slot: the slot
        :type slot: Hashable
        :param copies: to, from
        :type copies: list[tuple[torch.Tensor, torch.Tensor]]
        """
        for to, source in copies:
            to.copy_(source)

    def await_copy(self, slot: Hashable) -> None:
        """
        Begin what the device is given from now on only when the slot's copies are made.

        :param slot: the slot
        :type slot: Hashable
        """

    def free(self, slot: Hashable) -> None:
        """
        Allow the slot to be overwritten once the device has finished what it was given until now.

        :param slot: the slot
        :type slot: Hashable
        """

    def finish(self) -> None:
        """Begin what the device is given from now on only when all copies are made."""


class StreamCopier(Copier):
    """
    Copies on a CUDA stream of its own while the GPU computes: the GPU waits for copies, the program does not.

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
        self._copied: dict[Hashable, torch.cuda.Event] = {}
        self._freed: dict[Hashable, torch.cuda.Event] = {}

    def copy(self, slot: Hashable, copies: list[tuple['torch.Tensor', 'torch.Tensor']]) -> None:
        if slot not in self._freed:
            # its memory may have been another tensor's, with which the GPU still computes
            self.free(slot)
        self._stream.wait_event(self._freed[slot])
        with self._torch.cuda.stream(self._stream):
            for to, source in copies:
                to.copy_(source, non_blocking = True)
        self._copied[slot] = self._stream.record_event()

    def await_copy(self, slot: Hashable) -> None:
        event = self._copied.pop(slot, None)
        if event:
            self._torch.cuda.current_stream(self._device).wait_event(event)

    def free(self, slot: Hashable) -> None:
        self._freed[slot] = self._torch.cuda.current_stream(self._device).record_event()

    def finish(self) -> None:
        self._torch.cuda.current_stream(self._device).wait_stream(self._stream)
        self._copied.clear()
        self._freed.clear()


def choose_copier(device: str) -> Copier:
    """
    Choose what copies to a device.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :return: the fastest there is
    :rtype: Copier
    """
    import torch
    has_streams = device.startswith('cuda') and torch.cuda.is_available()
    return StreamCopier(device) if has_streams else Copier()


def allocate(size: int, is_pinned: bool) -> 'torch.Tensor':
    """
    Allocate main memory.

    :param size: bytes
    :type size: int
    :param is_pinned: whether it is to be pinned, where that is possible
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
