#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Attention where torch does not fuse it: all scores of a layer are in memory there at once, 40 GiB of them for 25 frames
of 1024 × 576 at half precision. In slices they are as many as fit, and the result is equal bit for bit, because no
query depends on another one.

Libraries: torch and diffusers, through what is handed in and imported when the engine loads.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from diffusers.models.attention_processor import Attention

#: bytes of scores that are in memory at once, as 32 bits each, which some versions of macOS make of 16. Metal indexes
#: nothing beyond 4 GiB, and gives wrong numbers without a word from 2³² scores on.
MOST = 3 * 2**27

#: a processor computes so many queries at once, and with a multiple of them gives the same bits
BLOCK = 256

#: how often scores of that size are in memory while a slice is computed: as products and as shares of one
COPIES = 2


class ModelWithAttention(Protocol):
    """What models of diffusers have whose attention can be computed by other processors."""

    @property
    def attn_processors(self) -> dict[str, Any]:
        """Name of a layer → what computes its attention."""

    def set_attn_processor(self, processor: dict[str, Any]) -> None:
        """
        Replace the processors.

        :param processor: name of a layer → what is to compute its attention
        :type processor: dict[str, Any]
        """


def is_fused(device: str, torch: ModuleType) -> bool:
    """
    Tell whether torch computes attention without keeping its scores.

    :param device: ``cuda:N``, ``mps`` or ``cpu``
    :type device: str
    :param torch: the library
    :type torch: ModuleType
    :return: False on MPS, and with builds for AMD that have no such code for the GPU
    :rtype: bool
    """
    if device == 'mps':
        return False
    if not device.startswith('cuda') or not torch.version.hip:
        return True
    sample = torch.empty(1, 5, 64, 64, dtype = torch.float16, device = device)
    cuda = torch.backends.cuda
    given = cuda.SDPAParams(sample, sample, sample, None, 0.0, False, False)
    return cuda.can_use_flash_attention(given) or cuda.can_use_efficient_attention(given)


def slice_attention(models: 'Iterable[ModelWithAttention]', most: int = MOST) -> None:
    """
    Let every layer of models attend in slices.

    :param models: models of diffusers
    :type models: Iterable[ModelWithAttention]
    :param most: bytes of scores that are in memory at once
    :type most: int
    """
    for model in models:
        model.set_attn_processor({
            name: Sliced(processor, most)
            for name, processor in model.attn_processors.items()
        })


class Sliced:
    """
    Computes what another processor computes, with its attention in slices.

    :param processor: the other one
    :type processor: Callable
    :param most: bytes of scores that are in memory at once
    :type most: int
    """

    def __init__(self, processor: Callable, most: int = MOST):
        self.processor = processor
        self.most = most

    def __call__(self,
                 attention: 'Attention',
                 hidden_states: 'torch.Tensor',
                 encoder_hidden_states: 'torch.Tensor | None' = None,
                 **options: Any) -> 'torch.Tensor':
        """
        Compute attention as the other processor does.

        :param attention: the layer
        :type attention: Attention
        :param hidden_states: the queries, [B, N, C] or [B, C, H, W]
        :type hidden_states: torch.Tensor
        :param encoder_hidden_states: the context, [B, M, D]; None for the queries themselves
        :type encoder_hidden_states: torch.Tensor | None
        :param options: whatever else there is
        :type options: Any
        :return: like ``hidden_states``
        :rtype: torch.Tensor
        """
        with slicing(self.most):
            return self.processor(attention, hidden_states, encoder_hidden_states, **options)


def slicing(most: int = MOST) -> AbstractContextManager:
    """
    Make a context in which torch's attention is computed in slices, in its own thread only.

    :param most: bytes of scores that are in memory at once
    :type most: int
    :return: the context
    :rtype: AbstractContextManager
    """
    return _make_mode()(most)


@functools.cache
def _make_mode() -> type:
    import torch
    from torch.overrides import TorchFunctionMode

    class Slicing(TorchFunctionMode):

        def __init__(self, most: int):
            super().__init__()
            self.most = most

        def __torch_function__(self, func, types, args = (), kwargs = None):
            if func is torch.nn.functional.scaled_dot_product_attention:
                return attend_in_slices(func, self.most, *args, **(kwargs or {}))
            return func(*args, **(kwargs or {}))

    return Slicing


def attend_in_slices(attend: Callable, most: int, query: 'torch.Tensor', key: 'torch.Tensor',
                     value: 'torch.Tensor', **options: Any) -> 'torch.Tensor':
    """
    Compute attention, so many heads at once as the limit allows, or so many queries of one head.

    :param attend: torch's function
    :type attend: Callable
    :param most: bytes of scores that are in memory at once
    :type most: int
    :param query: [B, H, N, D]
    :type query: torch.Tensor
    :param key: [B, H, M, D]
    :type key: torch.Tensor
    :param value: [B, H, M, D]
    :type value: torch.Tensor
    :param options: no mask and no dropout
    :type options: Any
    :return: [B, H, N, D]
    :rtype: torch.Tensor
    """
    import torch
    batch, heads, queries, _width = query.shape
    rows = max(BLOCK, most // (4 * key.shape[2]) // BLOCK * BLOCK)
    if batch * heads * queries <= rows:
        return attend(query, key, value, **options)
    made = torch.empty_like(query)
    at_once = (max(1, rows // (heads * queries)), min(heads,
                                                      max(1, rows // queries)), min(queries, rows))
    for part in _parts((batch, heads, queries), at_once):
        made[part] = attend(query[part], key[part[:2]], value[part[:2]], **options)
    return made


def _parts(whole: tuple[int, ...], at_once: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """List the slices that cover all, of so many at once in each dimension."""
    return itertools.product(*([slice(at, at + step) for at in range(0, size, step)]
                               for size, step in zip(whole, at_once, strict = True)))
