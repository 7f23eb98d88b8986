#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The memory ladder on a GPU that is there, whose memory is limited to that of smaller ones: Stable Video Diffusion in its
published size with random numbers, three steps and a decoding on the rung that such a card takes.

    python bench/ladder_gpu.py [GiB ...]

A smaller card's context is taken off its memory; its speed is not pretended. "times" is a step against the first row's,
which is to be ``resident``: a layer at a time should take no more than 2.5 times as long.

Libraries: torch, diffusers, transformers, numpy, Pillow.
"""

import dataclasses
import gc
import os
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'support'), str(ROOT / 'bench')]

from modules.engines.diffusion import allocator  # noqa: E402
from modules.engines.diffusion.budget import GIB  # noqa: E402

if __name__ == '__main__':
    # as in the program; read once, when torch is imported
    allocator.prepare(os.environ)

import svd  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

from modules.configuration import Configuration, ModelOptions  # noqa: E402
from modules.engines.diffusion.decoding import ClipControl  # noqa: E402
from modules.engines.stable_video import memory  # noqa: E402
from modules.engines.stable_video.engine import StableVideo  # noqa: E402
from modules.request import parse_request  # noqa: E402

#: GiB that a context takes
CONTEXT = 0.6


def main(sizes: list[int], model: ModelOptions) -> None:
    """
    Measure and print the table.

    :param sizes: GiB of each card
    :type sizes: list[int]
    :param model: the options of a clip
    :type model: ModelOptions
    """
    print(f'{torch.cuda.get_device_name()}, torch {torch.__version__}, '
          f'cuDNN {torch.backends.cudnn.version()}')
    print(f'{"GPU":>6} {"rung":>9} {"chunk":>5} {"s/step":>7} {"times":>6} {"predicted":>9} '
          f'{"allocated":>9} {"reserved":>8}  notes')
    first = None
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = svd.make_checkpoint(Path(folder), 320)
        for size in sizes:
            first = measure(checkpoint, size, first, model)
            # parts of the last model point at each other, and would take the next one's room
            gc.collect()
            torch.cuda.empty_cache()


def measure(checkpoint: Path, size: int, first: float | None, model: ModelOptions) -> float:
    """
    Measure and print one row.

    :param checkpoint: the model
    :type checkpoint: Path
    :param size: GiB of the card
    :type size: int
    :param first: seconds of a step in the first row
    :type first: float | None
    :param model: the options of a clip
    :type model: ModelOptions
    :return: the same; this row's where it is the first
    :rtype: float
    """
    there = int((size - CONTEXT) * GIB)
    needs = memory.adjust(memory.read_needs(checkpoint, 'fp16', model, width = 2), 'cuda:0', True)
    rung = memory.choose_rung('cuda:0', needs, there)
    chunk = memory.choose_chunk(rung, needs, model.output_frames, there)
    torch.cuda.set_per_process_memory_fraction(there / torch.cuda.mem_get_info()[1])
    model = dataclasses.replace(
        model, memory = rung.name, decode_chunk_size = chunk, unet = False, engine = 'svd')
    engine = StableVideo(Configuration(model = model), lambda configuration: checkpoint)
    engine.load()
    moments: list[float] = []
    notes: list[str] = []
    make(engine, model, moments, notes)
    torch.cuda.reset_peak_memory_stats()
    moments.clear()
    make(engine, model, moments, notes)
    seconds = min(after - before for before, after in pairwise(moments))
    peaks = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    allocated, reserved = (peak / GIB for peak in peaks)
    foretold = memory.predict_peak(rung, needs, chunk) / GIB
    print(f'{size:>2} GiB {engine.holder.require().rung.name:>9} {chunk:>5} {seconds:7.3f} '
          f'{seconds / (first or seconds):6.2f} {foretold:9.2f} {allocated:9.2f} {reserved:8.2f}  '
          f'{", ".join(notes)}')
    return first or seconds


def make(engine: StableVideo, model: ModelOptions, moments: list[float], notes: list[str]) -> None:
    """
    Make a clip.

    :param engine: the engine, loaded
    :type engine: StableVideo
    :param model: its options
    :type model: ModelOptions
    :param moments: gets the time after every step
    :type moments: list[float]
    :param notes: gets the rungs that are gone down to
    :type notes: list[str]
    """

    def note(progress):
        if progress.note:
            notes.append(f'went on with {progress.note.values["rung"]}')
        if progress.phase == 'step':
            torch.cuda.synchronize()
            moments.append(time.perf_counter())

    request = parse_request([('seed', '3')], Path(), 'photo')
    image = Image.new('RGB', (model.image_prompt_width, model.image_prompt_height), 'grey')
    engine.make_frames(image, request, ClipControl(note))


if __name__ == '__main__':
    if not torch.cuda.is_available():
        raise SystemExit('There is no GPU; bench/ladder.py pretends one.')
    main([int(size) for size in sys.argv[1:]] or [24, 16, 12, 8, 6, 4],
         ModelOptions(inference_steps = 3))
