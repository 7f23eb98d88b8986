#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Loading, on the worker: find the device, read the weights, test whether they compute.

Libraries: torch and diffusers, imported here first.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from modules.engines.common import first_line
from modules.engines.diffusion import devices, selftest
from modules.engines.diffusion.libraries import hide_needless_warnings
from modules.engines.diffusion.selftest import Testable
from modules.i18n import Text, text

logger = logging.getLogger(__name__)

#: what libraries raise when files, they and each other do not fit
FAULTS = (*selftest.FAULTS, ImportError, KeyError, NameError)

Model = TypeVar('Model', bound = Testable)


class LoadingError(Exception):
    """
    Loading failed, for good or until the program is started again.

    :param reason: why
    :type reason: Text | None
    """

    def __init__(self, reason: Text | None):
        super().__init__(reason)
        self.reason = reason


def find_device(option: str, pipeline: str) -> tuple[str, int | None]:
    """
    Import torch and ask it for the device.

    :param option: the option ``Device``
    :type option: str
    :param pipeline: the class of diffusers that is needed
    :type pipeline: str
    :return: ``cuda:N``, ``mps`` or ``cpu``, and the bytes of a GPU
    :rtype: tuple[str, int | None]
    :raises LoadingError: when torch or the device does not work
    """
    hide_needless_warnings()
    try:
        import diffusers
        import torch
        getattr(diffusers, pipeline)
    except devices.IMPORT_ERRORS as error:
        logger.exception('torch or diffusers cannot be imported')
        raise LoadingError(text('engines.torch_broken', error = first_line(error))) from error
    device = devices.find_device(option, torch)
    if device is None:
        raise LoadingError(text('engines.no_device', device = option))
    logger.info('The device is %s', device)
    try:
        devices.prepare_memory(device, torch)
        return device, devices.read_total_memory(device, torch)
    except RuntimeError as error:
        logger.exception('%s does not answer', device)
        reason = text(selftest.CANNOT_COMPUTE, device = device, error = first_line(error))
        raise LoadingError(reason) from error


def load_model(load: Callable[[Path, bool], Model], folder: Path, is_tested: bool) -> Model:
    """
    Load a checkpoint.

    :param load: folder, whether at full precision on any device → what makes clips
    :type load: Callable[[Path, bool], Model]
    :param folder: a whole model
    :type folder: Path
    :param is_tested: whether the device's faults are looked for
    :type is_tested: bool
    :return: what makes clips
    :rtype: Model
    :raises LoadingError: when the files or the device are of no use
    """
    model: Model | None = None
    try:
        if is_tested:
            model, reason = selftest.load_tested(lambda is_full: load(folder, is_full))
        else:
            model, reason = load(folder, False), None
    except FAULTS as error:
        logger.exception('%s cannot be loaded', folder)
        reason = text('engines.cannot_load', folder = folder, error = first_line(error))
    if model is None or reason is not None:
        # only here, after the exception and what it held are gone
        raise LoadingError(reason)
    return model
