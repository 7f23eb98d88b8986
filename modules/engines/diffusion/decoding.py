#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
From latents to frames, chunk by chunk, exactly as the pipeline's own decoding, but with progress, and never a black
picture without a word.

Libraries: numpy; torch and diffusers through the pipeline that is handed in.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy

from modules import errors
from modules.progress import JobControl, Progress

if TYPE_CHECKING:
    import torch
    from diffusers import StableVideoDiffusionPipeline

logger = logging.getLogger(__name__)

#: what is done with frames that are decoded: uint8 [T, H, W, 3] → the same, of another size perhaps
Finish = Callable[[numpy.ndarray], numpy.ndarray]


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

    #: called with each chunk while the next one is decoded
    finish: Finish = keep_as_decoded


def decode(pipe: 'StableVideoDiffusionPipeline', latents: 'torch.Tensor', chunk: int,
           control: ClipControl) -> numpy.ndarray:
    """
    Decode a clip.

    :param pipe: the pipeline the latents come from
    :type pipe: StableVideoDiffusionPipeline
    :param latents: [1, T, C, H / 8, W / 8]
    :type latents: torch.Tensor
    :param chunk: frames to decode at once
    :type chunk: int
    :param control: is told after every chunk, with its last frame; ends the work between chunks; finishes frames
    :type control: ClipControl
    :return: uint8 [T, H, W, 3]
    :rtype: numpy.ndarray
    :raises errors.UnusablePicture: when numbers overflow or a frame is black, at full precision too
    """
    chunks = latents.split(chunk, dim = 1)
    newest = None
    with ThreadPoolExecutor(1) as beside:
        finished = []
        for done, part in enumerate(chunks):
            control.report(Progress('decoding', done, len(chunks), newest))
            control.stop_if_cancelled()
            picture = _decoded(pipe, part)
            if picture is None:
                picture = _decoded_at_full_precision(pipe, part)
            if picture is None:
                raise errors.UnusablePicture
            finished.append(beside.submit(control.finish, picture))
            newest = picture[-1]
        control.report(Progress('decoding', len(chunks), len(chunks), newest))
        return numpy.concatenate([each.result() for each in finished])


def has_numbers(pipe: 'StableVideoDiffusionPipeline', latents: 'torch.Tensor') -> bool:
    """
    Whether a chunk can be decoded, if need be at full precision.

    :param pipe: the pipeline the latents come from
    :type pipe: StableVideoDiffusionPipeline
    :param latents: [1, T, C, H / 8, W / 8]
    :type latents: torch.Tensor
    :return: whether everything that comes out is a finite number
    :rtype: bool
    """
    return _decode_video(pipe, latents) is not None or bool(
        _at_full_precision(pipe, latents, _decode_video))


def _decode_video(pipe: 'StableVideoDiffusionPipeline',
                  latents: 'torch.Tensor') -> 'torch.Tensor | None':
    """One chunk, [1, C, T, H, W]; None where it holds what are no finite numbers."""
    count = latents.shape[1]
    video = pipe.decode_latents(latents, count, count)
    return video if video.isfinite().all() else None


def _decoded(pipe: 'StableVideoDiffusionPipeline', latents: 'torch.Tensor') -> numpy.ndarray | None:
    """One chunk as uint8 [T, H, W, 3]; None when it cannot be shown to anybody."""
    video = _decode_video(pipe, latents)
    if video is None:
        return None
    pixels = pipe.video_processor.postprocess_video(video, output_type = 'np')[0]
    frames = (pixels * 255).round().astype(numpy.uint8)
    return frames if frames.any(axis = (1, 2, 3)).all() else None


def _decoded_at_full_precision(pipe: 'StableVideoDiffusionPipeline',
                               latents: 'torch.Tensor') -> numpy.ndarray | None:
    pictures = _at_full_precision(pipe, latents, _decoded)
    return numpy.concatenate(pictures) if pictures else None


def _at_full_precision(pipe: 'StableVideoDiffusionPipeline', latents: 'torch.Tensor',
                       decoder: Callable) -> list:
    """Half precision ends at 65504; what overflows there may be fine in 32 bits. Nothing where it is not."""
    full, used = latents.float().dtype, pipe.vae.dtype
    if used == full:
        return []
    logger.warning('A frame came out black or not at all: decoding it again in 32 bits')
    pipe.vae.to(dtype = full)
    try:
        # one frame needs twice the memory now, so half as many go at once
        parts = latents.float().split(max(1, latents.shape[1] // 2), dim = 1)
        found = [decoder(pipe, part) for part in parts]
    finally:
        pipe.vae.to(dtype = used)
    return [] if any(part is None for part in found) else found
