#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The pipeline: loading it from a folder, putting it in order after a clip.

Libraries: torch, diffusers, transformers, safetensors, all imported when the engine loads.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modules.engines.diffusion.libraries import dtype_argument, loading

if TYPE_CHECKING:
    import torch
    from diffusers.pipelines.stable_video_diffusion import pipeline_stable_video_diffusion as svd

#: classes of the layers that are compiled: nearly all of the arithmetic of the UNet and of the decoder is theirs
COMPILED_LAYERS = ('TransformerSpatioTemporalModel', 'SpatioTemporalResBlock')


@dataclass(frozen = True)
class Source:
    """What is read from a folder."""

    #: a whole model
    folder: Path
    #: ``fp16`` or None, whichever files are to be read
    variant: str | None
    #: whether it is to compute at half precision: a processor has no fast arithmetic for that
    is_half: bool

    def get_dtype(self) -> 'torch.dtype':
        """
        Give the precision to compute at.

        :return: as torch names it
        :rtype: torch.dtype
        """
        import torch
        return torch.float16 if self.is_half else torch.float32


def load_pipeline(source: Source) -> 'svd.StableVideoDiffusionPipeline':
    """
    Read a checkpoint into memory, without asking the network.

    :param source: what is read
    :type source: Source
    :return: the pipeline, in main memory
    :rtype: svd.StableVideoDiffusionPipeline
    :raises OSError: when a file is missing or unreadable
    :raises ValueError: when a file says what it should not
    """
    import diffusers
    import safetensors
    import transformers
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    dtype = source.get_dtype()
    try:
        with loading():
            pipe = diffusers.StableVideoDiffusionPipeline.from_pretrained(
                source.folder,
                variant = source.variant,
                local_files_only = True,
                **{dtype_argument(): dtype})
            pipe.image_encoder.to(dtype)
    except safetensors.SafetensorError as error:
        raise OSError(str(error)) from error
    pipe.set_progress_bar_config(disable = True)
    # numpy 2 warns about making arrays of torch's tensors, which the scheduler does of this one for each clip
    if hasattr(pipe.scheduler, 'alphas_cumprod'):
        pipe.scheduler.alphas_cumprod = pipe.scheduler.alphas_cumprod.numpy()
    return pipe


def load_encoder(source: Source) -> 'torch.nn.Module':
    """
    Read the image encoder alone.

    :param source: what is read
    :type source: Source
    :return: the encoder, in main memory
    :rtype: torch.nn.Module
    """
    import torch
    from transformers import CLIPVisionModelWithProjection
    with loading():
        encoder = CLIPVisionModelWithProjection.from_pretrained(
            source.folder / 'image_encoder', variant = source.variant, local_files_only = True)
        return torch.nn.Module.to(encoder, source.get_dtype())


def restore_precision(pipe: 'svd.StableVideoDiffusionPipeline') -> None:
    """
    Undo what a call that was cut short may have left: the VAE at the precision it encodes with.

    :param pipe: the pipeline
    :type pipe: svd.StableVideoDiffusionPipeline
    """
    if pipe.vae.dtype != pipe.unet.dtype:
        pipe.vae.to(dtype = pipe.unet.dtype)
