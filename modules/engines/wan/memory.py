#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How much memory a checkpoint needs for a clip.

The constants are live tensors, counted on the published architectures at several sizes; they grow with tokens and the
transformer's width, with pixels and with frames, and not with anything else. What context, workspaces and fragmentation
add is :data:`modules.engines.diffusion.budget.OVERHEAD`.

Libraries: none.
"""

from dataclasses import dataclass
from pathlib import Path

from modules.engines.diffusion import checkpoints, ladder
from modules.engines.diffusion.ladder import Rung
from modules.engines.wan.clip import PlannedClip
from modules.engines.wan.files import find_variant
from modules.engines.wan.kinds import Kind, read_config

#: the rungs that change anything: guidance is computed in two passes in any case, and frames are never decoded at once
RUNGS = ('resident', 'offload', 'streamed', 'single')

#: bytes of a token, for each channel that it has in the transformer, at half precision: where every token has a time
#: of its own, and where all have one
OWN_TIME_BYTES, ONE_TIME_BYTES = 65.2, 22.4
#: the same at full precision
FULL_OWN_TIME_BYTES, FULL_ONE_TIME_BYTES = 106.0, 38.0

#: bytes of a pixel while the VAE decodes, at full precision, and what each frame adds: of the VAE with patches, and of
#: the other one
PATCHED_BYTES, PLAIN_BYTES = 21_900, 19_620
FRAME_BYTES = 12.3
#: bytes of a pixel while the VAE encodes the photo, and while it encodes a clip that is grey but for the photo
PHOTO_BYTES, CLIP_BYTES = 1_975, 14_150

#: sides of a tile, pixels that all tiles have as a part of the picture's (they overlap), and what it takes to join them
TILE, OVERLAP, JOINING = 256, 16 / 9, 4.57

#: of the transformer's weights, the part that its largest layer holds
LARGEST_LAYER = 1 / 88


@dataclass(frozen = True)
class Needs:
    """Bytes, for one clip at the precision that is computed with."""

    #: weights of the transformer, or of both; and of the larger one
    transformers: int
    transformer: int
    vae: int
    #: what the transformer holds besides its weights
    denoising: int
    #: what the VAE holds besides its weights
    encoding: int
    decoding: int
    #: the same in tiles
    tiled: int

    @property
    def weights(self) -> int:
        """Of all parts that make a clip."""
        return self.transformers + self.vae


def read_needs(folder: Path, kind: Kind, clip: PlannedClip, width: int) -> Needs:
    """
    Work out what a clip needs from a checkpoint's files.

    :param folder: a whole model
    :type folder: Path
    :param kind: its kind
    :type kind: Kind
    :param clip: what is made
    :type clip: PlannedClip
    :param width: bytes of a number that the transformer computes with: 2 or 4
    :type width: int
    :return: the bytes
    :rtype: Needs
    """
    config, vae = (read_config(folder / part / 'config.json') for part in ('transformer', 'vae'))
    transformers = [count_weights(folder, part, width) for part in ('transformer', 'transformer_2')]
    pixels, is_patched = clip.width * clip.height, vae.get('patch_size') is not None
    channels = config['num_attention_heads'] * config['attention_head_dim']
    tokens = (clip.frames // 4 + 1) * pixels // kind.multiple**2
    frames = clip.frames * FRAME_BYTES
    decoding = frames + (PATCHED_BYTES if is_patched else PLAIN_BYTES)
    tile = min(TILE**2, pixels)
    # the clip is there twice while it is put together
    encoding = PHOTO_BYTES if kind.has_own_time else CLIP_BYTES + 2 * frames
    return Needs(
        transformers = sum(transformers),
        transformer = max(transformers),
        vae = count_weights(folder, 'vae', 4),
        denoising = int(tokens * channels * _count_token_bytes(kind, width)),
        encoding = int(encoding * pixels),
        decoding = int(decoding * pixels),
        tiled = int(
            max(decoding * tile + frames * pixels * OVERLAP, encoding * tile,
                frames * pixels * JOINING)))


def count_weights(folder: Path, part: str, width: int) -> int:
    """
    Count the bytes of a part's weights.

    :param folder: a whole model
    :type folder: Path
    :param part: its folder
    :type part: str
    :param width: bytes of a number: 2 or 4
    :type width: int
    :return: bytes; 0 for a part that is not there
    :rtype: int
    """
    files = checkpoints.list_loaded_files(folder, find_variant(folder), part)
    return sum(checkpoints.count_bytes(file, width) for file in files)


def _count_token_bytes(kind: Kind, width: int) -> float:
    if kind.has_own_time:
        return OWN_TIME_BYTES if width == 2 else FULL_OWN_TIME_BYTES
    return ONE_TIME_BYTES if width == 2 else FULL_ONE_TIME_BYTES


def predict_peak(rung: Rung, needs: Needs, is_tiled: bool) -> int:
    """
    Predict the most that a clip holds on its device at once, weights included, in live tensors.

    :param rung: the way memory is used
    :type rung: Rung
    :param needs: what the clip needs
    :type needs: Needs
    :param is_tiled: whether the VAE computes in tiles
    :type is_tiled: bool
    :return: bytes
    :rtype: int
    """
    vae = needs.tiled if is_tiled or rung.is_single else max(needs.encoding, needs.decoding)
    if rung.is_streamed:
        # one computes, the next one is being copied
        layers = 2 * int(max(needs.transformer, needs.vae) * LARGEST_LAYER)
        return layers + max(needs.denoising, vae)
    if rung.is_offloaded:
        return max(needs.vae + vae, needs.transformer + needs.denoising)
    return needs.weights + max(needs.denoising, vae)


def is_tiled(rung: Rung, needs: Needs, available: int) -> bool:
    """
    Decide whether the VAE computes in tiles, whose seams are blended: only where memory does not suffice for a whole
    picture.

    :param rung: the way memory is used
    :type rung: Rung
    :param needs: what the clip needs
    :type needs: Needs
    :param available: bytes of memory that weights and clip may use
    :type available: int
    :return: the decision
    :rtype: bool
    """
    return rung.is_single or predict_peak(rung, needs, False) > available


def choose_rung(device: str, needs: Needs, available: int) -> Rung:
    """
    Choose the fastest rung that fits. Tiles cost less time than weights that move.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param needs: what the clip needs
    :type needs: Needs
    :param available: bytes of memory that weights and clip may use
    :type available: int
    :return: the rung; the last one where none fits
    :rtype: Rung
    """
    return ladder.choose(device, lambda rung: predict_peak(rung, needs, True) <= available, RUNGS)
