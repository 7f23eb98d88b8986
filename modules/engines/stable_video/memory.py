#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How much memory a checkpoint needs at the size and length that are set, and what fits into the memory there is.

The constants are live tensors at half precision, counted on the published architecture; they grow with pixels, frames,
the first level's channels and the width of a number, and not with anything else. What context, workspaces and
fragmentation add is :data:`OVERHEAD`.

Libraries: none; torch, where it is imported.
"""

import json
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

from modules.configuration import ModelOptions
from modules.engines.diffusion import allocator, attention, checkpoints, devices, ladder
from modules.engines.diffusion.budget import OVERHEAD
from modules.engines.diffusion.ladder import Rung
from modules.install import installed_torch

#: bytes of a pixel of one frame, for each half that guidance needs, while the UNet computes
UNET_BYTES = 282
#: the same with feed-forward layers in parts
UNET_CHUNKED_BYTES = 162
#: bytes of a pixel of one frame while the VAE decodes
VAE_BYTES = 2060
#: bytes of a pixel of the photo while the VAE encodes it, at full precision
ENCODING_BYTES = 2580

#: what decoding holds where torch avoids cuDNN for convolutions over time, as a multiple
WITHOUT_CUDNN = 9 / 8

#: of the UNet's weights, the part that its largest layer holds
LARGEST_LAYER = 1 / 48

#: real decoders were seen to hold half as much again as their live tensors, gaps between those included
DECODER_MARGIN = 1.5


@dataclass(frozen = True)
class Needs:
    """Bytes, at the precision that is computed with."""

    #: of the weights
    unet: int
    vae: int
    image_encoder: int
    #: what the UNet holds besides its weights, for each half that guidance needs
    half: int
    #: the same with feed-forward layers in parts
    chunked_half: int
    #: what decoding holds besides the weights, for each frame that is decoded at once
    frame: int
    #: what encoding the photo holds besides the weights
    encoding: int
    #: what torch holds beyond tensors, for gaps between them
    gaps: int = 0
    #: scores of attention, where they are kept
    scores: int = 0

    @property
    def weights(self) -> int:
        """Of all parts of the model."""
        return self.unet + self.vae + self.image_encoder


def read_needs(folder: Path, variant: str | None, model: ModelOptions, *, width: int) -> Needs:
    """
    Work out what a checkpoint needs from its files.

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
    weights = {
        part:
        sum(
            checkpoints.count_bytes(file, width)
            for file in checkpoints.list_loaded_files(folder, variant, part))
        for part in ('unet', 'vae', 'image_encoder')
    }
    of_unet = pixels * model.output_frames * width * unet['block_out_channels'][0] // 640
    of_vae = pixels * vae['block_out_channels'][0]
    return Needs(
        unet = weights['unet'],
        vae = weights['vae'],
        image_encoder = weights['image_encoder'],
        half = of_unet * UNET_BYTES,
        chunked_half = of_unet * UNET_CHUNKED_BYTES,
        frame = of_vae * VAE_BYTES * width // 256,
        encoding = of_vae * ENCODING_BYTES // 128)


def adjust(needs: Needs, device: str, is_half: bool) -> Needs:
    """
    Add what a device needs besides. On a GPU torch holds more than its tensors, because gaps between them fit nothing:
    as measured on an H200, 25 frames of 1024 × 576 on every rung, less what :data:`OVERHEAD` has for that already.

    :param needs: what tensors need
    :type needs: Needs
    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param is_half: whether it computes at half precision
    :type is_half: bool
    :return: what is needed there, as far as it is known before torch is imported
    :rtype: Needs
    """
    torch = installed_torch.find_imported()
    if device == 'mps':
        return replace(needs, scores = attention.COPIES * attention.MOST)
    if torch is None or not device.startswith('cuda'):
        return needs
    if not attention.is_fused(device, torch):
        needs = replace(needs, scores = attention.COPIES * attention.MOST)
    if is_half and devices.is_cudnn_avoided(torch):
        needs = replace(needs, frame = int(needs.frame * WITHOUT_CUDNN))
    return replace(needs, gaps = 2**28 if allocator.grows(os.environ) else 2**30)


def predict_peak(rung: Rung, needs: Needs, chunk: int = 1) -> int:
    """
    Predict the most that a clip holds on its device at once, weights included, in live tensors.

    :param rung: the way memory is used
    :type rung: Rung
    :param needs: what the checkpoint needs
    :type needs: Needs
    :param chunk: frames that are decoded at once
    :type chunk: int
    :return: bytes
    :rtype: int
    """
    half = needs.chunked_half if rung.is_chunked else needs.half
    halves = 1 if rung.is_split else 2
    # where attention keeps scores, feed-forward layers hold no more than in parts
    denoising = max(halves * half, halves * needs.chunked_half + needs.scores)
    decoding = (1 if rung.is_single else chunk) * needs.frame
    if rung.is_streamed:
        # one computes, the next one is being copied
        layers = 2 * int(needs.unet * LARGEST_LAYER)
        return layers + max(denoising, decoding, needs.encoding)
    if rung.is_offloaded:
        # the VAE has encoded the photo when the UNet comes, and stays
        return max(needs.image_encoder, needs.vae + max(decoding, needs.encoding),
                   needs.vae + needs.unet + denoising)
    return needs.weights + max(denoising, decoding, needs.encoding)


def choose_rung(device: str, needs: Needs, available: int) -> Rung:
    """
    Choose the fastest rung that fits.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param needs: what the checkpoint needs
    :type needs: Needs
    :param available: bytes of memory that weights and clip may use
    :type available: int
    :return: the rung; the last one where none fits
    :rtype: Rung
    """
    besides = OVERHEAD + needs.gaps
    return ladder.choose(device, lambda rung: predict_peak(rung, needs) + besides <= available)


def choose_chunk(rung: Rung, needs: Needs, frames: int, available: int) -> int:
    """
    Choose how many frames to decode at once: all of them where memory allows, because the decoder smooths over time
    only within a chunk; else the largest equal parts there are. Gaps between tensors are in :data:`DECODER_MARGIN`.

    :param rung: the way memory is used
    :type rung: Rung
    :param needs: what the checkpoint needs
    :type needs: Needs
    :param frames: frames of the clip
    :type frames: int
    :param available: bytes of memory that weights and clip may use
    :type available: int
    :return: 1 to ``frames``
    :rtype: int
    """
    if rung.is_single:
        return 1
    weights = 0 if rung.is_streamed else needs.vae if rung.is_offloaded else needs.weights
    bytes_free = available - weights - OVERHEAD
    limit = max(1, min(frames, int(bytes_free / (DECODER_MARGIN * needs.frame))))
    divisor = max(n for n in range(1, limit + 1) if frames % n == 0)
    # a prime number of frames would otherwise be decoded one by one
    return divisor if divisor > 1 else math.ceil(frames / math.ceil(frames / limit))
