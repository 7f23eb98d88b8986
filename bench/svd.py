#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Stable Video Diffusion as diffusers runs it, as it was once run here, and as it runs now: seconds, arithmetic, memory,
distance. The numbers in the model are random, on which speed and memory do not depend; a distance between clips of
noise tells only that two ways differ, not by how much a person would see.

    python bench/svd.py [WIDTHxHEIGHT] [FRAMES] [STEPS] [CHANNELS] [RUNS]

``CHANNELS`` of the UNet's first level: 320 is the published architecture, fewer a smaller one of the same build. On a
GPU all at half precision and every preset compiled, peak memory as its allocator tells it; on a processor in 32 bits,
peak memory in counted live tensors besides the weights. Ways take turns, medians are told; "times" is against plain
diffusers of the same round.

Libraries: torch, diffusers, transformers, numpy, Pillow.
"""

import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests')]

import diffusers  # noqa: E402
import numpy  # noqa: E402
import tiny_checkpoint  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from live_tensors import LiveBytes  # noqa: E402
from PIL import Image  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from modules import parameters  # noqa: E402
from modules.configuration import Configuration, ModelOptions  # noqa: E402
from modules.engines.stable_video import StableVideo, pipeline, presets  # noqa: E402

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'

#: called after every step
OnStep = Callable[[], None]


@dataclass
class Way:
    """One row."""

    name: str
    make: Callable[[OnStep], numpy.ndarray]
    seconds: list[float] = dataclasses.field(default_factory = list)
    #: of each step but the first, of all clips
    step_seconds: list[float] = dataclasses.field(default_factory = list)
    flops: int = 0
    peak: int = 0
    clip: numpy.ndarray | None = None


def main(size: str, frames: int, steps: int, channels: int, runs: int) -> None:
    """
    Measure and print the table.

    :param size: width × height given to the model
    :type size: str
    :param frames: frames of a clip
    :type frames: int
    :param steps: denoising steps of a clip
    :type steps: int
    :param channels: of the UNet's first level
    :type channels: int
    :param runs: clips of each way
    :type runs: int
    """
    width, height = (int(side) for side in size.split('x'))
    model = ModelOptions(
        image_prompt_width = width,
        image_prompt_height = height,
        output_frames = frames,
        inference_steps = steps,
        engine = 'svd')
    with tempfile.TemporaryDirectory() as folder:
        ways = _ways(_checkpoint(Path(folder), channels), model)
        for way in ways:
            _count(way)
        for number in range(runs):
            for way in ways if number % 2 == 0 else reversed(ways):
                _time(way)
    print(
        f'{_machine()}, {frames} frames of {width} x {height}, {steps} steps, {channels} channels, '
        f'medians of {runs}')
    print(
        f'{"":32} {"s/clip":>8} {"s/step":>7} {"times":>6} {"TFLOP":>8} {"peak GiB":>9} {"PSNR dB":>8}'
    )
    for way in ways:
        _print(way, ways[0])


def _checkpoint(folder: Path, channels: int) -> Path:
    torch.manual_seed(0)
    vae_channels = max(32, channels * 2 // 5 // 32 * 32)
    pipe = diffusers.StableVideoDiffusionPipeline(
        vae = diffusers.AutoencoderKLTemporalDecoder(
            down_block_types = ('DownEncoderBlock2D', ) * 4,
            block_out_channels = tuple(vae_channels * n for n in (1, 2, 4, 4)),
            layers_per_block = 2),
        image_encoder = transformers.CLIPVisionModelWithProjection(
            transformers.CLIPVisionConfig(
                hidden_size = 4 * channels,
                intermediate_size = 16 * channels,
                num_hidden_layers = 32,
                num_attention_heads = 16,
                patch_size = 14,
                projection_dim = 1024)),
        unet = diffusers.UNetSpatioTemporalConditionModel(
            block_out_channels = tuple(channels * n for n in (1, 2, 4, 4)),
            num_attention_heads = tuple(channels // 64 * n for n in (1, 2, 4, 4)),
            num_frames = 25),
        scheduler = diffusers.EulerDiscreteScheduler(**tiny_checkpoint.SCHEDULER),
        feature_extractor = transformers.CLIPImageProcessor())
    pipe.to(dtype = torch.float16).save_pretrained(folder, variant = 'fp16')
    return folder


def _ways(folder: Path, model: ModelOptions) -> list[Way]:
    noise = numpy.random.default_rng(0).integers(0, 256, (9, 16, 3), numpy.uint8)
    size = model.image_prompt_width, model.image_prompt_height
    image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    engine = StableVideo(Configuration(model = model), lambda configuration: folder)
    engine.load()
    chunk = engine._sampler.chunk(model)
    plain = pipeline.load(folder, 'fp16', DEVICE).to(DEVICE)
    rows = [Way(f'plain diffusers, chunk {chunk}', partial(_plain, plain, image, model, chunk))]
    if DEVICE == 'cuda':
        earlier = pipeline.load(folder, 'fp16', DEVICE)
        earlier.enable_model_cpu_offload()
        rows.append(
            Way('as it was: autocast, chunk all',
                partial(_autocast, earlier, image, model, model.output_frames)))
    else:
        rows.append(
            Way('as it was: chunk all', partial(_plain, plain, image, model, model.output_frames)))
    if DEVICE == 'cuda':
        rows.append(Way('quality, not compiled', partial(_ours, engine, image, model, 'quality')))
        compiled = StableVideo(Configuration(model = model), lambda configuration: folder)
        compiled.load()
        for preset in presets.TABLE.values():
            applied = presets.applied(preset, model)
            compiled._sampler.compile((applied.image_prompt_width, applied.image_prompt_height),
                                      preset, applied, bool)
        engine = compiled
    for preset in parameters.PRESETS:
        rows.append(Way(preset, partial(_ours, engine, image, model, preset)))
    for rung in ('chunked', 'split', 'streamed', 'single') if DEVICE == 'cuda' else ('split', ):
        frugal = StableVideo(
            Configuration(model = dataclasses.replace(model, memory = rung)),
            lambda configuration: folder)
        frugal.load()
        rows.append(
            Way(f'quality, Memory = {rung}', partial(_ours, frugal, image, model, 'quality')))
    return rows


def _plain(pipe: diffusers.StableVideoDiffusionPipeline, image: Image.Image, model: ModelOptions,
           chunk: int, on_step: OnStep) -> numpy.ndarray:

    def tell(_pipe, _step, _time, tensors):
        on_step()
        return tensors

    pixels = pipe(
        image,
        width = image.width,
        height = image.height,
        num_frames = model.output_frames,
        num_inference_steps = model.inference_steps,
        decode_chunk_size = chunk,
        generator = torch.Generator().manual_seed(3),
        callback_on_step_end = tell,
        output_type = 'np').frames[0]
    return (pixels * 255).round().astype(numpy.uint8)


def _autocast(*given: object) -> numpy.ndarray:
    with torch.autocast('cuda'):
        return _plain(*given)


def _ours(engine: StableVideo, image: Image.Image, model: ModelOptions, preset: str,
          on_step: OnStep) -> numpy.ndarray:
    request = parameters.parse([('seed', '3'), ('preset', preset)], Path(), 'photo')
    applied = presets.applied(presets.TABLE[preset], model)
    image = image.resize((applied.image_prompt_width, applied.image_prompt_height))
    return engine.frames(image, request, lambda told: told.phase != 'step' or on_step(),
                         lambda: None)


def _count(way: Way) -> None:
    """Arithmetic and memory, in a run of their own: counting takes time."""
    if DEVICE == 'cuda':
        way.make(bool)
        torch.cuda.reset_peak_memory_stats()
        way.clip = way.make(bool)
        way.peak = torch.cuda.max_memory_allocated()
    else:
        with LiveBytes() as live:
            way.clip = way.make(bool)
        way.peak = live.peak
    with FlopCounterMode(display = False) as counter:
        way.make(bool)
    way.flops = counter.get_total_flops()


def _time(way: Way) -> None:
    moments, started = [], time.perf_counter()

    def note():
        if DEVICE == 'cuda':
            torch.cuda.synchronize()
        moments.append(time.perf_counter())

    way.make(note)
    way.seconds.append(time.perf_counter() - started)
    way.step_seconds += [after - before for before, after in pairwise(moments)]


def _machine() -> str:
    return torch.cuda.get_device_name(
    ) if DEVICE == 'cuda' else f'{torch.get_num_threads()} CPU threads'


def _print(way: Way, plain: Way) -> None:
    times = statistics.median(a / b for a, b in zip(plain.seconds, way.seconds, strict = True))
    distance = '-'
    if way.clip.shape == plain.clip.shape:
        error = numpy.square(way.clip.astype(float) - plain.clip).mean()
        distance = f'{10 * numpy.log10(255**2 / error):.1f}' if error else 'equal'
    print(f'{way.name:32} {statistics.median(way.seconds):8.2f} '
          f'{statistics.median(way.step_seconds):7.3f} {times:6.2f} {way.flops / 1e12:8.3f} '
          f'{way.peak / 2**30:9.3f} {distance:>8}')


if __name__ == '__main__':
    given = sys.argv[1:] + ['256x128', '8', '25', '64', '3'][len(sys.argv) - 1:]
    main(given[0], *(int(argument) for argument in given[1:]))
