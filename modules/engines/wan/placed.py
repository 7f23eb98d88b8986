#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A pipeline on its rung of the memory ladder: what computes. Used by one thread at a time.

Libraries: torch and diffusers, imported when the engine loads.
"""

import math
from typing import TYPE_CHECKING, Any

from modules.engines.diffusion import placing
from modules.engines.diffusion.ladder import Rung
from modules.engines.wan.memory import RUNGS

if TYPE_CHECKING:
    import numpy
    import torch


class PlacedPipeline(placing.PlacedPipeline):
    """
    Goes to a rung, or further down where memory does not even suffice for the weights.

    :param pipe: a ``WanImageToVideoPipeline``, in main memory
    :type pipe: Any
    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param rung: the way memory is to be used
    :type rung: Rung
    """

    rungs = RUNGS

    def __init__(self, pipe: Any, device: str, rung: Rung):
        #: one, or two that take turns
        self.transformers = [
            each for each in (pipe.transformer, pipe.transformer_2) if each is not None
        ]
        super().__init__(pipe, device, [*self.transformers, pipe.vae])
        #: what the VAE made of the photo of the clip that is being made, float32 [C, h, w]
        self.photo_latents: torch.Tensor | None = None
        self._prepare_latents = pipe.prepare_latents
        pipe.prepare_latents = self._prepare
        #: pixels of a latent's side
        self.scale: int = pipe.vae.config.scale_factor_spatial
        self.place(rung)

    def tile(self, is_tiled: bool) -> bool:
        """
        Choose how the VAE computes.

        :param is_tiled: whether in tiles, whose seams are blended
        :type is_tiled: bool
        :return: the same
        :rtype: bool
        """
        if is_tiled:
            self.pipe.vae.enable_tiling()
        else:
            self.pipe.vae.disable_tiling()
        return is_tiled

    def get_photo_latents(self) -> 'numpy.ndarray':
        """
        Give what the VAE made of the photo of the clip that is being made.

        :return: float32 [C, h, w]
        :rtype: numpy.ndarray
        """
        assert self.photo_latents is not None  # noqa: S101  # every clip begins with them
        return self.photo_latents.numpy()

    def count_chunks(self, latents: 'torch.Tensor') -> int:
        """
        Count the chunks that the VAE decodes one after the other.

        :param latents: [1, C, T, h, w]
        :type latents: torch.Tensor
        :return: one for each T, of each tile
        :rtype: int
        """
        vae, (chunks, *sides) = self.pipe.vae, latents.shape[2:]
        if not vae.use_tiling or max(sides) <= vae.tile_sample_min_width // self.scale:
            return chunks
        step = vae.tile_sample_stride_width // self.scale
        return chunks * math.prod(math.ceil(side / step) for side in sides)

    def decode_video(self, latents: 'torch.Tensor') -> 'torch.Tensor':
        """
        Decode latents as the pipeline does.

        :param latents: [1, T, C, h, w]
        :type latents: torch.Tensor
        :return: [1, 3, frames, H, W], -1 to 1
        :rtype: torch.Tensor
        """
        import torch
        vae = self.pipe.vae
        latents = latents.transpose(1, 2).to(vae.dtype)
        mean, deviation = (
            torch.tensor(numbers).view(1, -1, 1, 1, 1).to(latents.device, latents.dtype)
            for numbers in (vae.config.latents_mean, vae.config.latents_std))
        return vae.decode(latents / (1.0 / deviation) + mean, return_dict = False)[0]

    def restore(self) -> None:
        self.pipe.vae.clear_cache()
        super().restore()

    def _prepare(self, *given: Any, **named: Any) -> Any:
        """Make what a clip begins with as the pipeline does; the VAE then makes room for what comes next."""
        made = self._prepare_latents(*given, **named)
        # after the channels that say which frames are given
        photo = made[1][0, -self.pipe.vae.config.z_dim:, 0]
        self.photo_latents = photo.float().cpu()
        if self.rung.is_offloaded and not self.rung.is_streamed:
            self.pipe.vae.to('cpu')
        return made
