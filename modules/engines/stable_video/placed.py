#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A pipeline on its rung of the memory ladder: what computes, and what of it is compiled. Used by one thread at a time.

Libraries: torch and diffusers, imported when the engine loads.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from modules.engines.diffusion import attention, placing
from modules.engines.diffusion.compiling import Compilable, Layers
from modules.engines.diffusion.decoding import Decoder
from modules.engines.diffusion.ladder import Rung
from modules.engines.stable_video import pipeline, presets
from modules.engines.stable_video.denoising import Denoiser
from modules.engines.stable_video.embeddings import Embeddings
from modules.engines.stable_video.presets import Applied

if TYPE_CHECKING:
    import torch
    from diffusers.pipelines.stable_video_diffusion import pipeline_stable_video_diffusion as svd


class PlacedPipeline(placing.PlacedPipeline):
    """
    Goes to a rung, or further down where memory does not even suffice for the weights.

    :param pipe: the pipeline, in main memory
    :type pipe: svd.StableVideoDiffusionPipeline
    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param rung: the way memory is to be used
    :type rung: Rung
    :param load_encoder: reads the image encoder from its files once more
    :type load_encoder: Callable[[], torch.nn.Module]
    """

    def __init__(self, pipe: 'svd.StableVideoDiffusionPipeline', device: str, rung: Rung,
                 load_encoder: 'Callable[[], torch.nn.Module]'):
        import torch
        super().__init__(pipe, device, [pipe.unet, pipe.vae])
        #: those of its layers that can be compiled
        self.layers = Layers(pipe.unet, pipe.vae.decoder, kinds = pipeline.COMPILED_LAYERS)
        self.denoiser = Denoiser(pipe.unet, self.layers)
        if not attention.is_fused(device, torch):
            attention.slice_attention([pipe.unet, pipe.vae])
        pipe.vae.decoder.forward = Compilable(pipe.vae.decoder.forward, self.layers)
        self.compilables = [*self.denoiser.compilables, pipe.vae.decoder.forward]
        self.decoder = Decoder(pipe.vae, self._decode_video, pipe.video_processor)
        self.embeddings = Embeddings(pipe, load_encoder)
        #: the checkpoint's own
        self.scheduler = pipe.scheduler
        self.place(rung)

    def take(self, rung: Rung) -> None:
        self.denoiser.is_split = rung.is_split
        if rung.is_split:
            self.embeddings.free_encoder()
        if rung.is_offloaded:
            # weights that move are no constants of compiled code
            self.drop_compiled()
        super().take(rung)

    def prepare(self, applied: Applied) -> None:
        """
        Prepare for a clip.

        :param applied: what is given up for speed, and the options
        :type applied: Applied
        """
        for part in self.compilables:
            part.was_compiled = False
        self.denoiser.begin(applied.preset)
        self.pipe.scheduler = presets.choose_scheduler(applied.preset, self.scheduler)
        if self.rung.is_chunked:
            chunk = choose_forward_chunk(applied.model.output_frames)
            self.pipe.unet.enable_forward_chunking(chunk, dim = 0)

    def restore(self) -> None:
        self.denoiser.end()
        pipeline.restore_precision(self.pipe)
        super().restore()

    @property
    def was_compiled(self) -> bool:
        """Whether compiled code had a part in the last clip."""
        return any(part.was_compiled for part in self.compilables)

    def drop_compiled(self) -> None:
        """Compute without compiled code from now on."""
        for part in self.compilables:
            part.drop_compiled()

    def _decode_video(self, latents: 'torch.Tensor') -> 'torch.Tensor':
        frames = latents.shape[1]
        return self.pipe.decode_latents(latents, frames, frames)


def choose_forward_chunk(frames: int) -> int:
    """
    Choose how many frames feed-forward layers take at once where memory is short: with a third of them, other layers
    need the most, so fewer would only cost time. Only equal parts are possible.

    :param frames: frames of the clip
    :type frames: int
    :return: a divisor of ``frames``
    :rtype: int
    """
    return max(n for n in range(1, max(1, frames // 3) + 1) if frames % n == 0)
