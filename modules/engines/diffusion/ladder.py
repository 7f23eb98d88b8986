#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The memory ladder: what is given up, rung after rung, to fit a clip into memory. Time on every rung; exactness on none
but by the rounding of sums, and on the last by the seams between frames that are decoded one by one.

Libraries: none.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from modules import choices


@dataclass(frozen = True)
class Rung:
    """One way to use memory."""

    #: its name in the INI
    name: str
    #: models of the pipeline are in main memory while they do not compute
    is_offloaded: bool = False
    #: feed-forward layers are computed in parts
    is_chunked: bool = False
    #: the two halves of guidance are computed one after the other
    is_split: bool = False
    #: layers are in main memory while they do not compute
    is_streamed: bool = False
    #: frames are decoded one by one
    is_single: bool = False


#: each gives up one thing more than the one before it
RUNGS = tuple(Rung(name, *[True] * given_up) for given_up, name in enumerate(choices.RUNGS))

#: those that move no weights: there is nowhere to move them where all memory is main memory
OF_MAIN_MEMORY = ('resident', 'chunked', 'split', 'single')


def rungs(device: str, names: Collection[str] = choices.RUNGS) -> tuple[Rung, ...]:
    """
    List the rungs of a device.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param names: the rungs that change anything for a family of models
    :type names: Collection[str]
    :return: from the fastest to the most frugal
    :rtype: tuple[Rung, ...]
    """
    if device.startswith('cuda'):
        return tuple(rung for rung in RUNGS if rung.name in names)
    return tuple(
        Rung(rung.name, False, rung.is_chunked, rung.is_split, False, rung.is_single)
        for rung in RUNGS if rung.name in OF_MAIN_MEMORY and rung.name in names)


def choose(device: str,
           is_enough: Callable[[Rung], bool],
           names: Collection[str] = choices.RUNGS) -> Rung:
    """
    Choose the fastest rung whose clips fit into memory.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param is_enough: rung → whether the memory there is suffices for it
    :type is_enough: Callable[[Rung], bool]
    :param names: the rungs that change anything
    :type names: Collection[str]
    :return: the rung; the last one where memory suffices for none
    :rtype: Rung
    """
    ladder = rungs(device, names)
    return next(filter(is_enough, ladder), ladder[-1])


def named(device: str, name: str, names: Collection[str] = choices.RUNGS) -> Rung:
    """
    Find a rung by its name.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param name: one of :data:`modules.choices.RUNGS`
    :type name: str
    :param names: the rungs that change anything
    :type names: Collection[str]
    :return: that rung; the next more frugal one of a device without it
    :rtype: Rung
    """
    ladder = rungs(device, names)
    order = choices.RUNGS.index
    return next(rung for rung in ladder if order(rung.name) >= order(name))


def below(device: str, rung: Rung, names: Collection[str] = choices.RUNGS) -> Rung | None:
    """
    Find the next rung down.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param rung: one of :func:`rungs`
    :type rung: Rung
    :param names: the rungs that change anything
    :type names: Collection[str]
    :return: the rung; None after the last
    :rtype: Rung | None
    """
    ladder = rungs(device, names)
    return next(iter(ladder[ladder.index(rung) + 1:]), None)
