#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What ``POST /generate`` adds to the pipeline: upload, checks, queue, fitting, scaling back, GIF. The request's time and
the time its pipeline took are taken from the very same request, so a machine that is now faster, now slower does not
count. ``bench/svd_overhead.py`` shows that this pipeline takes no longer than a plain call.

    python bench/generate_overhead.py PHOTO [STEPS] [RUNS]

The checkpoint is randomly initialised and gives noise, which no GIF is made for, so what is scaled back and written
are parts of the photo instead, one pixel further in every frame.

Libraries: torch, diffusers, numpy, Pillow.
"""

import dataclasses
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'support')]

import numpy  # noqa: E402
import program  # noqa: E402
import tiny_checkpoint  # noqa: E402
from PIL import Image  # noqa: E402

from app import create_app  # noqa: E402
from modules.configuration import Configuration, ModelOptions, WebOptions  # noqa: E402
from modules.engines.diffusion.decoding import ClipControl, keep_as_decoded  # noqa: E402
from modules.engines.registry import Engines  # noqa: E402
from modules.engines.stable_video.engine import StableVideo  # noqa: E402
from modules.request import AnimationRequest  # noqa: E402


class Timed(StableVideo):
    """The real engine, which remembers how long its pipeline took."""

    #: of every clip
    seconds: list[float] = []

    def make_frames(self, image: Image.Image, request: AnimationRequest,
                    control: ClipControl) -> numpy.ndarray:
        """
        Run the pipeline, then show the photo instead of noise.

        :param image: RGB, of the model's size
        :type image: Image.Image
        :param request: what is wanted
        :type request: AnimationRequest
        :param control: called after every step, and with the frames
        :type control: ClipControl
        :return: uint8 [T, H, W, 3]
        :rtype: numpy.ndarray
        """
        before = time.perf_counter()
        unfinished = dataclasses.replace(control, finish = keep_as_decoded)
        made = super().make_frames(image, request, unfinished)
        self.seconds.append(time.perf_counter() - before)
        picture = numpy.asarray(image)
        frames = [numpy.roll(picture, index, 1) for index in range(len(made))]
        return control.finish(numpy.stack(frames))


def main(photo: bytes, steps: int, runs: int) -> None:
    """
    Measure and print the table.

    :param photo: the upload
    :type photo: bytes
    :param steps: denoising steps of a clip
    :type steps: int
    :param runs: how many clips
    :type runs: int
    """
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = tiny_checkpoint.make(Path(folder) / 'model')
        model = ModelOptions(
            engine = 'svd',
            device = 'cpu',
            model_name = str(checkpoint),
            image_prompt_width = 448,
            image_prompt_height = 256,
            decode_chunk_size = 5,
            inference_steps = steps)
        configuration = Configuration(web = WebOptions(port = 0), model = model)
        engines = Engines(configuration, {'svd': (Timed.__module__, 'Timed')})
        app = create_app(configuration, Path(folder), engines = engines)
        with program.served(app, configuration.web) as port:
            program.ready(port, seconds = 300)
            whole = [_seconds(port, photo) for _ in range(runs)]
    added = [request - pipeline for request, pipeline in zip(whole, Timed.seconds, strict = True)]
    print(f'25 frames of 448 x 256, {steps} steps, median of {runs}')
    print(f'{"POST /generate":<16}{statistics.median(whole):8.2f} s')
    print(f'{"its pipeline":<16}{statistics.median(Timed.seconds):8.2f} s')
    share = 100 * statistics.median(added) / statistics.median(Timed.seconds)
    print(f'{"added":<16}{statistics.median(added):8.2f} s, {share:.1f} %')


def _seconds(port: int, photo: bytes) -> float:
    before = time.perf_counter()
    answer = program.generate(port, photo, [('seed', '3')], timeout = 600)
    if answer.status != 200:
        raise SystemExit(answer.body)
    return time.perf_counter() - before


if __name__ == '__main__':
    given = [int(argument) for argument in sys.argv[2:]]
    main(Path(sys.argv[1]).read_bytes(), *(given + [3, 3][len(given):]))
