#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The memory of the device that computes, as far as it is known, and whether a checkpoint is used on it.

Libraries: none; torch, where it is imported.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from modules import choices
from modules.configuration import ModelOptions
from modules.engines.diffusion import devices, ladder
from modules.engines.diffusion.ladder import Rung
from modules.i18n import Text, text
from modules.install import installed_torch, unseen_gpu

GIB = 2**30

#: weights up to this many bytes make clips on a CPU in a bearable time
SMALL = 1 * GIB

#: what context and workspaces take besides, with the smallest gaps between tensors
OVERHEAD = 1 * GIB


class HasWeights(Protocol):
    """What a clip needs of a checkpoint."""

    @property
    def weights(self) -> int:
        """Bytes of all parts that make a clip."""
        ...


Needs = TypeVar('Needs', bound = HasWeights)


class KnownDevice:
    """
    The device that computes, as far as it is known.

    :param model: the options
    :type model: ModelOptions
    """

    def __init__(self, model: ModelOptions):
        self.model = model
        #: ``cuda:N``, ``mps`` or ``cpu``; before loading, the kind that is expected
        self.device = devices.guess_kind(model.device)
        #: bytes of the GPU, once they are known
        self.gpu_bytes: int | None = None
        #: whether a GPU computes at full precision, for lack of usable half precision
        self.is_full = False

    def use_device(self, device: str, gpu_bytes: int | None) -> None:
        """
        Go by the device that was found.

        :param device: ``cuda:N``, ``mps`` or ``cpu``
        :type device: str
        :param gpu_bytes: its memory; None for a device that uses the machine's own
        :type gpu_bytes: int | None
        """
        self.device, self.gpu_bytes = device, gpu_bytes

    @property
    def is_half(self) -> bool:
        """Whether it is computed at half precision."""
        return self.device != 'cpu' and not self.is_full

    def find_gpu_bytes(self) -> int | None:
        """
        Count the bytes of the GPU; only torch knows, where it is imported.

        :return: bytes; None for other devices, and where nothing is known yet
        :rtype: int | None
        """
        if self.gpu_bytes is None and self.device.startswith('cuda'):
            torch = installed_torch.find_imported()
            device = devices.find_device(self.model.device, torch) if torch else None
            return devices.read_total_memory(device, torch) if torch and device else None
        return self.gpu_bytes

    def expect_memory(self, weights: int) -> int | None:
        """
        Count what weights and clips will be able to use; of a GPU only torch knows, where it is imported.

        :param weights: bytes of the weights
        :type weights: int
        :return: bytes; None where nothing is known about a GPU yet
        :rtype: int | None
        """
        if self.device.startswith('cuda'):
            torch = installed_torch.find_imported()
            device = devices.find_device(self.model.device, torch) if torch else None
            return devices.read_free_memory(device, torch) if device else None
        return weights + (devices.read_free_memory('cpu') - weights) // 2


class DeviceBudget(KnownDevice, Generic[Needs]):
    """
    Knows whether a checkpoint fits the device. A family of models says what a checkpoint of it needs.

    :param model: the options
    :type model: ModelOptions
    :param engine: the engine's name
    :type engine: str
    """

    #: what is said where memory suffices for no clip, in the locale files
    no_memory = 'engines.no_memory'
    #: the rungs that change anything for the family
    rungs: Collection[str] = choices.RUNGS

    def __init__(self, model: ModelOptions, engine: str):
        super().__init__(model)
        self.engine = engine
        self._has_fitted = False

    def use_device(self, device: str, gpu_bytes: int | None) -> None:
        super().use_device(device, gpu_bytes)
        self._has_fitted = False

    def read_needs(self, folder: Path) -> Needs:
        """
        Work out what a usual clip needs on the device.

        :param folder: a whole model
        :type folder: Path
        :return: the bytes
        :rtype: Needs
        """
        raise NotImplementedError

    def choose_fitting(self, needs: Needs, available: int) -> Rung:
        """
        Choose the fastest rung that fits.

        :param needs: what a clip needs
        :type needs: Needs
        :param available: bytes that weights and clip may use
        :type available: int
        :return: the rung
        :rtype: Rung
        """
        raise NotImplementedError

    def choose_rung(self, folder: Path) -> Rung:
        """
        Choose the rung that is set, or the fastest that fits what is free now.

        :param folder: a whole model
        :type folder: Path
        :return: the rung
        :rtype: Rung
        """
        if rung := self.find_set_rung():
            return rung
        needs = self.read_needs(folder)
        # on a GPU nothing is placed yet; elsewhere the weights already are where they will be used
        placed = 0 if self.device.startswith('cuda') else needs.weights
        return self.choose_fitting(needs, devices.read_usable_memory(self.device, placed))

    def find_set_rung(self) -> Rung | None:
        """
        Find the rung that is set.

        :return: the rung; None where the program chooses
        :rtype: Rung | None
        """
        name = self.model.memory
        return None if name == 'auto' else ladder.named(self.device, name, self.rungs)

    def count_file_bytes(self, folder: Path) -> int:
        """
        Count the bytes of the files that are loaded.

        :param folder: a whole model
        :type folder: Path
        :return: bytes
        :rtype: int
        """
        raise NotImplementedError

    def predict_least(self, folder: Path) -> int:
        """
        Predict what a clip holds on the device on the most frugal rung.

        :param folder: a whole model
        :type folder: Path
        :return: bytes
        :rtype: int
        """
        raise NotImplementedError

    def explain_slow(self, _folder: Path) -> Text | None:
        """
        Explain why clips take so long that the program, left to itself, takes another engine: weights move for every
        step, or the device is no GPU of its own.

        :param _folder: a whole model
        :type _folder: Path
        :return: the reason; None where they do not, where the owner has named this engine, and before anything is known
        :rtype: Text | None
        """
        return None

    def explain_refusal(self, folder: Path) -> Text | None:
        """
        Explain why a checkpoint is not used on the device.

        :param folder: a whole model
        :type folder: Path
        :return: the reason; None where it is used
        :rtype: Text | None
        """
        # left to itself, the program does not take an hour for a clip; its owner may want that
        is_large = self.count_file_bytes(folder) > SMALL
        return (self.explain_processor() if is_large else None) or self._explain_large(folder)

    def explain_processor(self) -> Text | None:
        """
        Explain why a large model is not used on a CPU.

        :return: the reason; None for other devices, and where the owner has named the engine
        :rtype: Text | None
        """
        if self.device != 'cpu' or self.model.engine == self.engine:
            return None
        reason = unseen_gpu.explain(self.model.device)
        if reason:
            return text('engines.gpu_not_seen', reason = reason, engine = self.engine)
        return text('engines.slow_processor', engine = self.engine)

    def _explain_large(self, folder: Path) -> Text | None:
        """Checked until it fits once: what loading and running take must not count against the next request."""
        if self._has_fitted:
            return None
        needed = self.predict_least(folder)
        available = devices.read_free_memory('cpu')
        if self.device.startswith('cuda'):
            needed += OVERHEAD
            available = needed if self.gpu_bytes is None else self.gpu_bytes
        self._has_fitted = needed <= available
        if self._has_fitted:
            return None
        gigabytes = {'needed': f'{needed / 1e9:.1f}', 'there': f'{available / 1e9:.1f}'}
        return text(self.no_memory, **gigabytes)
