#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a clip needs on the device that computes, against the memory there is.

Libraries: none; torch, where it is imported.
"""

from pathlib import Path

from modules.configuration import Configuration
from modules.engines.contract import MemoryUse
from modules.engines.diffusion import checkpoints, devices, ladder
from modules.engines.diffusion.budget import OVERHEAD, SMALL, DeviceBudget
from modules.engines.diffusion.ladder import Rung
from modules.engines.diffusion.selftest import Testable
from modules.engines.wan import memory
from modules.engines.wan.clip import PRESETS, Asked, PlannedClip, plan_clip
from modules.engines.wan.files import find_lora, find_variant
from modules.engines.wan.kinds import LARGE, Kind, read_kind
from modules.engines.wan.memory import Needs
from modules.engines.wan.options import WanOptions
from modules.engines.wan.pipeline import Source
from modules.engines.wan.texts import are_kept, choose_texts
from modules.i18n import Text, text

#: the photo whose clip has as many pixels as any
PHOTO = 16, 9


class WanBudget(DeviceBudget[Needs]):
    """
    Knows the device, as far as that is known.

    :param configuration: the options
    :type configuration: Configuration
    """

    no_memory = 'engines.wan_no_memory'
    rungs = memory.RUNGS

    def __init__(self, configuration: Configuration):
        super().__init__(configuration.model, 'wan')
        self.configuration = configuration
        self.own = configuration.find_section(WanOptions)
        #: where what is made of texts is kept
        self.home = configuration.store.models_home / 'texts'

    def find_source(self, folder: Path) -> Source:
        """
        Say what is read.

        :param folder: a whole model
        :type folder: Path
        :return: what is read
        :rtype: Source
        """
        return Source(folder, self.device, self.is_half, find_variant(folder),
                      find_lora(self.configuration) or ())

    def plan_usual(self, folder: Path) -> tuple[Kind, PlannedClip]:
        """
        Say what clips are made where a request asks for nothing else.

        :param folder: a whole model
        :type folder: Path
        :return: the checkpoint's kind, and what is made
        :rtype: tuple[Kind, PlannedClip]
        """
        kind = read_kind(folder, bool(self.own.lora)) or LARGE
        return kind, plan_clip(self.own, kind,
                               Asked(PHOTO, PRESETS[self.model.preset], self.model.seconds))

    def read_needs(self, folder: Path, clip: PlannedClip | None = None) -> Needs:
        """
        Work out what a clip needs on the device.

        :param folder: a whole model
        :type folder: Path
        :param clip: what is made; None for what usually is
        :type clip: PlannedClip | None
        :return: the bytes
        :rtype: Needs
        """
        kind, usual = self.plan_usual(folder)
        return memory.read_needs(folder, kind, clip or usual, 2 if self.is_half else 4)

    def choose_fitting(self, needs: Needs, available: int) -> Rung:
        return memory.choose_rung(self.device, needs, available - OVERHEAD)

    def is_tiled(self, folder: Path, rung: Rung, clip: PlannedClip) -> bool:
        """
        Decide whether a clip is decoded in tiles.

        :param folder: a whole model
        :type folder: Path
        :param rung: the way memory is used, the weights being placed
        :type rung: Rung
        :param clip: what is made
        :type clip: PlannedClip
        :return: what is set, or whether memory would not suffice otherwise
        :rtype: bool
        """
        if self.own.tiles is not None:
            return self.own.tiles or rung.is_single
        try:
            needs = self.read_needs(folder, clip)
        except OSError:
            # the files of what is loaded were taken away; where memory does not suffice, another rung is taken
            return rung.is_single
        placed = 0 if rung.is_offloaded else needs.weights
        available = devices.read_usable_memory(self.device, placed) - OVERHEAD
        return memory.is_tiled(rung, needs, available)

    def predict_use(self, folder: Path, sampler: Testable | None) -> MemoryUse | None:
        """
        Predict how memory is used.

        :param folder: a whole model
        :type folder: Path
        :param sampler: what makes clips; None before loading
        :type sampler: Testable | None
        :return: the prediction; None where nothing is known about a GPU yet
        :rtype: MemoryUse | None
        """
        needs = self.read_needs(folder)
        available = self.expect_memory(needs.weights)
        if available is None:
            return None
        rung = sampler.rung if sampler else self.find_set_rung() or self.choose_fitting(
            needs, available)
        if sampler and self.device.startswith('cuda') and not rung.is_offloaded:
            # the weights have taken their room already
            available += needs.weights
        is_tiled = self.own.tiles
        if is_tiled is None:
            is_tiled = memory.is_tiled(rung, needs, available - OVERHEAD)
        return MemoryUse(rung.name, memory.predict_peak(rung, needs, is_tiled))

    def explain_slow(self, folder: Path) -> Text | None:
        if self.model.engine == self.engine or self.count_file_bytes(folder) <= SMALL:
            return None
        if self.device.startswith('cuda'):
            size = self.find_gpu_bytes()
            if size is None:
                return None
            needs = self.read_needs(folder)
            is_slow = (self.find_set_rung() or self.choose_fitting(needs, size)).is_streamed
        else:
            is_slow = self.device == 'mps'
        return text('engines.slow_gpu', engine = self.engine) if is_slow else None

    def explain_refusal(self, folder: Path) -> Text | None:
        return super().explain_refusal(folder) or self._explain_main_memory(folder)

    def _explain_main_memory(self, folder: Path) -> Text | None:
        """Weights lie in main memory before they are anywhere else, and those that move stay there."""
        needed, available = self.read_needs(folder).weights, devices.read_main_memory()
        encoder = memory.count_weights(folder, 'text_encoder', 2 if self.is_half else 4)
        # what reads texts is there by itself, before the rest, and only for texts that were never seen; for
        # later ones it has to fit beside the rest, or the text is refused
        is_needed = encoder > needed and encoder > available
        if is_needed and not are_kept(self.home, folder, choose_texts(self.own)):
            needed = encoder
        if needed <= available:
            return None
        return text(
            'engines.no_main_memory',
            needed = f'{needed / 1e9:.1f}',
            there = f'{available / 1e9:.1f}')

    def count_file_bytes(self, folder: Path) -> int:
        return checkpoints.count_file_bytes(folder, find_variant(folder), 'transformer')

    def predict_least(self, folder: Path) -> int:
        last = ladder.rungs(self.device, memory.RUNGS)[-1]
        return memory.predict_peak(last, self.read_needs(folder), True)
