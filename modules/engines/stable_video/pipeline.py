#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The pipeline: loading it from a folder, placing it on a device, putting it in order after a clip.

Libraries: torch, diffusers, transformers, safetensors, accelerate, all imported when the engine loads.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from modules.engines.diffusion import lanes, toolchain
from modules.engines.diffusion.ladder import Rung
from modules.engines.diffusion.loading import loading
from modules.engines.diffusion.streaming import Streaming, compute_on

if TYPE_CHECKING:
    import torch
    from diffusers import StableVideoDiffusionPipeline

logger = logging.getLogger(__name__)


def load(folder: Path,
         variant: str | None,
         device: str,
         *,
         is_full: bool = False) -> 'StableVideoDiffusionPipeline':
    """
    Read a checkpoint into memory, asking nobody on the network: at half precision for a GPU, at full precision
    for a CPU, which has no fast half-precision arithmetic.

    :param folder: a whole model
    :type folder: Path
    :param variant: ``fp16`` or None, whichever files are to be read
    :type variant: str | None
    :param device: what it will compute on
    :type device: str
    :param is_full: at full precision on any device
    :type is_full: bool
    :return: the pipeline, in main memory
    :rtype: StableVideoDiffusionPipeline
    :raises OSError: when a file is missing or unreadable
    :raises ValueError: when a file says what it should not
    """
    import diffusers
    import safetensors
    import torch
    import transformers
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    dtype = torch.float32 if device == 'cpu' or is_full else torch.float16
    try:
        with loading():
            pipe = diffusers.StableVideoDiffusionPipeline.from_pretrained(
                folder, variant = variant, local_files_only = True, **{_dtype_argument(): dtype})
            pipe.image_encoder.to(dtype)
    except safetensors.SafetensorError as error:
        raise OSError(str(error)) from error
    pipe.set_progress_bar_config(disable = True)
    # numpy 2 warns about making arrays of torch's tensors, which the scheduler does of this one for each clip
    if hasattr(pipe.scheduler, 'alphas_cumprod'):
        pipe.scheduler.alphas_cumprod = pipe.scheduler.alphas_cumprod.numpy()
    return pipe


def quieten() -> None:
    """Keep warnings that mean nothing from the terminal; to be called before diffusers is imported."""
    for name in ('diffusers.models.modeling_utils', 'transformers.utils.import_utils'):
        logging.getLogger(name).addFilter(_means_something)


def _means_something(record: logging.LogRecord) -> bool:
    """
    diffusers warns of an empty list each time that its own pipeline changes the VAE's precision, transformers that
    photos are prepared without torchvision, which nothing here needs.
    """
    words = record.getMessage()
    is_empty_list = words.startswith('There are modules in') and ': []' in words
    return not is_empty_list and 'requires torchvision (not installed)' not in words


def _dtype_argument() -> str:
    """diffusers 0.40 renamed it and warns about the old name; older versions do not know the new one."""
    import diffusers
    major, minor = diffusers.__version__.split('.')[:2]
    return 'dtype' if (int(major), int(minor)) >= (0, 40) else 'torch_dtype'


def encoder(folder: Path,
            variant: str | None,
            device: str,
            *,
            is_full: bool = False) -> 'torch.nn.Module':
    """
    Read the image encoder alone.

    :param folder: a whole model
    :type folder: Path
    :param variant: ``fp16`` or None, whichever files are to be read
    :type variant: str | None
    :param device: what it will compute on
    :type device: str
    :param is_full: at full precision on any device
    :type is_full: bool
    :return: the encoder, in main memory
    :rtype: torch.nn.Module
    """
    import torch
    from transformers import CLIPVisionModelWithProjection
    with loading():
        found = CLIPVisionModelWithProjection.from_pretrained(
            folder / 'image_encoder', variant = variant, local_files_only = True)
        return found.to(torch.float32 if device == 'cpu' or is_full else torch.float16)


def place(pipe: 'StableVideoDiffusionPipeline', device: str, rung: Rung) -> Streaming | None:
    """
    Move the pipeline to where it computes: for good, each part when its turn comes, or each layer.

    :param pipe: the pipeline
    :type pipe: StableVideoDiffusionPipeline
    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param rung: the way memory is used
    :type rung: Rung
    :return: what brings the layers' weights; None where no layer moves
    :rtype: Streaming | None
    """
    if rung.is_streamed:
        return _stream(pipe, device)
    if rung.takes_turns:
        pipe.enable_model_cpu_offload(device = device)
    else:
        pipe.to(device)
    return None


def _stream(pipe: 'StableVideoDiffusionPipeline', device: str) -> Streaming:
    pipe.remove_all_hooks()
    parts = [pipe.unet.to('cpu'), pipe.vae.to('cpu')]
    for part in parts:
        compute_on(part, device)
    return Streaming(parts, device, lanes.best(device))


def can_compile(device: str) -> bool:
    """
    Tell whether ``torch.compile`` can work: on a GPU it knows, with the tools it needs for one. What is missing is
    written to the log.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :return: the answer
    :rtype: bool
    """
    if not device.startswith('cuda'):
        return False
    reason = toolchain.why_not() or toolchain.explain_card(device)
    if reason:
        toolchain.warn(reason.in_('en'))
    return reason is None


def restore(pipe: 'StableVideoDiffusionPipeline') -> None:
    """
    Put the pipeline in order after a call, whatever cut that short: it may have left the VAE at the precision it
    encodes with, and parts on the GPU whose turn is over.

    :param pipe: the pipeline
    :type pipe: StableVideoDiffusionPipeline
    """
    if pipe.vae.dtype != pipe.unet.dtype:
        pipe.vae.to(dtype = pipe.unet.dtype)
    pipe.maybe_free_model_hooks()
