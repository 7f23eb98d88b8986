#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Making a clip, again and again one rung further down the memory ladder while memory does not suffice.

Libraries: torch, imported when the engine loads; numpy and Pillow for types alone.
"""

import logging
from typing import TYPE_CHECKING

from modules import errors
from modules.engines.common import first_line
from modules.engines.diffusion import devices, faults, ladder
from modules.engines.diffusion.decoding import ClipControl
from modules.engines.stable_video.presets import Applied
from modules.engines.stable_video.sampler import Sampler
from modules.i18n import text
from modules.progress import Progress

if TYPE_CHECKING:
    import numpy
    from PIL import Image

    from modules.request import AnimationRequest

logger = logging.getLogger(__name__)


class DeviceError(Exception):
    """The device computes nothing any more in this process; the message is the device's own, in one line."""


def make_clip(sampler: Sampler, image: 'Image.Image', request: 'AnimationRequest', applied: Applied,
              control: ClipControl) -> 'numpy.ndarray':
    """
    Make a clip. Where memory does not suffice, it is begun again on the next rung, for good, with a note.

    :param sampler: makes frames
    :type sampler: Sampler
    :param image: RGB, of the model's size
    :type image: Image.Image
    :param request: what is wanted
    :type request: AnimationRequest
    :param applied: what is given up for speed, and the options
    :type applied: Applied
    :param control: called after every step and every chunk of frames
    :type control: ClipControl
    :return: uint8 [T, H, W, 3]
    :rtype: numpy.ndarray
    :raises modules.errors.Cancelled: when the job is no longer wanted
    :raises modules.errors.OutOfMemory: when memory does not suffice on the last rung
    :raises DeviceError: when the device fails
    """
    while True:
        made = _try(sampler, image, request, applied, control)
        if not isinstance(made, Exception):
            return made
        if isinstance(made, DeviceError):
            # there is nothing to put in order on a device that computes nothing any more
            raise made
        # only here, after the exception and the tensors it held are gone
        sampler.restore()
        devices.empty_cache(sampler.device)
        if isinstance(made, errors.Cancelled):
            raise made
        lower = ladder.below(sampler.device, sampler.rung)
        if lower is None:
            raise made
        logger.warning('Going on with Memory = %s', lower.name)
        sampler.take(lower)
        note = text('engines.memory_stepped_down', rung = lower.name)
        control.report(Progress('loading', note = note))


def _try(sampler: Sampler, image: 'Image.Image', request: 'AnimationRequest', applied: Applied,
         control: ClipControl) -> 'numpy.ndarray | Exception':
    """Make the frames, or the exception to raise once the one that was raised, and the tensors it holds, are gone."""
    import torch
    try:
        with torch.no_grad():
            return sampler.make(image, request, applied, control)
    except errors.Cancelled:
        return errors.Cancelled()
    except (MemoryError, RuntimeError) as error:
        is_memory = faults.is_out_of_memory(error)
        if not is_memory and not faults.has_failed(sampler.device, error):
            raise
        # the exception itself would keep its tensors alive in whatever keeps the log record
        if is_memory:
            logger.warning('Out of memory: %s', str(error))
            return errors.OutOfMemory()
        logger.error('The device has failed: %s', str(error))
        return DeviceError(first_line(error))
