#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Small randomly initialised checkpoints of Stable Video Diffusion, made of the real classes: all that the full
model has but its size. Not a test itself.

Libraries: torch, diffusers, transformers.
"""

import functools
import shutil
import tempfile
from pathlib import Path

import diffusers
import torch
import transformers

#: the scheduler of the published weights
SCHEDULER = {
    'beta_start': 0.00085,
    'beta_end': 0.012,
    'beta_schedule': 'scaled_linear',
    'interpolation_type': 'linear',
    'prediction_type': 'v_prediction',
    'sigma_min': 0.002,
    'sigma_max': 700.0,
    'steps_offset': 1,
    'timestep_spacing': 'leading',
    'timestep_type': 'continuous',
    'use_karras_sigmas': True,
}

#: length of the photo's embedding
EMBEDDING = 32


def make(folder: Path,
         *,
         half: bool = True,
         width: int = 32,
         num_frames: int = 25,
         levels: int = 2) -> Path:
    """
    Save a checkpoint whose latents have an eighth of the picture's sides and whose CLIP looks at 224 × 224.

    :param folder: where to
    :type folder: Path
    :param half: as half-precision files (``*.fp16.safetensors``) only, or as plain ones only
    :type half: bool
    :param width: channels of the UNet's first level, a multiple of 32; 320 in the published weights
    :type width: int
    :param num_frames: what the UNet's own configuration says it was trained for
    :type num_frames: int
    :param levels: of the UNet, 1 or 2, and widths of the VAE; with one, fewer different layers are to be compiled
    :type levels: int
    :return: the folder
    :rtype: Path
    """
    shutil.copytree(_saved(half, width, num_frames, levels).name, folder, dirs_exist_ok = True)
    return folder


@functools.cache
def _saved(half: bool, width: int, num_frames: int,
           levels: int) -> tempfile.TemporaryDirectory[str]:
    """Make one once in a process; it is gone with that."""
    folder = tempfile.TemporaryDirectory()
    torch.manual_seed(0)
    pipe = diffusers.StableVideoDiffusionPipeline(
        vae = _vae(width, levels),
        image_encoder = _image_encoder(),
        unet = _unet(width, num_frames, levels),
        scheduler = diffusers.EulerDiscreteScheduler(**SCHEDULER),
        feature_extractor = transformers.CLIPImageProcessor())
    if half:
        pipe.to(dtype = torch.float16).save_pretrained(folder.name, variant = 'fp16')
    else:
        pipe.save_pretrained(folder.name)
    return folder


def _vae(width: int, levels: int = 2) -> diffusers.AutoencoderKLTemporalDecoder:
    channels = max(32, width * 2 // 5 // 32 * 32)
    return diffusers.AutoencoderKLTemporalDecoder(
        down_block_types = ('DownEncoderBlock2D', ) * 4,
        block_out_channels = (channels, channels, levels * channels, levels * channels),
        layers_per_block = 1)


def _image_encoder() -> transformers.CLIPVisionModelWithProjection:
    return transformers.CLIPVisionModelWithProjection(
        transformers.CLIPVisionConfig(
            hidden_size = 32,
            intermediate_size = 64,
            num_hidden_layers = 2,
            num_attention_heads = 4,
            image_size = 224,
            patch_size = 32,
            projection_dim = EMBEDDING))


def _unet(width: int,
          num_frames: int,
          levels: int = 2) -> diffusers.UNetSpatioTemporalConditionModel:
    return diffusers.UNetSpatioTemporalConditionModel(
        down_block_types = ('CrossAttnDownBlockSpatioTemporal', 'DownBlockSpatioTemporal')[:levels],
        up_block_types = ('UpBlockSpatioTemporal', 'CrossAttnUpBlockSpatioTemporal')[-levels:],
        block_out_channels = (width, 2 * width)[:levels],
        num_attention_heads = (width // 16, width // 8)[:levels],
        layers_per_block = 1,
        cross_attention_dim = EMBEDDING,
        addition_time_embed_dim = 32,
        projection_class_embeddings_input_dim = 96,
        num_frames = num_frames)
