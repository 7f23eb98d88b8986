#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The Stable Video Diffusion engine compiles while nobody waits: what is compiled, what is not, and what a job that comes
meanwhile has to wait for. With the compiler's tracing and none of its code, which a processor would make for minutes.

Libraries: pytest, torch, diffusers, numpy.
"""

import numpy
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')

import compiled  # noqa: E402
from compiled import LANDSCAPE, PORTRAIT, forbid_eager, graphs, prepare, small  # noqa: E402
from tiny_svd import animate, loaded, photo, request  # noqa: E402

from modules.engines.diffusion import compiling  # noqa: E402
from modules.progress import do_nothing  # noqa: E402

pytestmark = pytest.mark.usefixtures('compiled_on_a_processor')


@pytest.mark.parametrize('preset', ['quality', 'balanced', 'fast', 'draft'])
def test_after_preparing_every_step_of_the_preset_is_compiled_for_both_orientations(
        uniform_checkpoint, monkeypatch, preset):
    # the preset with steps of all kinds is traced, and that of the others' steps elsewhere
    if preset != 'fast':
        compiled.record_shapes(monkeypatch)
    # all steps of the first preset are alike
    steps = 3 if preset == 'quality' else 25
    engine = loaded(uniform_checkpoint, inference_steps = steps, preset = preset)
    expected = {size: animate(engine, photo(*size), request()) for size in (LANDSCAPE, PORTRAIT)}
    assert engine.settings(request())['UNet'] is False and graphs() == 0
    prepare(engine)
    made = graphs()
    assert made >= 4
    forbid_eager(engine)
    for size, frames in expected.items():
        difference = animate(engine, photo(*size), request()).astype(int) - frames
        assert numpy.abs(difference).max() <= 1
        assert engine.settings(request())['UNet'] is True
    assert graphs() == made


def test_frames_that_are_left_over_are_decoded_by_compiled_code_too(uniform_checkpoint,
                                                                    monkeypatch):
    compiled.record_shapes(monkeypatch)
    engine = loaded(uniform_checkpoint, image_prompt_width = 64, decode_chunk_size = 2)
    prepare(engine)
    made = graphs()
    forbid_eager(engine)
    animate(engine, photo(128, 128), request())
    assert graphs() == made


def test_no_clip_waits_for_a_compiler(uniform_checkpoint, monkeypatch):
    """Other presets have other shapes, for which nothing is compiled then."""
    compiled.record_shapes(monkeypatch)
    engine = loaded(uniform_checkpoint, output_frames = 15, image_prompt_width = 192)
    animate(engine, photo(), request())
    assert graphs() == 0
    prepare(engine)
    made = graphs()
    for preset in ('fast', 'draft'):
        animate(engine, photo(), request(preset = preset))
    animate(engine, photo(), request(max_guidance_scale = 1.0))
    assert graphs() == made
    animate(engine, photo(), request(preset = 'draft'))
    assert engine.settings(request())['UNet'] is False


def test_many_gpus_and_presets_are_not_too_many_shapes():
    """More than torch would compile by itself, whose limits are lower here than they usually are: 8 and 256."""
    assert compiling.MOST_SHAPES >= 270
    part, layers = small()
    few = torch._dynamo.config.patch(cache_size_limit = 4, accumulated_cache_size_limit = 8)
    with few, layers.compiling(do_nothing):
        for shape in range(2, 14):
            part(torch.ones(shape))
    assert graphs() == 12


def test_layers_that_are_alike_share_their_code():
    layers = torch.nn.Sequential(*(compiled.SpatioTemporalResBlock() for _ in range(9)))
    part, switch = small(layers)
    with switch.compiling(do_nothing):
        part(torch.ones(3))
    assert len(switch.all) == 9 and graphs() == 1
