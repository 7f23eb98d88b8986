#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Where the models of a pipeline have their weights, as a rung of the ladder says.

Libraries: torch, diffusers and accelerate, through what is handed in and imported when the engine loads.
"""

from typing import TYPE_CHECKING

from modules.engines.diffusion import copying
from modules.engines.diffusion.ladder import Rung
from modules.engines.diffusion.streaming import LayerStreamer

if TYPE_CHECKING:
    import torch
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline


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
