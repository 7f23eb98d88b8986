#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a checkpoint needs on the device that computes, against the memory there is: which rung fits, and whether any does.

Libraries: none; torch, where it is imported.
"""

from pathlib import Path

from modules import weights
from modules.configuration import ModelOptions
from modules.engines.contract import MemoryUse
from modules.engines.diffusion import devices, ladder
from modules.engines.diffusion.ladder import Rung
from modules.engines.stable_video import memory, presets
from modules.engines.stable_video.files import VIDEO
from modules.engines.stable_video.memory import Needs
from modules.engines.stable_video.pipeline import Source
from modules.engines.stable_video.sampler import Sampler
from modules.i18n import Text, text
from modules.install import installed_torch, unseen_gpu

#: weights up to this many bytes make clips on a CPU in a bearable time
SMALL = 1 * memory.GIB


class MemoryBudget:
    """
    Knows the device, as far as that is known.

    :param model: the options
    :type model: ModelOptions
    """

    def __init__(self, model: ModelOptions):
        self._model = model
        self._usual = presets.apply(model.preset, model).model
        #: ``cuda:N``, ``mps`` or ``cpu``; before loading, the kind that is expected
        self.device = devices.guess_kind(model.device)
        #: bytes of the GPU, once they are known
        self.gpu_bytes: int | None = None
        #: whether a GPU computes at full precision, for lack of usable half precision
        self.is_full = False
        self._has_fitted = False

    def use_device(self, device: str, gpu_bytes: int | None) -> None:
        """
        Go by the device that was found.

        :param device: ``cuda:N``, ``mps`` or ``cpu``
        :type device: str
        :param gpu_bytes: its memory; None for a device that uses the machine's own
        :type gpu_bytes: int | None
        """
        self.device, self.gpu_bytes, self._has_fitted = device, gpu_bytes, False

    @property
    def is_half(self) -> bool:
        """Whether it is computed at half precision."""
        return self.device != 'cpu' and not self.is_full

    def find_source(self, folder: Path) -> Source:
        """
        Say what is read. What computes at full precision takes the plain files where there are both.

        :param folder: a whole model
        :type folder: Path
        :return: what is read
        :rtype: Source
        """
        return Source(folder,
                      weights.variants(folder, VIDEO)[0 if self.is_half else -1], self.is_half)

    def read_needs(self, folder: Path, model: ModelOptions | None = None) -> Needs:
        """
        Work out what a clip needs on the device.

        :param folder: a whole model
        :type folder: Path
        :param model: the options of a clip; None for those that are set
        :type model: ModelOptions | None
        :return: the bytes
        :rtype: Needs
        """
        variant, width = self.find_source(folder).variant, 2 if self.is_half else 4
        needs = memory.read_needs(folder, variant, model or self._usual, width = width)
        return memory.adjust(needs, self.device, self.is_half)

    def choose_rung(self, folder: Path) -> Rung:
        """
        Choose the rung that is set, or the fastest that fits what is free now.

        :param folder: a whole model
        :type folder: Path
        :return: the rung
        :rtype: Rung
        """
        if self._model.memory != 'auto':
            return ladder.named(self.device, self._model.memory)
        needs = self.read_needs(folder)
        # on a GPU nothing is placed yet; elsewhere the weights already are where they will be used
        placed = 0 if self.device.startswith('cuda') else needs.weights
        return memory.choose_rung(self.device, needs,
                                  devices.read_usable_memory(self.device, placed))

    def predict_use(self, folder: Path, sampler: Sampler | None) -> MemoryUse | None:
        """
        Predict how memory is used.

        :param folder: a whole model
        :type folder: Path
        :param sampler: what makes clips; None before loading
        :type sampler: Sampler | None
        :return: the prediction; None where nothing is known about a GPU yet
        :rtype: MemoryUse | None
        """
        needs, model = self.read_needs(folder), self._usual
        if sampler is not None:
            rung, chunk = sampler.rung, sampler.choose_chunk(model)
            return MemoryUse(rung.name, memory.predict_peak(rung, needs, chunk))
        available = self._expect_memory(needs)
        if available is None:
            return None
        is_set = model.memory != 'auto'
        rung = ladder.named(self.device, model.memory) if is_set else memory.choose_rung(
            self.device, needs, available)
        chunk = model.decode_chunk_size or memory.choose_chunk(rung, needs, model.output_frames,
                                                               available)
        return MemoryUse(rung.name, memory.predict_peak(rung, needs, chunk))

    def _expect_memory(self, needs: Needs) -> int | None:
        """Count what weights and clips will be able to use; of a GPU only torch knows, where it is imported."""
        if self.device.startswith('cuda'):
            torch = installed_torch.find_imported()
            device = devices.find_device(self._model.device, torch) if torch else None
            return devices.read_free_memory(device, torch) if device else None
        return needs.weights + (devices.read_free_memory('cpu') - needs.weights) // 2

    def explain_refusal(self, folder: Path) -> Text | None:
        """
        Explain why a checkpoint is not used on the device.

        :param folder: a whole model
        :type folder: Path
        :return: the reason; None where it is used
        :rtype: Text | None
        """
        return self._explain_slow(folder) or self._explain_large(folder)

    def _explain_slow(self, folder: Path) -> Text | None:
        """Left to itself, the program does not take an hour for a clip; its owner may want that."""
        if self.device != 'cpu' or self._model.engine == 'svd':
            return None
        if memory.count_file_bytes(folder, self.find_source(folder).variant) <= SMALL:
            return None
        reason = unseen_gpu.explain(self._model.device)
        if reason:
            return text('engines.gpu_not_seen', reason = reason, engine = 'svd')
        return text('engines.slow_processor', engine = 'svd')

    def _explain_large(self, folder: Path) -> Text | None:
        """Checked until it fits once: what loading and running take must not count against the next request."""
        if self._has_fitted:
            return None
        needed = memory.predict_peak(ladder.rungs(self.device)[-1], self.read_needs(folder))
        available = devices.read_free_memory('cpu')
        if self.device.startswith('cuda'):
            needed += memory.OVERHEAD
            available = needed if self.gpu_bytes is None else self.gpu_bytes
        self._has_fitted = needed <= available
        if self._has_fitted:
            return None
        gigabytes = {'needed': f'{needed / 1e9:.1f}', 'there': f'{available / 1e9:.1f}'}
        return text('engines.no_memory', **gigabytes)
