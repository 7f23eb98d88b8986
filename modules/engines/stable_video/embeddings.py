#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The image encoder's embedding of a photo, cached from one clip to the next: "again" does not need the encoder, which can
be freed where memory is short.

Libraries: torch, diffusers and transformers through what is handed in.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    import torch
    from diffusers.pipelines.stable_video_diffusion import pipeline_stable_video_diffusion as svd

#: photos that are cached, a few kilobytes each
MOST = 64


class Embeddings:
    """
    Replaces a pipeline's ``_encode_image``, and gives the same numbers.

    :param pipe: the pipeline
    :type pipe: svd.StableVideoDiffusionPipeline
    :param load: reads the image encoder from its files once more
    :type load: Callable[[], torch.nn.Module]
    """

    def __init__(self, pipe: 'svd.StableVideoDiffusionPipeline', load: Callable[[],
                                                                                'torch.nn.Module']):
        self._pipe: Any = pipe
        self._load = load
        self._embed = pipe._encode_image
        self._cache: OrderedDict[bytes, torch.Tensor] = OrderedDict()
        self._pipe._encode_image = self.embed  # type: ignore[method-assign, assignment]  # wraps it

    def free_encoder(self) -> None:
        """Free the image encoder; it is read again for every photo that is not in the cache."""
        self._pipe.image_encoder = None

    def embed(self, image: Image.Image, device: 'torch.device', *options: Any) -> 'torch.Tensor':
        """
        Embed as the pipeline does.

        :param image: the photo at the model's size
        :type image: Image.Image
        :param device: where the embedding is needed
        :type device: torch.device
        :param options: how many clips, and whether with guidance
        :type options: Any
        :return: [halves, 1, D]
        :rtype: torch.Tensor
        """
        key = hashlib.sha256(f'{image.size} {options} '.encode() + image.tobytes()).digest()
        if key not in self._cache:
            self._cache[key] = self._compute(image, device, *options)
        self._cache.move_to_end(key)
        if len(self._cache) > MOST:
            self._cache.popitem(last = False)
        return self._cache[key].to(device)

    def _compute(self, image: Image.Image, device: 'torch.device', *options: Any) -> 'torch.Tensor':
        if self._pipe.image_encoder is not None:
            return self._embed(image, device, *options).cpu()
        self._pipe.image_encoder = self._load().to(device)
        try:
            return self._embed(image, device, *options).cpu()
        finally:
            self.free_encoder()
