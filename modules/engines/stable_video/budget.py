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
from modules.engines.diffusion import checkpoints, ladder
from modules.engines.diffusion.budget import DeviceBudget
from modules.engines.diffusion.ladder import Rung
from modules.engines.stable_video import memory, presets
from modules.engines.stable_video.files import VIDEO
from modules.engines.stable_video.memory import Needs
from modules.engines.stable_video.pipeline import Source
from modules.engines.stable_video.sampler import Sampler


class MemoryBudget(DeviceBudget[Needs]):
    """
    Knows the device, as far as that is known.

    :param model: the options
    :type model: ModelOptions
    """

    def __init__(self, model: ModelOptions):
        super().__init__(model, 'svd')
        self._usual = presets.apply(model.preset, model).model

    def find_source(self, folder: Path) -> Source:
        """
        Say what is read. What computes at full precision takes the plain files where there are both.

        :param folder: a whole model
        :type folder: Path
        :return: what is read
        :rtype: Source
        :raises FileNotFoundError: when the model is no longer there
        """
        variants = weights.variants(folder, VIDEO)
        if not variants:
            raise FileNotFoundError(folder)
        return Source(folder, variants[0 if self.is_half else -1], self.is_half)

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

    def choose_fitting(self, needs: Needs, available: int) -> Rung:
        return memory.choose_rung(self.device, needs, available)

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
        available = self.expect_memory(needs.weights)
        if available is None:
            return None
        rung = self.find_set_rung() or self.choose_fitting(needs, available)
        chunk = model.decode_chunk_size or memory.choose_chunk(rung, needs, model.output_frames,
                                                               available)
        return MemoryUse(rung.name, memory.predict_peak(rung, needs, chunk))

    def count_file_bytes(self, folder: Path) -> int:
        return checkpoints.count_file_bytes(folder, self.find_source(folder).variant)

    def predict_least(self, folder: Path) -> int:
        return memory.predict_peak(ladder.rungs(self.device)[-1], self.read_needs(folder))
