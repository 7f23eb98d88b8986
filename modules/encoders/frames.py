#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The frames of a clip, which need not all be in memory: each is read, or made of others, when it is needed.

Libraries: numpy, for types alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy


class Frames(Protocol):
    """Frames by their numbers; an array [T, H, W, 3] is such frames too."""

    @property
    def shape(self) -> tuple[int, ...]:
        """How many frames there are, their height and width, and 3 for the colours."""
        ...

    def __len__(self) -> int:
        ...

    def __iter__(self) -> 'Iterator[numpy.ndarray]':
        ...

    def __getitem__(self, number: int, /) -> 'numpy.ndarray':
        ...


@dataclass(frozen = True)
class LazyFrames:
    """Frames that are made when they are read, and not kept."""

    #: T, H, W, 3
    shape: tuple[int, ...]
    #: number → uint8 [H, W, 3]
    read: 'Callable[[int], numpy.ndarray]'

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> 'Iterator[numpy.ndarray]':
        return map(self.read, range(len(self)))

    def __getitem__(self, number: int, /) -> 'numpy.ndarray':
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self.read(number)


def pick_frames(frames: Frames, numbers: Sequence[int]) -> LazyFrames:
    """
    Put frames in another order.

    :param frames: the frames
    :type frames: Frames
    :param numbers: which of them, in their new order; each as often as wanted
    :type numbers: Sequence[int]
    :return: those
    :rtype: LazyFrames
    """
    return LazyFrames((len(numbers), *frames.shape[1:]), lambda number: frames[numbers[number]])
