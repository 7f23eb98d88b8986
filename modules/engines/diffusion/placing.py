#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Where the models of a pipeline have their weights, as a rung of the ladder says. Used by one thread at a time.

Libraries: torch, diffusers and accelerate, through what is handed in and imported when the engine loads.
"""

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from modules import choices
from modules.engines.diffusion import copying, devices, faults, ladder
from modules.engines.diffusion.ladder import Rung
from modules.engines.diffusion.streaming import LayerStreamer

if TYPE_CHECKING:
    import torch
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline

logger = logging.getLogger(__name__)


class PlacedPipeline:
    """
    A pipeline on its rung of the memory ladder. What makes it one of a family of models, the family's own class adds.

    :param pipe: the pipeline, in main memory
    :type pipe: Any
    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param streamed: its models whose layers come one by one where the rung says so
    :type streamed: list[torch.nn.Module]
    """

    #: the rungs that change anything for the family
    rungs: Collection[str] = choices.RUNGS
    #: the way memory is used
    rung: Rung

    def __init__(self, pipe: Any, device: str, streamed: 'list[torch.nn.Module]'):
        self.pipe = pipe
        self.device = device
        self._streamed = streamed
        self._streamer: LayerStreamer | None = None
        self._placement: tuple[bool, bool] | None = None

    def place(self, rung: Rung) -> None:
        """
        Go to a rung, or further down where memory does not even suffice for the weights.

        :param rung: the way memory is to be used
        :type rung: Rung
        """
        self.rung = rung
        while not self._try():
            # only here, after the exception and what it held are gone
            self.pipe.to('cpu')
            devices.empty_cache(self.device)
            self.rung = self.find_lower_rung() or self.rung
            logger.warning('Going on with Memory = %s', self.rung.name)

    def _try(self) -> bool:
        """Go to the rung; False when memory does not suffice for the weights, and may further down."""
        try:
            self.take(self.rung)
            return True
        except (MemoryError, RuntimeError) as error:
            if self.find_lower_rung() is None or not faults.is_out_of_memory(error):
                raise
            logger.warning('Out of memory: %s', str(error))
            return False

    def find_lower_rung(self) -> Rung | None:
        """
        Find the next rung down.

        :return: the rung; None after the last
        :rtype: Rung | None
        """
        return ladder.below(self.device, self.rung, self.rungs)

    def take(self, rung: Rung) -> None:
        """
        Go to a rung; only downwards once clips were made.

        :param rung: the way memory is to be used
        :type rung: Rung
        """
        placement = rung.is_offloaded, rung.is_streamed
        if placement != self._placement:
            self._streamer = place(self.pipe, self._streamed, self.device, rung)
        # only now: where memory does not suffice for the weights, they are still to be placed
        self._placement, self.rung = placement, rung

    def restore(self) -> None:
        """Put all in order after a clip, also one that was cut short."""
        self.pipe.maybe_free_model_hooks()
        if self._streamer:
            self._streamer.release()


def place(pipe: 'DiffusionPipeline', streamed: 'list[torch.nn.Module]', device: str,
          rung: Rung) -> LayerStreamer | None:
    """
    Move the pipeline to where it computes: for good, each model while it computes, or each layer.

    :param pipe: the pipeline
    :type pipe: DiffusionPipeline
    :param streamed: its models whose layers come one by one where the rung says so
    :type streamed: list[torch.nn.Module]
    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param rung: the way memory is used
    :type rung: Rung
    :return: what brings the layers' weights; None where no layer moves
    :rtype: LayerStreamer | None
    """
    if rung.is_streamed:
        pipe.remove_all_hooks()
        for model in streamed:
            model.to('cpu')
            compute_on(model, device)
        return LayerStreamer(streamed, device, copying.choose_copier(device))
    if rung.is_offloaded:
        pipe.enable_model_cpu_offload(device = device)
    else:
        pipe.to(device)
    return None


def compute_on(model: 'torch.nn.Module', device: str) -> None:
    """
    Let diffusers make a model's inputs where it computes, which is not where its weights are.

    :param model: the model
    :type model: torch.nn.Module
    :param device: where it computes
    :type device: str
    """
    import torch
    from accelerate.hooks import ModelHook, add_hook_to_module
    hook = ModelHook()
    hook.execution_device = torch.device(device)
    add_hook_to_module(model, hook)
