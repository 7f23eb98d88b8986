#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Attention in slices, for devices on which torch keeps all scores of a layer, such as Apple's MPS: none is too large, the
clip is the same, and the ladder knows of them. No such device is asked here.

Libraries: pytest, torch, diffusers, numpy.
"""

import types

import numpy
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')

import diffusers  # noqa: E402
from live_tensors import LiveBytes  # noqa: E402
from tiny_svd import animate, loaded, photo, published, request  # noqa: E402
from torch.overrides import TorchFunctionMode  # noqa: E402

from modules.engines.diffusion import attention, ladder  # noqa: E402
from modules.engines.diffusion.budget import GIB  # noqa: E402
from modules.engines.diffusion.compiling import Layers  # noqa: E402
from modules.engines.stable_video import memory  # noqa: E402
from modules.engines.stable_video.denoising import Denoiser  # noqa: E402
from modules.engines.stable_video.placed import choose_forward_chunk  # noqa: E402

attend = torch.nn.functional.scaled_dot_product_attention


class Unfused(TorchFunctionMode):
    """Attention as it is without a fused kernel, on tensors without numbers; its scores in 32 bits."""

    def __init__(self):
        super().__init__()
        self.largest = 0

    def __torch_function__(self, func, types, args = (), kwargs = None):
        if func is not attend:
            return func(*args, **(kwargs or {}))
        query, key = args[:2]
        scores = torch.empty(*query.shape[:3], key.shape[2], device = query.device)
        shares = torch.empty_like(scores)
        self.largest = max(self.largest, shares.nbytes)
        return torch.empty_like(query)


def tensors(*shape, dtype = torch.float32):
    torch.manual_seed(0)
    return [torch.randn(shape, dtype = dtype).transpose(1, 2) for _ in range(3)]


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16], ids = str)
@pytest.mark.parametrize('shape', [(3, 600, 5, 64), (2, 700, 1, 512)])
@pytest.mark.parametrize('rows', [256, 512, 700, 1800, 10**6])
def test_slices_of_attention_are_equal_bit_for_bit(dtype, shape, rows):
    """Some queries of one head at once, one head, several, all heads of a frame, and everything."""
    given = tensors(*shape, dtype = dtype)
    asked, most = [], 4 * shape[1] * rows

    def attended(query, key, value):
        asked.append(4 * query.shape[:3].numel() * key.shape[2])
        return attend(query, key, value)

    assert torch.equal(attention.attend_in_slices(attended, most, *given), attend(*given))
    assert max(asked) <= most and (len(asked) == 1) == (rows >= given[0].shape[:3].numel())


def test_a_clip_whose_attention_is_in_slices_is_the_same(checkpoint):
    engine = loaded(checkpoint, decode_chunk_size = 5)
    with Count() as once:
        expected = animate(engine, photo(), request())
    # what 128 tokens of a frame's upper level have, of one frame at once
    pipe = engine.holder.model.placed.pipe
    attention.slice_attention([pipe.unet, pipe.vae], 4 * 256 * 128)
    with Count() as count:
        frames = animate(engine, photo(), request())
    assert numpy.array_equal(frames, expected)
    assert count.calls > 2 * once.calls


class Count(TorchFunctionMode):
    """How often torch's attention is asked."""

    calls = 0

    def __torch_function__(self, func, types, args = (), kwargs = None):
        self.calls += func is attend
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope = 'module')
def model():
    """The published model without its numbers, as the engine uses it."""
    with torch.device('meta'):
        unet = diffusers.UNetSpatioTemporalConditionModel(num_attention_heads = (5, 10, 20, 20))
        vae = diffusers.AutoencoderKLTemporalDecoder(
            down_block_types = ('DownEncoderBlock2D', ) * 4,
            block_out_channels = (128, 256, 512, 512),
            layers_per_block = 2)
    # a few numbers of its own are made where the default device does not reach
    unet, vae = (part.half().eval().to('meta') for part in (unet, vae))
    Denoiser(unet, Layers(unet, kinds = ()))
    return types.SimpleNamespace(unet = unet, vae = vae)


def step(unet, halves, width, height):
    sample = torch.empty(halves, 25, 8, height // 8, width // 8, dtype = torch.half)
    context = torch.empty(halves, 1, 1024, dtype = torch.half)
    unet(
        sample,
        torch.empty(()),
        context,
        torch.empty(halves, 3, dtype = torch.half),
        return_dict = False)


def test_no_scores_of_a_layer_are_too_large_for_apple(tmp_path, model):
    """40 GiB at half precision as torch has them by itself, twice that in 32 bits; and the ladder knows of them."""

    def held(halves, frames = 0):
        latents = torch.empty(frames, 4, 72, 128, dtype = torch.half, device = 'meta')
        with torch.device('meta'), torch.no_grad(), Unfused() as scores, LiveBytes() as live:
            step(model.unet, halves, 1024, 576)
            if frames:
                model.vae.decode(latents, num_frames = frames)
        return scores.largest, live.peak

    assert held(2)[0] > 79 * GIB
    attention.slice_attention([model.unet, model.vae])
    assert held(1, 5)[0] <= attention.MOST
    needs = memory.adjust(published(tmp_path), 'mps', True)
    for halves, is_chunked in ((2, False), (2, True), (1, True)):
        for module in model.unet.modules():
            if hasattr(module, 'set_chunk_feed_forward'):
                module.set_chunk_feed_forward(
                    choose_forward_chunk(25) if is_chunked else None, dim = 0)
        rung = ladder.Rung('', is_chunked = is_chunked, is_split = halves == 1)
        largest, peak = held(halves)
        foretold = memory.predict_peak(rung, needs) - needs.weights
        assert largest <= attention.MOST and peak <= 1.01 * foretold <= 1.35 * peak


def test_attention_is_in_slices_where_it_is_not_fused():
    assert not attention.is_fused('mps', torch)
    assert attention.is_fused('cpu', torch)
    for fused, efficient in ((False, False), (True, False), (False, True)):
        asked = types.SimpleNamespace(
            SDPAParams = lambda *given: given,
            can_use_flash_attention = lambda given, can = fused: can,
            can_use_efficient_attention = lambda given, can = efficient: can)
        amd = types.SimpleNamespace(
            version = types.SimpleNamespace(hip = '7.1'),
            float16 = torch.float16,
            empty = lambda *size, **options: size,
            backends = types.SimpleNamespace(cuda = asked))
        assert attention.is_fused('cuda:0', amd) == (fused or efficient)
