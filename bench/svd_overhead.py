#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the engine adds to a plain call of diffusers' pipeline: fitting the photo, progress, decoding by chunks, scaling
back. Both run with the same randomly initialised checkpoint of medium size, taking turns; the clips are compared.

    python bench/svd_overhead.py [STEPS] [RUNS]

"bare" is the plain call with a photo of the model's own size already. "around" is what the engine does outside of
the pipeline's call and its decoding, timed on the same photo of 12 million pixels: it does not grow with the steps,
so it is what counts for a clip that takes longer than this one. On a processor, seconds are those that it worked, in
one thread: other work on the machine does not count then, nor do threads that only wait for each other.

Libraries: torch, diffusers, numpy, Pillow.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'support')]

import numpy  # noqa: E402
import tiny_checkpoint  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

from modules.configuration import Configuration, ModelOptions  # noqa: E402
from modules.engines.diffusion import fitting  # noqa: E402
from modules.engines.stable_video import pipeline  # noqa: E402
from modules.engines.stable_video.engine import StableVideo  # noqa: E402
from modules.photos.sizes import Photo  # noqa: E402
from modules.progress import JobControl  # noqa: E402
from modules.request import AnimationRequest, parse_request  # noqa: E402

#: channels of the UNet's first level; 320 in the published weights
WIDTH = 64


def main(steps: int, runs: int) -> None:
    """
    Measure and print the table.

    :param steps: denoising steps of a clip
    :type steps: int
    :param runs: clips of each kind
    :type runs: int
    """
    model = ModelOptions(
        image_prompt_width = 256,
        image_prompt_height = 128,
        output_frames = 8,
        inference_steps = steps,
        engine = 'svd',
        decode_chunk_size = 8)
    photo = _photo()
    request = parse_request([('seed', '3')], Path(), 'photo')
    with tempfile.TemporaryDirectory() as folder:
        engine, plain = _both(tiny_checkpoint.make(Path(folder), width = WIDTH), model)
    fit = fitting.plan(photo.full_size, model)
    small = fitting.fit_to_model(photo.image, fit)

    def ours() -> numpy.ndarray:
        return engine.animate(photo, request, JobControl())

    def bare() -> numpy.ndarray:
        return _plain_frames(plain, small, model, request)

    if engine.budget.device == 'cpu':
        torch.set_num_threads(1)
    ours(), bare()
    clock = time.process_time if engine.budget.device == 'cpu' else time.perf_counter
    times = [_pair(bare, ours, clock, run % 2 == 1) for run in range(runs)]
    frames = bare()
    same = numpy.array_equal(fitting.fit_to_result(frames, fit), ours())
    around = statistics.median(
        _seconds(lambda: _around(photo, frames, fit), clock) for _ in range(runs))
    bare_seconds, our_seconds = (statistics.median(column) for column in zip(*times, strict = True))
    ratio = statistics.median(our / plain for plain, our in times)
    print(
        f'{engine.budget.device}, {steps} steps, {model.output_frames} frames of 256 x 128, {runs} runs, medians'
    )
    print(f'bare pipeline        {bare_seconds:8.3f} s')
    print(f'the engine           {our_seconds:8.3f} s   ratio of pairs {ratio:.3f}')
    print(f'around               {around:8.3f} s   {around / bare_seconds:.2%} of the bare call')
    print(f'same frames          {same}')


def _photo() -> Photo:
    noise = numpy.random.default_rng(0).integers(0, 256, (300, 400, 3), numpy.uint8)
    image = Image.fromarray(noise).resize((4000, 3000), Image.Resampling.BICUBIC)
    return Photo(image, image.size)


def _both(folder: Path, model: ModelOptions) -> tuple:
    engine = StableVideo(Configuration(model = model), lambda configuration: folder)
    engine.load()
    plain = pipeline.load_pipeline(engine.budget.find_source(folder))
    plain.to(engine.budget.device)
    return engine, plain


def _plain_frames(pipe: Callable, image: Image.Image, model: ModelOptions,
                  request: AnimationRequest) -> numpy.ndarray:
    pixels = pipe(
        image,
        width = image.width,
        height = image.height,
        num_frames = model.output_frames,
        num_inference_steps = model.inference_steps,
        fps = model.conditioning_fps,
        decode_chunk_size = model.decode_chunk_size,
        generator = torch.Generator().manual_seed(request.seed),
        output_type = 'np').frames[0]
    return (pixels * 255).round().astype(numpy.uint8)


def _around(photo: Photo, frames: numpy.ndarray, fit: fitting.Fit) -> None:
    fitting.fit_to_model(photo.image, fit)
    fitting.fit_to_result(frames, fit)


def _pair(bare: Callable, ours: Callable, clock: Callable, is_turned: bool) -> tuple[float, float]:
    """Who comes second may find the machine slower, so they change places."""
    if is_turned:
        our_seconds = _seconds(ours, clock)
        return _seconds(bare, clock), our_seconds
    return _seconds(bare, clock), _seconds(ours, clock)


def _seconds(work: Callable, clock: Callable) -> float:
    started = clock()
    work()
    return clock() - started


if __name__ == '__main__':
    main(*(int(argument) for argument in (sys.argv[1:] + ['10', '5'][len(sys.argv) - 1:])))
