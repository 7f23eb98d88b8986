#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How much memory a checkpoint needs at the size and length that are set.

The constants are live tensors at half precision, counted on the published architecture; they grow with pixels, frames,
the first level's channels and the width of a number, and not with anything else. What context, workspaces and
fragmentation add is :data:`OVERHEAD`.

Libraries: none.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from modules.configuration import ModelOptions
from modules.weights import tensors

GIB = 2**30

#: bytes of a pixel of one frame, for each half that guidance needs, while the UNet computes
UNET_BYTES = 282
#: the same with feed-forward layers in parts
UNET_CHUNKED_BYTES = 162
#: bytes of a pixel of one frame while the VAE decodes
VAE_BYTES = 2060
#: bytes of a pixel of the photo while the VAE encodes it, at full precision
ENCODING_BYTES = 2580

#: what decoding holds where torch goes around cuDNN for convolutions over time, as a multiple
AROUND_CUDNN = 9 / 8

#: of the UNet's weights, the part that its largest layer holds
LARGEST_LAYER = 1 / 48

#: what context and workspaces take besides, with the smallest gaps between tensors
OVERHEAD = 1 * GIB

#: real decoders were seen to hold half as much again as their live tensors
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
    #: frames the model was trained for
    trained_frames: int
    #: what torch holds beyond tensors, for gaps between them
    fragments: int = 0
    #: scores of attention, where they are kept
    scores: int = 0

    @property
    def weights(self) -> int:
        """Of all parts of the model."""
        return self.unet + self.vae + self.image_encoder


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
    weights = {
        part: sum(_bytes_at(file, width) for file in _loaded_files(folder, variant, part))
        for part in ('unet', 'vae', 'image_encoder')
    }
    of_unet = pixels * model.output_frames * width * unet['block_out_channels'][0] // 640
    of_vae = pixels * vae['block_out_channels'][0]
    return Needs(
        **weights,
        half = of_unet * UNET_BYTES,
        chunked_half = of_unet * UNET_CHUNKED_BYTES,
        frame = of_vae * VAE_BYTES * width // 256,
        encoding = of_vae * ENCODING_BYTES // 128,
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
    return sum(file.stat().st_size for file in _loaded_files(folder, variant, part))


def _loaded_files(folder: Path, variant: str | None, part: str) -> list[Path]:
    files = list(folder.glob(f'{part}/*.safetensors'))
    halves = {file.parent for file in files if '.fp16' in file.name} if variant else set()
    return [file for file in files if ('.fp16' in file.name) == (file.parent in halves)]


def _bytes_at(file: Path, width: int) -> int:
    """Bytes of a file's tensors, of numbers so wide; plain files may hold half-precision numbers as well."""
    if described := tensors.describe(file):
        return described.bytes_at(width)
    return file.stat().st_size * width // (2 if '.fp16' in file.name else 4)


def chunk_size(frames: int, bytes_free: int, bytes_per_frame: int) -> int:
    """
    How many frames to decode at once: all of them where memory allows, because the decoder smooths over time only
    within a chunk; else the largest equal parts there are.

    :param frames: frames of the clip
    :type frames: int
    :param bytes_free: what decoding may use
    :type bytes_free: int
    :param bytes_per_frame: what a frame takes
    :type bytes_per_frame: int
    :return: 1 to ``frames``
    :rtype: int
    """
    limit = max(1, min(frames, int(bytes_free / (DECODER_MARGIN * bytes_per_frame))))
    divisor = max(n for n in range(1, limit + 1) if frames % n == 0)
    # a prime number of frames would otherwise be decoded one by one
    return divisor if divisor > 1 else math.ceil(frames / math.ceil(frames / limit))
