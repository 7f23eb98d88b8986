#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
From latents to frames, chunk by chunk, exactly as a pipeline's own decoding, but with progress, and with an error in
place of a black picture.

Libraries: numpy; torch and diffusers through what is handed in.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy

from modules import errors
from modules.progress import JobControl, Progress

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

Decoded = TypeVar('Decoded')


def keep_as_decoded(frames: numpy.ndarray) -> numpy.ndarray:
    """
    Change nothing: the clip has the size that the model made.

    :param frames: decoded frames
    :type frames: numpy.ndarray
    :return: the same
    :rtype: numpy.ndarray
    """
    return frames


@dataclass(frozen = True)
class ClipControl(JobControl):
    """The link to whoever wants the clip, and what is done with frames that are decoded."""

    #: called with each chunk of decoded frames, uint8 [T, H, W, 3], while the next one is decoded; gives what becomes
    #: part of the clip, of another size perhaps
    finish: Callable[[numpy.ndarray], numpy.ndarray] = keep_as_decoded


@dataclass(frozen = True)
class Decoder:
    """Decodes latents of a model."""

    #: the model of diffusers, whose precision may be changed while it decodes
    vae: Any
    #: latents [1, T, C, H / 8, W / 8] → video [1, C, T, H, W], -1 to 1
    decode_video: 'Callable[[torch.Tensor], torch.Tensor]'
    #: diffusers' ``VideoProcessor``
    processor: Any

    def decode(self, latents: 'torch.Tensor', chunk: int, control: ClipControl) -> numpy.ndarray:
        """
        Decode a clip.

        :param latents: [1, T, C, H / 8, W / 8]
        :type latents: torch.Tensor
        :param chunk: frames to decode at once
        :type chunk: int
        :param control: called with every chunk
        :type control: ClipControl
        :return: uint8 [T, H, W, 3], as the control finished them
        :rtype: numpy.ndarray
        :raises errors.UnusablePicture: when numbers overflow or a frame is black, at full precision too
        """
        chunks = latents.split(chunk, dim = 1)
        newest = None
        with ThreadPoolExecutor(1) as pool:
            finished = []
            for done, part in enumerate(chunks):
                control.report(Progress('decoding', done, len(chunks), newest))
                control.stop_if_cancelled()
                frames = self._decode_chunk(part)
                newest = frames[-1]
                finished.append(pool.submit(control.finish, frames))
            control.report(Progress('decoding', len(chunks), len(chunks), newest))
            return numpy.concatenate([each.result() for each in finished])

    def gives_numbers(self, latents: 'torch.Tensor') -> bool:
        """
        Tell whether a chunk can be decoded, if need be at full precision.

        :param latents: [1, T, C, H / 8, W / 8]
        :type latents: torch.Tensor
        :return: whether everything that comes out is a finite number
        :rtype: bool
        """
        return self._to_video(latents) is not None or bool(
            self._at_full_precision(latents, self._to_video))

    def _decode_chunk(self, latents: 'torch.Tensor') -> numpy.ndarray:
        frames = self._to_frames(latents)
        if frames is not None:
            return frames
        parts = self._at_full_precision(latents, self._to_frames)
        if not parts:
            raise errors.UnusablePicture
        return numpy.concatenate(parts)

    def _to_video(self, latents: 'torch.Tensor') -> 'torch.Tensor | None':
        """Decode to [1, C, T, H, W]; None where a number is not finite."""
        video = self.decode_video(latents)
        return video if video.isfinite().all() else None

    def _to_frames(self, latents: 'torch.Tensor') -> numpy.ndarray | None:
        """Decode to uint8 [T, H, W, 3]; None where a number is not finite or a frame is black."""
        video = self._to_video(latents)
        if video is None:
            return None
        pixels = self.processor.postprocess_video(video, output_type = 'np')[0]
        frames = (pixels * 255).round().astype(numpy.uint8)
        return frames if frames.any(axis = (1, 2, 3)).all() else None

    def _at_full_precision(self, latents: 'torch.Tensor',
                           decode: 'Callable[[torch.Tensor], Decoded | None]') -> list[Decoded]:
        """Half precision ends at 65504; what overflows there may be fine in 32 bits. Nothing where it is not."""
        full, used = latents.float().dtype, self.vae.dtype
        if used == full:
            return []
        logger.warning('A frame came out black or not at all: decoding it again in 32 bits')
        self.vae.to(dtype = full)
        try:
            # one frame needs twice the memory now, so half as many go at once
            parts = latents.float().split(max(1, latents.shape[1] // 2), dim = 1)
            found = [decode(part) for part in parts]
        finally:
            self.vae.to(dtype = used)
        usable = [part for part in found if part is not None]
        return usable if len(usable) == len(found) else []
