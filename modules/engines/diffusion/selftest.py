#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The self-test: whether a device that is there can compute the model. What a PyTorch without code for a GPU, a driver
that is too old, or a GPU without usable half precision do wrong shows here, before any photo waits for it.

Libraries: numpy, Pillow; torch, imported when the engine loads.
"""

import contextlib
import gc
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy
from PIL import Image

from modules.configuration import ModelOptions
from modules.engines.common import first_line
from modules.engines.diffusion import devices, ladder
from modules.i18n import Text, text

if TYPE_CHECKING:
    from modules.engines.stable_video.sampler import Sampler

logger = logging.getLogger(__name__)

#: what may be found, in the locale files
NO_ROOM, NO_NUMBERS = 'engines.svd_no_room', 'engines.svd_no_numbers'
NO_ROOM_IN_FULL, CANNOT_COMPUTE = 'engines.svd_no_room_in_full', 'engines.svd_cannot_compute'

#: what libraries raise when device, driver and they do not fit each other
FAULTS = (RuntimeError, MemoryError, OSError, ValueError, TypeError, AttributeError)


def load_tested(load: Callable[[bool], 'Sampler'],
                model: ModelOptions) -> 'tuple[Sampler | None, Text | None]':
    """
    Load the model and test it; where half precision gives no numbers, as on the GTX 16 series, another way to choose
    convolutions is tried, and then full precision.

    :param load: gives the model on the device, at full precision or as is usual there
    :type load: Callable[[bool], Sampler]
    :param model: the options of a clip
    :type model: ModelOptions
    :return: the model, or None and why it cannot be used
    :rtype: tuple[Sampler | None, Text | None]
    """
    import torch
    sampler = load(False)
    device, reason = sampler.device, find_fault(sampler, model)
    if reason and reason.key == NO_NUMBERS:
        logger.warning('The model gives no numbers; trying cudnn.benchmark')
        torch.backends.cudnn.benchmark = True
        reason = find_fault(sampler, model)
    if reason and reason.key == NO_NUMBERS:
        logger.warning('The model gives no numbers; trying full precision, which is slower')
        torch.backends.cudnn.benchmark = False
        del sampler
        release(device)
        sampler = load(True)
        reason = find_fault(sampler, model)
        if reason and reason.key == NO_ROOM:
            reason = text(NO_ROOM_IN_FULL, device = device)
    if reason is None:
        return sampler, None
    del sampler
    release(device)
    return None, reason


def release(device: str) -> None:
    """
    Give the memory of a model back that nobody uses any more.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    """
    # parts of a pipeline point at each other
    gc.collect()
    # a device that computes nothing any more gives nothing back either
    with contextlib.suppress(RuntimeError):
        devices.release(device)


def find_fault(sampler: 'Sampler', model: ModelOptions) -> Text | None:
    """
    What is wrong with a device. While its memory does not suffice, the model goes down the ladder.

    :param sampler: the model on the device
    :type sampler: Sampler
    :param model: the options of a clip
    :type model: ModelOptions
    :return: the reason, or None when it computes
    :rtype: Text | None
    """
    while True:
        found = _rehearse(sampler, model)
        if found is None or found.key == NO_NUMBERS:
            sampler.restore()
        if found is None or found.key != NO_ROOM:
            return found
        # only here, after the exception and the tensors it held are gone
        sampler.restore()
        devices.release(sampler.device)
        lower = ladder.below(sampler.device, sampler.rung)
        if lower is None:
            return found
        logger.warning('Going on with Memory = %s', lower.name)
        sampler.take(lower)


def _rehearse(sampler: 'Sampler', model: ModelOptions) -> Text | None:
    import torch
    try:
        with torch.no_grad():
            is_sound = sampler.is_sound(_make_noise(model), model)
    except FAULTS as error:
        # the error itself would keep its tensors in whatever keeps the record
        logger.warning('The self-test failed: %s: %s', type(error).__name__, str(error))
        if devices.is_out_of_memory(error, torch):
            return text(NO_ROOM, device = sampler.device)
        return text(CANNOT_COMPUTE, device = sampler.device, error = first_line(error))
    return None if is_sound else text(NO_NUMBERS, device = sampler.device)


def _make_noise(model: ModelOptions) -> Image.Image:
    """A landscape in which everything happens: what is even may come out even by chance."""
    height, width = sorted((model.image_prompt_width, model.image_prompt_height))
    values = numpy.random.default_rng(0).integers(0, 256, (height, width, 3), numpy.uint8)
    return Image.fromarray(values)
