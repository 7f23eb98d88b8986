#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The self-test: whether a device that is there can compute a model. It finds a PyTorch without code for a GPU, a driver
that is too old, or a GPU without usable half precision, before any job waits for them.

Libraries: torch, imported when the engine loads.
"""

import contextlib
import gc
import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

from modules.engines.common import first_line
from modules.engines.diffusion import devices, faults
from modules.engines.diffusion.ladder import Rung
from modules.i18n import Text, text

logger = logging.getLogger(__name__)

#: what may be found, in the locale files
TOO_LARGE, NO_NUMBERS = 'engines.device_too_small', 'engines.device_gives_no_numbers'
TOO_LARGE_IN_FULL = 'engines.device_too_small_in_full'
CANNOT_COMPUTE = 'engines.device_cannot_compute'

#: what libraries raise when device, driver and they do not fit each other
FAULTS = (RuntimeError, MemoryError, OSError, ValueError, TypeError, AttributeError)


class Testable(Protocol):
    """A model on its device."""

    #: ``cuda:N``, ``mps`` or ``cpu``
    device: str

    @property
    def rung(self) -> Rung:
        """The way memory is used."""
        ...

    def gives_numbers(self) -> bool:
        """
        Make the shortest clip that needs as much memory as any.

        :return: whether all that came out are finite numbers
        :rtype: bool
        """
        ...

    def find_lower_rung(self) -> Rung | None:
        """
        Find the next rung down.

        :return: the rung; None after the last
        :rtype: Rung | None
        """
        ...

    def take(self, rung: Rung) -> None:
        """
        Go to another rung.

        :param rung: the way memory is to be used
        :type rung: Rung
        """

    def restore(self) -> None:
        """Put all in order after a clip that was cut short."""


Model = TypeVar('Model', bound = Testable)


def load_tested(load: Callable[[bool], Model]) -> tuple[Model | None, Text | None]:
    """
    Load the model and test it; where half precision gives no numbers, as on the GTX 16 series, another way to choose
    convolutions is tried, and then full precision.

    :param load: gives the model on the device, at full precision or as is usual there
    :type load: Callable[[bool], Model]
    :return: the model, or None and why it cannot be used
    :rtype: tuple[Model | None, Text | None]
    """
    import torch
    model = load(False)
    device, reason = model.device, find_fault(model)
    # The setting is one for the whole process, and torch has no other; a model that needs it for one GPU makes the
    # others try which convolution is fastest, which costs them a moment for each new shape.
    is_benchmarking = torch.backends.cudnn.benchmark
    if reason and reason.key == NO_NUMBERS:
        logger.warning('The model gives no numbers; trying cudnn.benchmark')
        torch.backends.cudnn.benchmark = True
        reason = find_fault(model)
    if reason and reason.key == NO_NUMBERS:
        logger.warning('The model gives no numbers; trying full precision, which is slower')
        # another GPU may need it
        torch.backends.cudnn.benchmark = is_benchmarking
        del model
        release(device)
        model = load(True)
        reason = find_fault(model)
        if reason and reason.key == TOO_LARGE:
            reason = text(TOO_LARGE_IN_FULL, device = device)
    if reason is None:
        return model, None
    del model
    release(device)
    return None, reason


def release(device: str) -> None:
    """
    Free the memory of a model that nothing refers to any more.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    """
    # parts of a pipeline refer to each other
    gc.collect()
    # a device that has failed raises here
    with contextlib.suppress(RuntimeError):
        devices.empty_cache(device)


def find_fault(model: Testable) -> Text | None:
    """
    Find out what is wrong with a device. While its memory does not suffice, the model goes down the ladder.

    :param model: the model on the device
    :type model: Testable
    :return: the reason, or None when it computes
    :rtype: Text | None
    """
    while True:
        found = _test(model)
        if found is None or found.key == NO_NUMBERS:
            model.restore()
        if found is None or found.key != TOO_LARGE:
            return found
        # only here, after the exception and the tensors it held are gone
        model.restore()
        devices.empty_cache(model.device)
        lower = model.find_lower_rung()
        if lower is None:
            return found
        logger.warning('Going on with Memory = %s', lower.name)
        model.take(lower)


def _test(model: Testable) -> Text | None:
    import torch
    try:
        with torch.no_grad():
            has_numbers = model.gives_numbers()
    except FAULTS as error:
        # the exception itself would keep its tensors alive in whatever keeps the log record
        logger.warning('The self-test failed: %s: %s', type(error).__name__, str(error))
        if faults.is_out_of_memory(error):
            return text(TOO_LARGE, device = model.device)
        return text(CANNOT_COMPUTE, device = model.device, error = first_line(error))
    return None if has_numbers else text(NO_NUMBERS, device = model.device)
