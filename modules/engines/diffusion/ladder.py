#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The ladder: what is given up, rung after rung, to fit a clip into memory. Time on every rung; exactness on none but by
the rounding of sums, and on the last by the seams between frames that are decoded one by one.

Libraries: none.
"""

from dataclasses import dataclass

from modules import choices
from modules.engines.diffusion import memory
from modules.engines.diffusion.memory import Needs


@dataclass(frozen = True)
class Rung:
    """One way to use memory."""

    #: what it is called in the INI
    name: str
    #: parts of the model wait in main memory until their turn comes
    takes_turns: bool = False
    #: feed-forward layers are computed in parts
    is_chunked: bool = False
    #: the two halves of guidance are computed one after the other
    is_split: bool = False
    #: even the layers of a part wait in main memory
    is_streamed: bool = False
    #: frames are decoded one by one
    is_single: bool = False


#: each gives up one thing more than the one before it
RUNGS = tuple(Rung(name, *[True] * given_up) for given_up, name in enumerate(choices.RUNGS))

#: rungs that move weights are none where all memory is the same
OF_MAIN_MEMORY = ('resident', 'chunked', 'split', 'single')


def rungs(device: str) -> tuple[Rung, ...]:
    """
    The ladder of a device.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :return: from the fastest to the most frugal
    :rtype: tuple[Rung, ...]
    """
    if device.startswith('cuda'):
        return RUNGS
    return tuple(
        Rung(rung.name, False, rung.is_chunked, rung.is_split, False, rung.is_single)
        for rung in RUNGS if rung.name in OF_MAIN_MEMORY)


def peak(rung: Rung, needs: Needs, chunk: int = 1) -> int:
    """
    The most that a clip holds on its device at once, weights included, in live tensors.

    :param rung: the way memory is used
    :type rung: Rung
    :param needs: what the checkpoint needs
    :type needs: Needs
    :param chunk: frames that are decoded at once
    :type chunk: int
    :return: bytes
    :rtype: int
    """
    half = needs.chunked_half if rung.is_chunked else needs.half
    halves = 1 if rung.is_split else 2
    # where attention keeps scores, feed-forward layers hold no more than in parts
    denoising = max(halves * half, halves * needs.chunked_half + needs.scores)
    decoding = (1 if rung.is_single else chunk) * needs.frame
    if rung.is_streamed:
        # one computes, the next one is on its way
        layers = 2 * int(needs.unet * memory.LARGEST_LAYER)
        return layers + max(denoising, decoding, needs.encoding)
    if rung.takes_turns:
        # the VAE has encoded the photo when the UNet comes, and stays
        return max(needs.image_encoder, needs.vae + max(decoding, needs.encoding),
                   needs.vae + needs.unet + denoising)
    return needs.weights + max(denoising, decoding, needs.encoding)


def fits(rung: Rung, needs: Needs, there: int) -> bool:
    """
    Whether a clip can be made.

    :param rung: the way memory is used
    :type rung: Rung
    :param needs: what the checkpoint needs
    :type needs: Needs
    :param there: bytes of memory that weights and clip may use
    :type there: int
    :return: the answer, as far as it can be foretold
    :rtype: bool
    """
    return peak(rung, needs) + memory.OVERHEAD + needs.fragments <= there


def chosen(device: str, needs: Needs, there: int) -> Rung:
    """
    The fastest rung that fits.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param needs: what the checkpoint needs
    :type needs: Needs
    :param there: bytes of memory that weights and clip may use
    :type there: int
    :return: the rung; the last one where none fits
    :rtype: Rung
    """
    ladder = rungs(device)
    return next((rung for rung in ladder if fits(rung, needs, there)), ladder[-1])


def named(device: str, name: str) -> Rung:
    """
    A rung by its name.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param name: one of :data:`modules.choices.RUNGS`
    :type name: str
    :return: that rung; the next more frugal one of a device without it
    :rtype: Rung
    """
    ladder = rungs(device)
    order = choices.RUNGS.index
    return next(rung for rung in ladder if order(rung.name) >= order(name))


def below(device: str, rung: Rung) -> Rung | None:
    """
    The next rung down.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param rung: one of :func:`rungs`
    :type rung: Rung
    :return: the rung; None after the last
    :rtype: Rung | None
    """
    ladder = rungs(device)
    return next(iter(ladder[ladder.index(rung) + 1:]), None)


def chunk_size(rung: Rung, needs: Needs, frames: int, there: int) -> int:
    """
    How many frames to decode at once.

    :param rung: the way memory is used
    :type rung: Rung
    :param needs: what the checkpoint needs
    :type needs: Needs
    :param frames: frames of the clip
    :type frames: int
    :param there: bytes of memory that weights and clip may use
    :type there: int
    :return: 1 to ``frames``
    :rtype: int
    """
    if rung.is_single:
        return 1
    kept = 0 if rung.is_streamed else needs.vae if rung.takes_turns else needs.weights
    return memory.chunk_size(frames, there - kept - memory.OVERHEAD, needs.frame)
