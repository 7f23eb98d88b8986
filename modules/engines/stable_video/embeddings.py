#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the model sees in a photo, kept from one clip to the next: "again" does not ask the image encoder, which can
leave memory where that is short.

Libraries: torch, diffusers and transformers through what is handed in.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    import torch
    from diffusers import StableVideoDiffusionPipeline

#: photos that are remembered, a few kilobytes each
MOST = 64


class Embeddings:
    """
    Takes the place of a pipeline's own way to embed a photo, and gives the same numbers.

    :param pipe: the pipeline
    :type pipe: StableVideoDiffusionPipeline
    :param load: reads the image encoder from its files once more
    :type load: Callable[[], torch.nn.Module]
    """

    def __init__(self, pipe: 'StableVideoDiffusionPipeline', load: Callable[[], 'torch.nn.Module']):
        self._pipe = pipe
        self._load = load
        self._embed = pipe._encode_image
        self._known: OrderedDict[bytes, torch.Tensor] = OrderedDict()
        pipe._encode_image = self.embed

    def release(self) -> None:
        """Let the image encoder go; it is read again for every photo that is not known."""
        self._pipe.image_encoder = None

    def embed(self, image: Image.Image, device: 'torch.device', *options: Any) -> 'torch.Tensor':
        """
        As the pipeline's own.

        :param image: the photo at the model's size
        :type image: Image.Image
        :param device: where the answer is wanted
        :type device: torch.device
        :param options: how many clips, and whether with guidance
        :type options: Any
        :return: [halves, 1, D]
        :rtype: torch.Tensor
        """
        key = hashlib.sha256(f'{image.size} {options} '.encode() + image.tobytes()).digest()
        if key not in self._known:
            self._known[key] = self._embedded(image, device, *options)
        self._known.move_to_end(key)
        if len(self._known) > MOST:
            self._known.popitem(last = False)
        return self._known[key].to(device)

    def _embedded(self, image: Image.Image, device: 'torch.device', *options:
                  Any) -> 'torch.Tensor':
        if self._pipe.image_encoder is not None:
            return self._embed(image, device, *options).cpu()
        self._pipe.image_encoder = self._load().to(device)
        try:
            return self._embed(image, device, *options).cpu()
        finally:
            self.release()
