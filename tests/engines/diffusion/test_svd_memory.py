#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The ladder of the Stable Video Diffusion engine: what is foretold against what is counted, every step down, and that
each rung gives the same clip.

Libraries: pytest, torch, diffusers, numpy.
"""

import shutil
import sys
import types

import numpy
import pytest

from modules import errors
from modules.choices import RUNGS
from modules.commands import doctor
from modules.configuration import Configuration, ModelOptions
from modules.engines.contract import MemoryUse
from modules.engines.diffusion import ladder
from modules.engines.diffusion.budget import GIB
from modules.engines.diffusion.compiling import Layers
from modules.engines.registry import Engines
from modules.engines.stable_video import memory, pipeline, presets
from modules.engines.stable_video import sampler as samplers
from modules.engines.stable_video.engine import StableVideo
from modules.engines.stable_video.placed import choose_forward_chunk

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')

import diffusers  # noqa: E402
from live_tensors import FusedAttention, LiveBytes  # noqa: E402
from tiny_svd import animate, loaded, made, photo, published, request  # noqa: E402

from modules.engines.stable_video.denoising import Denoiser  # noqa: E402

#: a clip that is made at once, for what matters in clips of any size
SMALLEST = {
    'image_prompt_width': 64,
    'image_prompt_height': 64,
    'output_frames': 3,
    'inference_steps': 1
}


@pytest.fixture(scope = 'module')
def unet():
    """The published UNet without its numbers, as the engine uses it."""
    with torch.device('meta'):
        whole = diffusers.UNetSpatioTemporalConditionModel(num_attention_heads = (5, 10, 20, 20))
    # a few numbers of its own are made where the default device does not reach
    whole = whole.half().eval().to('meta')
    Denoiser(whole, Layers(whole, kinds = ()))
    return whole


@pytest.fixture(scope = 'module')
def vae():
    with torch.device('meta'):
        whole = diffusers.AutoencoderKLTemporalDecoder(
            down_block_types = ('DownEncoderBlock2D', ) * 4,
            block_out_channels = (128, 256, 512, 512),
            layers_per_block = 2)
    return whole.half().eval().to('meta')


def counted(work):
    with torch.device('meta'), torch.no_grad(), FusedAttention(), LiveBytes() as live:
        work()
    return live.peak


@pytest.mark.parametrize(('frames', 'width', 'height'), [(25, 1024, 576), (14, 1024, 576),
                                                         (25, 576, 320), (14, 640, 384)])
@pytest.mark.parametrize('is_chunked', [False, True])
@pytest.mark.parametrize('halves', [2, 1])
def test_what_the_unet_is_said_to_hold_is_what_it_holds(tmp_path, unet, frames, width, height,
                                                        is_chunked, halves):
    options = {'image_prompt_width': width, 'image_prompt_height': height, 'output_frames': frames}
    needs = published(tmp_path, **options)
    for module in unet.modules():
        if hasattr(module, 'set_chunk_feed_forward'):
            chunk = choose_forward_chunk(frames) if is_chunked else None
            module.set_chunk_feed_forward(chunk_size = chunk, dim = 0)

    def step():
        sample = torch.empty(halves, frames, 8, height // 8, width // 8, dtype = torch.half)
        context = torch.empty(halves, 1, 1024, dtype = torch.half)
        time, conditions = torch.empty(()), torch.empty(halves, 3, dtype = torch.half)
        unet(sample, time, context, conditions, return_dict = False)

    foretold = halves * (needs.chunked_half if is_chunked else needs.half)
    held = counted(step)
    # never less than is needed, and never so much that a rung is wasted
    assert held <= foretold * 1.01 <= held * 1.15


@pytest.mark.parametrize(('width', 'height'), [(1024, 576), (576, 320)])
def test_what_the_vae_is_said_to_hold_is_what_it_holds(tmp_path, vae, width, height):
    needs = published(tmp_path, image_prompt_width = width, image_prompt_height = height)
    latents = torch.empty(5, 4, height // 8, width // 8, dtype = torch.half, device = 'meta')
    held = counted(lambda: vae.decode(latents, num_frames = 5))
    assert held <= 5 * needs.frame <= 1.05 * held
    picture = torch.empty(1, 3, height, width, device = 'meta')
    vae.float()
    try:
        held = counted(lambda: vae.encode(picture))
    finally:
        vae.half()
    assert held <= needs.encoding <= 1.05 * held


@pytest.mark.parametrize(('gibibytes', 'rung'), [(24, 'resident'), (16, 'resident'),
                                                 (12, 'offload'), (10, 'chunked'), (8, 'split'),
                                                 (7, 'split'), (6, 'streamed'), (4, 'streamed'),
                                                 (3, 'single')])
def test_the_published_model_takes_the_fastest_rung_of_a_gpu(tmp_path, gibibytes, rung):
    assert memory.choose_rung('cuda:0', published(tmp_path), gibibytes * GIB).name == rung


@pytest.mark.parametrize(('gibibytes', 'chunk'), [(80, 25), (24, 5), (8, 4)])
def test_as_many_frames_are_decoded_at_once_as_the_rung_leaves_room_for(tmp_path, gibibytes, chunk):
    needs = published(tmp_path)
    rung = memory.choose_rung('cuda:0', needs, gibibytes * GIB)
    assert memory.choose_chunk(rung, needs, 25, gibibytes * GIB) == chunk


def test_the_last_rung_needs_less_than_five_gibibytes(tmp_path):
    assert memory.predict_peak(ladder.RUNGS[-1], published(tmp_path)) + memory.OVERHEAD < 5 * GIB


def test_every_rung_needs_less_than_the_one_before(tmp_path):
    needs = published(tmp_path)
    peaks = [memory.predict_peak(rung, needs, 5) for rung in ladder.RUNGS]
    assert peaks == sorted(peaks, reverse = True) and len(set(peaks)) == len(peaks)


@pytest.mark.parametrize(('name', 'there'), [('offload', 'chunked'), ('streamed', 'single'),
                                             ('split', 'split')])
def test_a_rung_that_a_processor_lacks_is_the_next_one_down(name, there):
    assert ladder.named('cpu', name).name == there
    assert ladder.named('cuda:0', name).name == name


#: a short one, decoded at once
CLIP = {**SMALLEST, 'inference_steps': 3, 'decode_chunk_size': 3}


@pytest.fixture(scope = 'module')
def expected_clip(checkpoint):
    """That of the first rung."""
    return animate(loaded(checkpoint, **CLIP), photo(), request()).astype(int)


@pytest.mark.parametrize('rung', ladder.RUNGS[1:-1], ids = lambda rung: rung.name)
def test_every_rung_makes_the_same_clip(checkpoint, expected_clip, rung):
    """Bit for bit where only weights move; where sums are cut differently, within a rounding of the last bit."""
    engine = loaded(checkpoint, **CLIP)
    # a processor stands in for the GPU that weights move to
    engine.holder.model.take(rung)
    for _ in range(2):
        frames = animate(engine, photo(), request())
        if rung.is_chunked:
            assert numpy.abs(frames - expected_clip).max() <= 1
        else:
            assert numpy.array_equal(frames, expected_clip)


def latents(engine, wanted):
    """What the decoder gets, in 32 bits."""
    seen = []
    sampler = engine.holder.model
    sampler.placed.prepare(presets.apply('quality', engine.model))
    with torch.no_grad():
        image = photo().image.resize((128, 64))
        seen = samplers._denoise(sampler.placed.pipe, image, wanted, engine.model,
                                 lambda *given: given[3])
    sampler.restore()
    return seen


@pytest.fixture(scope = 'module')
def expected_latents(checkpoint):
    """Those of the first rung."""
    return latents(loaded(checkpoint), request())


@pytest.mark.parametrize('rung', ladder.RUNGS[1:], ids = lambda rung: rung.name)
def test_latents_of_every_rung_are_equal_within_a_ten_thousandth(checkpoint, expected_latents,
                                                                 rung):
    engine, expected = loaded(checkpoint), expected_latents
    engine.holder.model.take(rung)
    assert (latents(engine, request()) - expected).abs().max() < 1e-4 * expected.abs().max()


def test_the_last_rung_decodes_frames_one_by_one(checkpoint):
    one_by_one = loaded(checkpoint, **{**CLIP, 'decode_chunk_size': 1})
    last = loaded(checkpoint, memory = 'single', **CLIP)
    difference = animate(last, photo(), request()).astype(int) - animate(
        one_by_one, photo(), request())
    assert numpy.abs(difference).max() <= 1


def peak_of(engine):
    with LiveBytes() as live:
        animate(engine, photo(), request())
    return live.peak


def test_a_device_whose_memory_ends_makes_the_clip_one_rung_further_down(checkpoint):
    """The device counts its bytes for real and refuses when they are used up."""
    options = {'output_frames': 10, 'decode_chunk_size': 1, 'inference_steps': 1}
    with LiveBytes() as live:
        expected = animate(loaded(checkpoint, **options), photo(), request()).astype(int)
    least = round(1.02 * peak_of(loaded(checkpoint, memory = 'chunked', **options)))
    engine, seen = loaded(checkpoint, **options), []
    assert live.peak > 1.1 * least
    with LiveBytes(limit = least):
        frames = animate(engine, photo(), request(), seen.append)
    rungs = [progress.note.values['rung'] for progress in seen if progress.note]
    assert rungs == ['chunked'] and engine.settings(request())['Memory'] == 'chunked'
    assert numpy.abs(frames - expected).max() <= 1
    seen.clear()
    with LiveBytes(limit = least):
        animate(engine, photo(), request(), seen.append)
    assert not [progress for progress in seen if progress.note], 'the rung is remembered'


def test_when_the_last_rung_does_not_suffice_that_is_said(checkpoint):
    engine, seen = loaded(checkpoint, **SMALLEST), []
    with LiveBytes(limit = 1000), pytest.raises(errors.OutOfMemory):
        animate(engine, photo(), request(), seen.append)
    rungs = [progress.note.values['rung'] for progress in seen if progress.note]
    assert rungs == ['chunked', 'split', 'single']


@pytest.mark.parametrize('failing', range(1, 6))
@pytest.mark.parametrize('phase', ['encoding', 'step', 'decoding'])
def test_every_step_down_of_a_gpu(checkpoint, monkeypatch, phase, failing):
    """Weights move between a processor and itself, by the ladder of a GPU."""
    monkeypatch.setattr(ladder, 'rungs', lambda *_device: ladder.RUNGS)
    engine, seen = loaded(checkpoint, **SMALLEST), []

    def report(progress):
        seen.append(progress)
        steps_down = sum(progress.note is not None for progress in seen)
        if progress.phase == phase and steps_down < failing:
            raise torch.OutOfMemoryError('CUDA out of memory.')

    frames = animate(engine, photo(), request(), report)
    rungs = [progress.note.values['rung'] for progress in seen if progress.note]
    assert rungs == [rung.name for rung in ladder.RUNGS[1:failing + 1]]
    assert frames.std() > 1


def test_again_does_not_ask_the_image_encoder(checkpoint):
    engine = loaded(checkpoint, **SMALLEST)
    asked = []
    engine.holder.model.placed.pipe.image_encoder.register_forward_hook(
        lambda *given: asked.append(1))
    first = animate(engine, photo(), request())
    again = animate(engine, photo(), request())
    assert len(asked) == 1 and numpy.array_equal(first, again)
    animate(engine, photo(130, 128), request())
    animate(engine, photo(), request(max_guidance_scale = 1.0))
    assert len(asked) == 3


def test_an_image_encoder_that_was_let_go_is_read_again_for_another_photo(checkpoint):
    short = {'output_frames': 3, 'inference_steps': 1}
    engine, frugal = loaded(checkpoint, **short), loaded(checkpoint, memory = 'split', **short)
    assert frugal.holder.model.placed.pipe.image_encoder is None
    for size in ((256, 128), (128, 256), (256, 128)):
        expected = animate(engine, photo(*size), request()).astype(int)
        assert numpy.abs(animate(frugal, photo(*size), request()) - expected).max() <= 1
        assert frugal.holder.model.placed.pipe.image_encoder is None


@pytest.mark.parametrize(('frames', 'chunk'), [(25, 5), (14, 2), (24, 8), (13, 1), (2, 1), (1, 1)])
def test_feed_forward_chunks_divide_the_frames(frames, chunk):
    assert choose_forward_chunk(frames) == chunk


def test_tells_the_rung_and_what_it_is_predicted_to_hold(checkpoint):
    engine = made(checkpoint, memory = 'split', decode_chunk_size = 1, inference_steps = 1)
    expected = engine.status().predict_memory()
    engine.load()
    assert engine.status().predict_memory() == expected
    assert expected.rung == 'split'
    # weights besides what is counted here
    counted_too = peak_of(engine)
    assert counted_too < expected.peak


def test_what_is_loaded_works_when_its_folder_is_taken_away(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / 'copy')
    engine = loaded(folder)
    expected = animate(engine, photo(), request())
    folder.rename(tmp_path / 'aside')
    status = engine.status()
    assert status.reason is None and status.predict_memory() is None
    assert numpy.array_equal(animate(engine, photo(), request()), expected)


@pytest.mark.parametrize(('gibibytes', 'rung', 'chunk'), [(80, 'resident', 25), (8, 'split', 4)])
def test_tells_the_rung_of_a_gpu_before_it_is_used(tmp_path, monkeypatch, gibibytes, rung, chunk):
    """Once torch is there, as for ``doctor``; not by importing it."""
    needs = published(tmp_path)
    engine = StableVideo(Configuration(), lambda configuration: tmp_path)
    engine.budget.use_device('cuda', None)
    monkeypatch.setattr(engine, '_explain', lambda folder: None)
    monkeypatch.setattr(engine.budget, 'find_source',
                        lambda folder: pipeline.Source(folder, 'fp16', True))
    monkeypatch.delitem(sys.modules, 'torch')
    assert engine.status().predict_memory() is None and 'torch' not in sys.modules
    monkeypatch.setitem(sys.modules, 'torch', gpu(gibibytes))
    peak = memory.predict_peak(ladder.named('cuda', rung), needs, chunk)
    assert engine.status().predict_memory() == MemoryUse(rung, peak)


def gpu(gibibytes):
    """What is asked of torch, on a machine with one GPU."""
    cuda = types.SimpleNamespace(
        is_available = lambda: True,
        device_count = lambda: 1,
        get_device_name = lambda device: 'A Card 3000',
        mem_get_info = lambda device: (gibibytes * GIB, gibibytes * GIB),
        memory_reserved = lambda device: 0,
        memory_allocated = lambda device: 0)
    backends = types.SimpleNamespace(
        mps = types.SimpleNamespace(is_available = lambda: False),
        cudnn = types.SimpleNamespace(version = lambda: 91900))
    version = types.SimpleNamespace(hip = None)
    return types.SimpleNamespace(
        __version__ = '2.13.0', cuda = cuda, backends = backends, version = version)


def test_doctor_tells_the_gpu_the_engine_in_use_and_what_is_set_badly(checkpoint, monkeypatch,
                                                                      capsys):
    monkeypatch.setitem(sys.modules, 'torch', gpu(8))
    model = ModelOptions(model_name = str(checkpoint), output_frames = 72, device = 'cpu')
    configuration = Configuration(model = model)
    assert doctor.examine(configuration, Engines(configuration), 'zh') == 0
    lines = capsys.readouterr().out.splitlines()
    assert f'模型 video                 {checkpoint}' in lines
    assert '正在使用的引擎             svd' in lines
    assert any(line.startswith('注意                       模型按 25 帧训练') for line in lines)
    elsewhere = Configuration(model = ModelOptions())
    lines = dict(doctor.report(elsewhere, Engines(elsewhere), 'en'))
    assert lines['device'] == 'cuda:0, A Card 3000, 8.0 GiB'
    assert lines['model video'] == 'none here' and lines['engine in use'] == 'camera'


def test_doctor_tells_what_is_wrong_with_torch(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, 'torch')
    (tmp_path / 'torch.py').write_text("raise OSError('libcudart.so.12: no such file')")
    monkeypatch.syspath_prepend(tmp_path)
    lines = dict(doctor.report(Configuration(), Engines(Configuration()), 'en'))
    assert 'libcudart.so.12: no such file' in lines['device'].in_('en')


def test_doctor_lists_the_rungs_and_the_one_in_use(checkpoint):
    model = ModelOptions(model_name = str(checkpoint), memory = 'chunked', device = 'cpu')
    configuration = Configuration(model = model)
    lines = dict(doctor.report(configuration, Engines(configuration), 'en'))
    assert lines['ways to use memory'].split(', ') == list(RUNGS)
    assert lines['memory use'].startswith('chunked, ')
