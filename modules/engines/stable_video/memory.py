#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How much memory a checkpoint needs at the size and length that are set, and what follows from it.

The two constants are live tensors at half precision, computed for the published weights at 1024 × 576 (UNet: 25
frames with guidance, 9.27 GiB; decoder: 1.13 GiB a frame); they scale with pixels, frames, the first level's
channels and the width of a number.

Libraries: none.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from modules.configuration import ModelOptions

GIB = 2**30

#: bytes of a pixel of one frame while the UNet computes; 320 channels, 16 bits
UNET_BYTES = 675
#: bytes of a pixel of one frame while the VAE decodes; 128 channels, 16 bits
VAE_BYTES = 2060

#: what context, workspaces and fragmentation take besides
OVERHEAD = 1 * GIB


@dataclass(frozen = True)
class Needs:
    """Bytes, at the precision that is computed with."""

    #: of all parts of the model
    weights: int
    #: of the UNet alone, the largest part
    unet: int
    #: what the UNet holds besides its weights
    denoising: int
    #: what decoding holds besides the weights, for each frame that is decoded at once
    frame: int
    #: frames the model was trained for
    trained_frames: int

    @property
    def resident(self) -> int:
        """With all weights where it is computed."""
        return self.weights + max(self.denoising, self.frame)


def needs(folder: Path, variant: str | None, model: ModelOptions, *, width: int) -> Needs:
    """
    What a checkpoint needs.

    :param folder: a whole model
    :type folder: Path
    :param variant: ``fp16`` or None
    :type variant: str | None
    :param model: the options
    :type model: ModelOptions
    :param width: bytes of a number that is computed with: 2 or 4
    :type width: int
    :return: the bytes
    :rtype: Needs
    """
    unet, vae = (
        json.loads((folder / part / 'config.json').read_text(encoding = 'utf-8'))
        for part in ('unet', 'vae'))
    pixels = model.image_prompt_width * model.image_prompt_height
    stored = 2 if variant == 'fp16' else 4
    unet_channels, vae_channels = unet['block_out_channels'][0], vae['block_out_channels'][0]
    return Needs(
        weights = bytes_on_disk(folder, variant) * width // stored,
        unet = bytes_on_disk(folder, variant, 'unet') * width // stored,
        denoising = pixels * model.output_frames * UNET_BYTES * width * unet_channels // 640,
        frame = pixels * VAE_BYTES * width * vae_channels // 256,
        trained_frames = unet.get('num_frames', 25))


def bytes_on_disk(folder: Path, variant: str | None, part: str = '*') -> int:
    """
    Length of the files that are loaded.

    :param folder: a whole model
    :type folder: Path
    :param variant: ``fp16`` or None
    :type variant: str | None
    :param part: ``unet``, ``vae``, ``image_encoder``, or ``*`` for all
    :type part: str
    :return: bytes
    :rtype: int
    """
    files = list(folder.glob(f'{part}/*.safetensors'))
    halves = {file.parent for file in files if '.fp16' in file.name} if variant else set()
    return sum(file.stat().st_size for file in files
               if ('.fp16' in file.name) == (file.parent in halves))


def chunk_size(frames: int, bytes_free: int, bytes_per_frame: int) -> int:
    """
    How many frames to decode at once: all of them where memory allows, because the decoder smooths over time only
    within a chunk; else equal parts.

    :param frames: frames of the clip
    :type frames: int
    :param bytes_free: what decoding may use
    :type bytes_free: int
    :param bytes_per_frame: what a frame takes
    :type bytes_per_frame: int
    :return: 1 to ``frames``
    :rtype: int
    """
    # real decoders were seen to hold half as much again as their live tensors
    limit = max(1, min(frames, int(bytes_free / (1.5 * bytes_per_frame))))
    divisor = max(n for n in range(1, limit + 1) if frames % n == 0)
    # a prime number of frames would otherwise be decoded one by one
    return divisor if 2 * divisor >= limit else math.ceil(frames / math.ceil(frames / limit))
