#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The pipeline: loading it from a folder, placing it on a device, compiling its UNet.

Libraries: torch, diffusers, transformers, safetensors, accelerate, all imported when the engine loads;
Pillow.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from modules.configuration import ModelOptions
from modules.engines import missing_libraries
from modules.engines.stable_video import devices, memory

if TYPE_CHECKING:
    from diffusers import StableVideoDiffusionPipeline

logger = logging.getLogger(__name__)


def load(folder: Path, variant: str | None, device: str) -> 'StableVideoDiffusionPipeline':
    """
    Read a checkpoint into memory, asking nobody on the network: at half precision for a GPU, at full precision
    for a CPU, which has no fast half-precision arithmetic.

    :param folder: a whole model
    :type folder: Path
    :param variant: ``fp16`` or None, whichever files are to be read
    :type variant: str | None
    :param device: what it will compute on
    :type device: str
    :return: the pipeline, in main memory
    :rtype: StableVideoDiffusionPipeline
    :raises OSError: when a file is missing or unreadable
    :raises ValueError: when a file says what it should not
    """
    import diffusers
    import safetensors
    import torch
    import transformers
    logging.getLogger('diffusers.models.modeling_utils').addFilter(_means_something)
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    dtype = torch.float32 if device == 'cpu' else torch.float16
    try:
        pipe = diffusers.StableVideoDiffusionPipeline.from_pretrained(
            folder, variant = variant, local_files_only = True, **{_dtype_argument(): dtype})
    except safetensors.SafetensorError as error:
        raise OSError(str(error)) from error
    pipe.set_progress_bar_config(disable = True)
    # numpy 2 warns about making arrays of torch's tensors, which the scheduler does of this one for each clip
    pipe.scheduler.alphas_cumprod = pipe.scheduler.alphas_cumprod.numpy()
    return pipe


def _means_something(record: logging.LogRecord) -> bool:
    """diffusers warns of an empty list each time that its own pipeline changes the VAE's precision."""
    return not record.getMessage().startswith(
        'There are modules in') or ': []' not in record.getMessage()


def _dtype_argument() -> str:
    """diffusers 0.40 renamed it and warns about the old name; older versions do not know the new one."""
    import diffusers
    major, minor = diffusers.__version__.split('.')[:2]
    return 'dtype' if (int(major), int(minor)) >= (0, 40) else 'torch_dtype'


def place(pipe: 'StableVideoDiffusionPipeline', device: str, needs: memory.Needs) -> bool:
    """
    Move the pipeline to where it computes: for good where the GPU's free memory suffices, else each part when its
    turn comes, the rest waiting in main memory.

    :param pipe: the pipeline
    :type pipe: StableVideoDiffusionPipeline
    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param needs: what it needs
    :type needs: memory.Needs
    :return: whether it stays there
    :rtype: bool
    """
    import torch
    if device.startswith('cuda'):
        free = devices.free_memory(device, torch)
        if free < needs.resident + memory.OVERHEAD:
            logger.info('%.1f GB of GPU memory are free and %.1f would be used: parts take turns',
                        free / 1e9, needs.resident / 1e9)
            pipe.enable_model_cpu_offload(device = device)
            return False
    pipe.to(device)
    return True


def can_compile(device: str) -> bool:
    """
    Whether ``torch.compile`` can work: on a GPU, with the compiler it needs for one, which torch brings along on
    Linux and not on Windows.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :return: the answer
    :rtype: bool
    """
    return device.startswith('cuda') and not missing_libraries('triton')


def warm_up(pipe: 'StableVideoDiffusionPipeline', model: ModelOptions, *,
            is_to_compile: bool) -> bool:
    """
    Make one step of a grey landscape, so that the first clip need not wait for kernels. When compiling (in place,
    anew for each orientation, with and without guidance) fails, the UNet is used eagerly.

    :param pipe: the pipeline, placed
    :type pipe: StableVideoDiffusionPipeline
    :param model: the options
    :type model: ModelOptions
    :param is_to_compile: whether to compile the UNet
    :type is_to_compile: bool
    :return: whether the UNet is compiled
    :rtype: bool
    """
    if is_to_compile:
        pipe.unet.compile()
    short, long = sorted((model.image_prompt_width, model.image_prompt_height))
    try:
        pipe(
            Image.new('RGB', (long, short), 'grey'),
            height = short,
            width = long,
            num_frames = model.output_frames,
            num_inference_steps = 1,
            output_type = 'latent')
        return is_to_compile
    except (RuntimeError, OSError) as error:
        logger.warning('The warm-up failed, going on without compiling: %s', error)
        # torch offers no public way back from Module.compile()
        pipe.unet._compiled_call_impl = None
        return False
    finally:
        restore(pipe)


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
