#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What it costs to show a clip while it forms: the same clip with pictures and without, taking turns, and with a viewer
who makes a JPEG of the newest picture again and again, as a page that follows a job does at its fastest.

    python bench/preview.py [STEPS] [RUNS]

Stable Video Diffusion runs with a small randomly initialised checkpoint, whose steps are far shorter than those of
the published weights, so what is printed for it is more than anybody pays. It is without pictures where the scheduler
is of a kind that has none. "alone" is the making of all pictures by itself: it can tell what the noise of a busy
machine hides. Camera motion's pictures are views of its frames, and cannot be left out; only "alone" is told.

Libraries: torch, diffusers, numpy, Pillow, OpenCV.
"""

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'support')]

import numpy  # noqa: E402
import tiny_checkpoint  # noqa: E402
import torch  # noqa: E402
from diffusers import EulerDiscreteScheduler  # noqa: E402
from PIL import Image  # noqa: E402

from modules.clips import animator  # noqa: E402
from modules.configuration import Configuration, ModelOptions  # noqa: E402
from modules.engines.camera.engine import CameraMotion  # noqa: E402
from modules.engines.diffusion import fitting  # noqa: E402
from modules.engines.stable_video import preview  # noqa: E402
from modules.engines.stable_video.engine import StableVideo  # noqa: E402
from modules.photos.sizes import Photo  # noqa: E402
from modules.progress import JobControl, Progress  # noqa: E402
from modules.request import AnimationRequest, parse_request  # noqa: E402

FRAMES = 8


class Unseen(EulerDiscreteScheduler):
    """The same steps, under a name that the preview does not know."""


class Viewer:
    """Makes a JPEG of the newest picture, on a thread of its own, until it is left."""

    def __init__(self):
        self._newest = None
        self._news = threading.Event()
        self._is_over = False
        self._thread = threading.Thread(target = self._look)

    def __enter__(self) -> Callable[[Progress], None]:
        self._thread.start()
        return self._tell

    def __exit__(self, *_error: object) -> None:
        self._is_over = True
        self._news.set()
        self._thread.join()

    def _tell(self, progress: Progress) -> None:
        self._newest = progress.picture
        self._news.set()

    def _look(self) -> None:
        while not self._is_over:
            self._news.wait()
            self._news.clear()
            if self._newest is not None:
                animator.preview_jpeg(self._newest)


def main(steps: int, runs: int) -> None:
    """
    Measure and print the table.

    :param steps: denoising steps of a clip
    :type steps: int
    :param runs: clips of each kind
    :type runs: int
    """
    photo = _photo()
    print(f'{steps} steps, {FRAMES} frames of 448 x 256, 25 of camera motion; {runs} runs, medians')
    print('                     without       with  ratio of pairs      viewed  ratio       alone')
    _diffusion(photo, steps, runs)
    _camera(photo, runs)


def _diffusion(photo: Photo, steps: int, runs: int) -> None:
    model = ModelOptions(
        image_prompt_width = 448,
        image_prompt_height = 256,
        output_frames = FRAMES,
        inference_steps = steps,
        engine = 'svd',
        device = 'cpu')
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = tiny_checkpoint.make(Path(folder))
        engine = StableVideo(Configuration(model = model), lambda configuration: checkpoint)
        engine.load()
    seen = engine.holder.require().placed.scheduler
    unseen = Unseen.from_config(seen.config)
    unseen.alphas_cumprod = seen.alphas_cumprod

    def run(scheduler: EulerDiscreteScheduler, report: Callable = lambda progress: None) -> float:
        engine.holder.require().placed.scheduler = scheduler
        return _seconds(lambda: engine.animate(photo, _request(), JobControl(report)))

    def viewed() -> float:
        with Viewer() as viewer:
            return run(seen, viewer)

    fit = fitting.plan(photo.full_size, model)
    tensors = {name: torch.randn(1, FRAMES, 4, 32, 56) for name in preview.TENSORS}
    run(seen)

    def show() -> None:
        frame = preview.preview_frame(seen, tensors)
        if frame is None:
            raise SystemExit('the preview knows the scheduler no more')
        fitting.restore_shape(frame, fit)

    alone = statistics.median(_seconds(show) for _ in range(100)) * steps
    _print('Stable Video Diffusion', [lambda: run(unseen), lambda: run(seen), viewed], runs, alone)


def _camera(photo: Photo, runs: int) -> None:
    engine = CameraMotion(Configuration(model = ModelOptions()))
    engine.load()
    frames = numpy.empty((25, 576, 1024, 3), numpy.uint8)

    def run(report: Callable = lambda progress: None) -> float:
        return _seconds(lambda: engine.animate(photo, _request(), JobControl(report)))

    def viewed() -> float:
        with Viewer() as viewer:
            return run(viewer)

    run()
    alone = _seconds(lambda: [frames[frame] for frame in range(25)])
    _print('Camera motion', [None, run, viewed], runs, alone)


def _print(name: str, ways: list[Callable | None], runs: int, alone: float) -> None:
    """One row. Who comes later may find the machine slower, so the order is turned each time."""
    times = []
    for turn in range(runs):
        order = [(place + turn) % len(ways) for place in range(len(ways))]
        times.append({place: way() for place in order if (way := ways[place])})
    shown = [
        statistics.median(row[at] for row in times) if way else 0.0 for at, way in enumerate(ways)
    ]
    without, seen, viewed = (f'{seconds:.3f} s' if seconds else '-' for seconds in shown)
    cost = _ratio(times, 1, 0) if ways[0] else '-'
    print(f'{name:<22}{without:>8}{seen:>11}{cost:>16}{viewed:>12}'
          f'{_ratio(times, 2, 1):>7}{alone * 1000:>9.2f} ms  {alone / shown[1]:.3%}')


def _ratio(times: list[dict[int, float]], over: int, under: int) -> str:
    return f'{statistics.median(row[over] / row[under] for row in times):.3f}'


def _photo() -> Photo:
    """12 million pixels, and not of the model's own shape."""
    noise = numpy.random.default_rng(0).integers(0, 256, (300, 400, 3), numpy.uint8)
    image = Image.fromarray(noise).resize((4000, 3000), Image.Resampling.BICUBIC)
    return Photo(image, image.size)


def _request() -> AnimationRequest:
    return parse_request([('seed', '3')], Path(), 'photo')


def _seconds(work: Callable) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == '__main__':
    main(*(int(argument) for argument in (sys.argv[1:] + ['10', '5'][len(sys.argv) - 1:])))
