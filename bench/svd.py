#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Stable Video Diffusion as diffusers runs it and as it runs here: seconds, arithmetic, memory, distance. The numbers in
the model are random, on which speed and memory do not depend; a distance between clips of noise tells only that two
ways differ, not by how much a person would see.

    python bench/svd.py [WIDTHxHEIGHT] [FRAMES] [STEPS] [CHANNELS] [RUNS] [--seconds N] [--rungs]

``CHANNELS`` of the UNet's first level: 320 is the published architecture, fewer a smaller one of the same build. On a
GPU all at half precision, presets by compiled code, and peak memory as its allocator tells it (allocated / reserved),
with the weights of both pipelines; on a processor in 32 bits, and peak memory in counted live tensors besides the
weights. Ways take turns, medians are told; "times" is against plain diffusers of the same round. Each figure is printed
when it is there, so that a run that is cut short leaves what it found. What would end after ``--seconds`` (540) is left
out and named.

``--rungs``, on a GPU: three steps on rungs of the memory ladder, the allocator's limit lowered to cards of 8 and 6 GiB.

Libraries: torch, diffusers, transformers, numpy, Pillow.
"""

import argparse
import dataclasses
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'support')]

from modules.engines.diffusion import allocator  # noqa: E402

if __name__ == '__main__':
    # as in the program; read once, when torch is imported
    allocator.prepare(os.environ)

import diffusers  # noqa: E402
import numpy  # noqa: E402
import tiny_checkpoint  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from live_tensors import LiveBytes  # noqa: E402
from PIL import Image  # noqa: E402
from torch._dynamo.utils import counters  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from modules import errors  # noqa: E402
from modules.choices import PRESETS  # noqa: E402
from modules.configuration import Configuration, ModelOptions  # noqa: E402
from modules.engines.diffusion.decoding import ClipControl  # noqa: E402
from modules.engines.stable_video import pipeline, presets  # noqa: E402
from modules.engines.stable_video.engine import StableVideo  # noqa: E402
from modules.progress import do_nothing  # noqa: E402
from modules.request import parse_request  # noqa: E402

GIB = 2**30

#: rung → GiB of the card it is for
RUNGS = {'split': 8, 'streamed': 6}

#: of a GPU, GiB that its context takes from the allocator's share
CONTEXT = 0.6

#: called after every step
OnStep = Callable[[], None]


@dataclass
class Way:
    """One row."""

    name: str
    make: Callable[[OnStep], numpy.ndarray]
    #: compiled code cannot be counted
    is_counted: bool = True
    #: of each round
    seconds: dict[int, float] = dataclasses.field(default_factory = dict)
    #: of each step but the first, of all clips
    step_seconds: list[float] = dataclasses.field(default_factory = list)
    flops: int = 0
    peak: str = ''
    clip: numpy.ndarray | None = None


class Rounds:
    """
    Measures ways by turns.

    :param is_gpu: whether the allocator is asked
    :type is_gpu: bool
    :param seconds: after which no clip is to end
    :type seconds: float
    """

    def __init__(self, is_gpu: bool, seconds: float):
        self.is_gpu = is_gpu
        self._end = time.monotonic() + seconds
        self._round = 0
        self.left_out: list[str] = []

    def _stop_in_time(self) -> None:
        if time.monotonic() > self._end:
            raise errors.Cancelled

    def _first(self, way: Way) -> None:
        """A clip that is not timed: it loads kernels, and what is counted is counted."""
        started = time.perf_counter()
        if self.is_gpu:
            self._reset_peak()
            count_flops(way)
            way.peak = self._peak()
        else:
            with LiveBytes() as live:
                way.make(do_nothing)
            way.peak = f'{live.peak / GIB:.3f}'
            count_flops(way)
        tell(f'{way.name}: first clip {time.perf_counter() - started:.2f} s')

    def _rounds(self, ways: list[Way], runs: int) -> None:
        """There and back; what has no time any more is named once."""
        for number in range(runs):
            self._round += 1
            for way in ways if number % 2 == 0 else reversed(ways):
                expected = max(way.seconds.values(), default = 0)
                if time.monotonic() + expected > self._end:
                    self.left_out.append(f'{way.name}, run {number + 1}')
                    continue
                self._time(way)
                tell(f'{way.name}: {way.seconds[self._round]:.2f} s')

    def _time(self, way: Way) -> None:
        moments, started = [], time.perf_counter()

        def note():
            if self.is_gpu:
                torch.cuda.synchronize()
            moments.append(time.perf_counter())

        way.make(note)
        way.seconds[self._round] = time.perf_counter() - started
        way.step_seconds += [after - before for before, after in pairwise(moments)]

    def _reset_peak(self) -> None:
        if self.is_gpu:
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def _peak(self) -> str:
        allocated, reserved = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
        return f'{allocated / GIB:.2f} / {reserved / GIB:.2f}'


class Bench(Rounds):
    """
    A run of the benchmark.

    :param model: the options
    :type model: ModelOptions
    :param folder: the checkpoint
    :type folder: Path
    :param is_gpu: whether the allocator is asked and code is compiled
    :type is_gpu: bool
    :param seconds: after which no clip is to end
    :type seconds: float
    """

    def __init__(self, model: ModelOptions, folder: Path, is_gpu: bool, seconds: float):
        super().__init__(is_gpu, seconds)
        self.model = model
        self.folder = folder
        self.engine = self.load(model)
        self.device = self.engine.budget.device
        noise = numpy.random.default_rng(0).integers(0, 256, (9, 16, 3), numpy.uint8)
        size = model.image_prompt_width, model.image_prompt_height
        self.image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)

    def load(self, model: ModelOptions) -> StableVideo:
        """
        Load an engine.

        :param model: the options
        :type model: ModelOptions
        :return: the engine
        :rtype: StableVideo
        """
        engine = StableVideo(Configuration(model = model), lambda configuration: self.folder)
        engine.load()
        return engine

    def run(self, runs: int) -> list[Way]:
        """
        Measure all ways.

        :param runs: clips of each way
        :type runs: int
        :return: the ways
        :rtype: list[Way]
        """
        chunk = self.engine.holder.require().choose_chunk(self.model)
        plain = pipeline.load_pipeline(self.engine.budget.find_source(self.folder))
        plain.to(self.device)
        ways = [Way(f'plain diffusers, chunk {chunk}', partial(self._plain, plain, chunk))]
        if not self.is_gpu:
            ways += self._own(PRESETS, '')
            split = self.load(dataclasses.replace(self.model, memory = 'split'))
            ways.append(Way('quality, Memory = split', partial(self._ours, split, 'quality')))
        else:
            ways += self._own(('quality', 'draft'), ', not compiled')
        for way in ways:
            self._first(way)
        if self.is_gpu:
            self._rounds(ways, 1)
            ways += self._compiled()
            self._rounds([ways[0], *ways[3:]], runs)
        else:
            self._rounds(ways, runs)
        return ways

    def _own(self, names: tuple[str, ...], words: str, is_counted: bool = True) -> list[Way]:
        return [
            Way(name + words, partial(self._ours, self.engine, name), is_counted) for name in names
        ]

    def _compiled(self) -> list[Way]:
        """Code for ``fast`` is code for the presets before it as well."""
        self._reset_peak()
        started, before = time.perf_counter(), counters['stats']['unique_graphs']
        sampler = self.engine.holder.require()
        try:
            is_done = sampler.compile(self.image.size, presets.apply('fast', self.model),
                                      self._stop_in_time)
        except errors.Cancelled:
            is_done = False
            self.left_out.append('compiled code')
        tell(f'compiling: {time.perf_counter() - started:.1f} s, '
             f'{counters["stats"]["unique_graphs"] - before} graphs, peak GiB {self._peak()}'
             f'{"" if is_done else ", not done"}')
        names = ('quality', 'balanced', 'fast') if is_done else ()
        ways = self._own(names, ', compiled', is_counted = False)
        for way in ways:
            self._first(way)
            if not sampler.placed.denoiser.compilables[0].was_compiled:
                way.name += ' (it was not)'
        return ways

    def _plain(self, pipe: Any, chunk: int, on_step: OnStep) -> numpy.ndarray:

        def report_step(_pipe, _step, _time, tensors):
            on_step()
            return tensors

        pixels = pipe(
            self.image,
            width = self.image.width,
            height = self.image.height,
            num_frames = self.model.output_frames,
            num_inference_steps = self.model.inference_steps,
            decode_chunk_size = chunk,
            generator = torch.Generator().manual_seed(3),
            callback_on_step_end = report_step,
            output_type = 'np').frames[0]
        return (pixels * 255).round().astype(numpy.uint8)

    def _ours(self, engine: StableVideo, preset: str, on_step: OnStep) -> numpy.ndarray:
        request = parse_request([('seed', '3'), ('preset', preset)], Path(), 'photo')
        model = presets.apply(preset, engine.model).model
        image = self.image.resize((model.image_prompt_width, model.image_prompt_height))

        def report(progress):
            if progress.phase == 'step':
                on_step()

        return engine.make_frames(image, request, ClipControl(report))

    def rungs(self) -> list[Way]:
        """
        Measure three steps on frugal rungs, within the memory of the cards they are for.

        :return: the ways
        :rtype: list[Way]
        """
        del self.engine
        total = torch.cuda.mem_get_info()[1] / GIB
        ways = []
        for rung, size in RUNGS.items():
            name = f'{rung}, {size} GiB, 3 steps'
            if time.monotonic() > self._end:
                self.left_out.append(name)
                continue
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.set_per_process_memory_fraction(min(1.0, (size - CONTEXT) / total))
            model = dataclasses.replace(self.model, memory = rung, inference_steps = 3)
            engine = self.load(model)
            ways.append(Way(name, partial(self._ours, engine, 'quality'), is_counted = False))
            self._first(ways[-1])
            self._rounds(ways[-1:], 1)
            # it holds the engine; and three steps come to another clip
            del ways[-1].make
            ways[-1].clip = None
            del engine
        return ways


def main(given: argparse.Namespace, is_gpu: bool) -> None:
    """
    Measure and print the table.

    :param given: the command line
    :type given: argparse.Namespace
    :param is_gpu: whether the allocator is asked and code is compiled
    :type is_gpu: bool
    """
    started = time.monotonic()
    width, height = (int(side) for side in given.size.split('x'))
    model = ModelOptions(
        image_prompt_width = width,
        image_prompt_height = height,
        output_frames = given.frames,
        inference_steps = given.steps,
        engine = 'svd')
    with tempfile.TemporaryDirectory() as folder:
        made = make_checkpoint(Path(folder), given.channels)
        bench = Bench(model, made, is_gpu, given.seconds - (time.monotonic() - started))
        ways = bench.run(given.runs)
        print_table(
            ways, f'{machine(is_gpu)}, {given.frames} frames of {given.size}, {given.steps} '
            f'steps, {given.channels} channels, medians')
        if given.rungs and is_gpu:
            for way in ways:
                del way.make
            print_table([ways[0], *bench.rungs()], 'rungs of the memory ladder')
    for name in bench.left_out:
        tell(f'left out, no time: {name}')
    tell(f'{time.monotonic() - started:.0f} s in all')


def make_checkpoint(folder: Path, channels: int) -> Path:
    """
    Save a model of the published build.

    :param folder: where to
    :type folder: Path
    :param channels: of the UNet's first level
    :type channels: int
    :return: the folder
    :rtype: Path
    """
    torch.manual_seed(0)
    vae_channels = max(32, channels * 2 // 5 // 32 * 32)
    pipe: Any = diffusers.StableVideoDiffusionPipeline(
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


def machine(is_gpu: bool) -> str:
    """
    Name what computes.

    :param is_gpu: whether a GPU does
    :type is_gpu: bool
    :return: the GPU's name, or the processor's threads
    :rtype: str
    """
    name = torch.cuda.get_device_name() if is_gpu else f'{torch.get_num_threads()} CPU threads'
    return f'{name}, torch {torch.__version__}, diffusers {diffusers.__version__}'


def print_table(ways: list[Way], title: str) -> None:
    """
    Print what was measured; of ways that were not timed, what there is.

    :param ways: the rows, the first being what others are compared with
    :type ways: list[Way]
    :param title: of the table
    :type title: str
    """
    tell(f'\n{title}\n{"":34} {"s/clip":>8} {"s/step":>7} {"times":>6} {"TFLOP":>8} '
         f'{"peak GiB":>15} {"PSNR dB":>8}')
    for way in ways:
        seconds, step = (f'{statistics.median(values):.{digits}f}' if values else '-'
                         for values, digits in ((way.seconds.values(), 2), (way.step_seconds, 3)))
        plain = ways[0].seconds
        pairs = [(plain[at], own) for at, own in way.seconds.items() if at in plain]
        times = f'{statistics.median(a / b for a, b in pairs):.2f}' if pairs else '-'
        distance, clip, first = '-', way.clip, ways[0].clip
        if clip is not None and first is not None and clip.shape == first.shape:
            distance = measure_distance(clip, first)
        flops = f'{way.flops / 1e12:.3f}' if way.flops else '-'
        tell(f'{way.name:34} {seconds:>8} {step:>7} {times:>6} {flops:>8} {way.peak:>15} '
             f'{distance:>8}')


def count_flops(way: Way) -> None:
    """
    Make a clip, and count its arithmetic where that is possible.

    :param way: the way to make it; gets the clip and the sum
    :type way: Way
    """
    if not way.is_counted:
        way.clip = way.make(do_nothing)
        return
    with FlopCounterMode(display = False) as counter:
        way.clip = way.make(do_nothing)
    way.flops = counter.get_total_flops()


def measure_distance(clip: numpy.ndarray, other: numpy.ndarray) -> str:
    """
    Measure how far two clips are from each other.

    :param clip: uint8 [T, H, W, 3]
    :type clip: numpy.ndarray
    :param other: of the same shape
    :type other: numpy.ndarray
    :return: the ratio of peak signal and noise in decibels, or ``equal``
    :rtype: str
    """
    error = numpy.square(clip.astype(float) - other).mean()
    return f'{10 * numpy.log10(255**2 / error):.1f}' if error else 'equal'


def tell(line: str) -> None:
    """
    Print at once.

    :param line: what to print
    :type line: str
    """
    print(line, flush = True)


def parse(words: list[str]) -> argparse.Namespace:
    """
    Read the command line.

    :param words: the arguments
    :type words: list[str]
    :return: what they say
    :rtype: argparse.Namespace
    """
    parser = argparse.ArgumentParser(description = __doc__.splitlines()[1])
    parser.add_argument('size', nargs = '?', default = '256x128')
    for name, usual in (('frames', 8), ('steps', 25), ('channels', 64), ('runs', 3)):
        parser.add_argument(name, nargs = '?', type = int, default = usual)
    parser.add_argument('--seconds', type = float, default = 540)
    parser.add_argument('--rungs', action = 'store_true')
    return parser.parse_args(words)


if __name__ == '__main__':
    main(parse(sys.argv[1:]), torch.cuda.is_available())
