#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Making a clip, again and again one rung further down the memory ladder while memory does not suffice.

Libraries: torch, imported when the engine loads; numpy for types alone.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from modules import errors
from modules.engines.common import first_line
from modules.engines.diffusion import faults, selftest
from modules.engines.diffusion.selftest import Testable
from modules.i18n import text
from modules.progress import OnProgress, Progress

if TYPE_CHECKING:
    import numpy

logger = logging.getLogger(__name__)


class DeviceError(Exception):
    """The device computes nothing any more in this process; the message is the device's own, in one line."""


def make_clip(model: Testable, compute: 'Callable[[], numpy.ndarray]',
              report: OnProgress) -> 'numpy.ndarray':
    """
    Make a clip. Where memory does not suffice, it is begun again on the next rung, for good, with a note.

    :param model: the model on its device
    :type model: Testable
    :param compute: makes the frames with it
    :type compute: Callable[[], numpy.ndarray]
    :param report: takes the note
    :type report: OnProgress
    :return: uint8 [T, H, W, 3]
    :rtype: numpy.ndarray
    :raises modules.errors.Cancelled: when the job is no longer wanted
    :raises modules.errors.OutOfMemory: when memory does not suffice on the last rung
    :raises DeviceError: when the device fails
    """
    while True:
        made = _try(model.device, compute)
        if not isinstance(made, Exception):
            return made
        if isinstance(made, DeviceError):
            # there is nothing to put in order on a device that computes nothing any more
            raise made
        # only here, after the exception and the tensors it held are gone
        model.restore()
        selftest.release(model.device)
        if isinstance(made, errors.Cancelled):
            raise made
        lower = model.find_lower_rung()
        if lower is None:
            raise made
        logger.warning('Going on with Memory = %s', lower.name)
        model.take(lower)
        note = text('engines.memory_stepped_down', rung = lower.name)
        report(Progress('loading', note = note))


def _try(device: str, compute: 'Callable[[], numpy.ndarray]') -> 'numpy.ndarray | Exception':
    """Make the frames, or the exception to raise once the one that was raised, and the tensors it holds, are gone."""
    import torch
    try:
        with torch.no_grad():
            return compute()
    except errors.Cancelled:
        return errors.Cancelled()
    except (MemoryError, RuntimeError) as error:
        is_memory = faults.is_out_of_memory(error)
        if not is_memory and not faults.has_failed(device, error):
            raise
        # the exception itself would keep its tensors alive in whatever keeps the log record
        if is_memory:
            logger.warning('Out of memory: %s', str(error))
            return errors.OutOfMemory()
        logger.error('The device has failed: %s', str(error))
        return DeviceError(first_line(error))
