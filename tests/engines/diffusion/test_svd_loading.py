#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Weights that are loaded by several threads, beside clips that are being made: real classes, tiny checkpoints.

Libraries: pytest, torch, diffusers, transformers, numpy.
"""

import concurrent.futures

import numpy
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')

import tiny_checkpoint  # noqa: E402
from diffusers import EDMEulerScheduler, UNetSpatioTemporalConditionModel  # noqa: E402
from tiny_svd import animate, loaded, photo, request  # noqa: E402
from transformers import CLIPVisionModelWithProjection  # noqa: E402

from modules.engines.stable_video import pipeline  # noqa: E402


def load_pipeline(folder):
    pipe = pipeline.load_pipeline(pipeline.Source(folder, 'fp16', True))
    return [
        tensor for part in (pipe.unet, pipe.vae, pipe.image_encoder) for tensor in numbers(part)
    ]


def numbers(model):
    return [tensor for tensor in model.state_dict().values() if tensor.is_floating_point()]


def load_encoder(folder):
    return numbers(pipeline.load_encoder(pipeline.Source(folder, 'fp16', True)))


@pytest.mark.parametrize('load', [load_pipeline, load_encoder])
def test_many_threads_that_load_at_once_each_get_a_whole_model(checkpoint, load):
    """As one for each of many GPUs does."""
    ways = {name: getattr(torch.nn.Module, name) for name in ('register_parameter', '_apply')}
    expected = load(checkpoint)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(load, [checkpoint] * 12))
    for each in found:
        assert not any(tensor.is_meta for tensor in each)
        assert {tensor.dtype for tensor in each} == {torch.float16}
        assert all(map(torch.equal, each, expected))
    assert torch.get_default_dtype() == torch.float32
    assert all(getattr(torch.nn.Module, name) is way for name, way in ways.items())


@pytest.mark.parametrize('kind', [UNetSpatioTemporalConditionModel, CLIPVisionModelWithProjection])
def test_a_clip_that_is_made_while_another_model_is_constructed_is_exact(
        checkpoint, monkeypatch, kind):
    engine, usual, clips = loaded(checkpoint), kind.__init__, []
    expected = animate(engine, photo(), request())

    def construct(*inputs, **options):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            clips.append(pool.submit(animate, engine, photo(), request()).result())
        usual(*inputs, **options)

    construct.__wrapped__ = usual
    monkeypatch.setattr(kind, '__init__', construct)
    if kind is UNetSpatioTemporalConditionModel:
        load_pipeline(checkpoint)
    else:
        load_encoder(checkpoint)
    assert len(clips) == 1 and numpy.array_equal(clips[0], expected)


def test_what_another_thread_compiles_does_not_change_how_a_clip_is_made(checkpoint, monkeypatch):
    engine, asked = loaded(checkpoint), []
    layers = [
        module.to_v for name, module in engine.holder.model.placed.pipe.unet.named_modules()
        if name.endswith('attn2')
    ]
    for layer in layers:
        layer.register_forward_hook(lambda *given: asked.append(1))
    monkeypatch.setattr(torch.compiler, '_is_compiling_flag', True, raising = False)
    animate(engine, photo(), request())
    assert len(asked) == len(layers), 'attention to the photo is computed in the first step alone'


def test_a_scheduler_without_cumulative_products_is_loaded_and_makes_clips(tmp_path):
    folder = tiny_checkpoint.make(tmp_path)
    EDMEulerScheduler(
        sigma_min = 0.002, sigma_max = 700.0, sigma_data = 1.0,
        prediction_type = 'v_prediction').save_pretrained(folder / 'scheduler')
    index = folder / 'model_index.json'
    index.write_text(index.read_text().replace('EulerDiscreteScheduler', 'EDMEulerScheduler'))
    engine = loaded(folder)
    assert not hasattr(engine.holder.model.placed.scheduler, 'alphas_cumprod')
    first, again = (animate(engine, photo(), request()) for _ in range(2))
    assert first.std() > 1 and numpy.array_equal(first, again)
