#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The memory ladder walked on pretended GPUs, with Stable Video Diffusion in its published size: the engine's own placing,
moving and stepping down, on tensors without numbers whose bytes are counted and end where the pretended GPU ends.

    python bench/ladder.py [GiB ...]

"begins" is the rung that is chosen from what is free; "counted" is the most that tensors, weights included, held on the
GPU, "predicted" what had been foretold. One GiB of each GPU is left to what is no tensor, and not pretended. "from the
top" is the way down when memory ends on each rung that was begun with, first of all ``resident``.

Libraries: torch, diffusers, transformers, Pillow.
"""

import logging
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'support')]

import pretended_gpu  # noqa: E402
from live_tensors import LiveBytes  # noqa: E402
from PIL import Image  # noqa: E402
from tiny_svd import published, request  # noqa: E402

from modules import errors  # noqa: E402
from modules.configuration import ModelOptions  # noqa: E402
from modules.engines.diffusion import ladder  # noqa: E402
from modules.engines.diffusion.budget import GIB  # noqa: E402
from modules.engines.diffusion.decoding import ClipControl  # noqa: E402
from modules.engines.stable_video import memory  # noqa: E402


def main(sizes: list[int]) -> None:
    """
    Walk and print the table.

    :param sizes: GiB of each GPU
    :type sizes: list[int]
    """
    logging.disable()
    model = ModelOptions()
    with tempfile.TemporaryDirectory() as folder:
        needs = published(Path(folder))
    print(f'{"GPU":>6} {"begins":>9} {"chunk":>5} {"predicted":>9} {"counted":>8}  from the top')
    for size in sizes:
        there = size * GIB
        begun = memory.choose_rung('cuda', needs, there)
        chunk = memory.choose_chunk(begun, needs, model.output_frames, there)
        foretold = memory.predict_peak(begun, needs, chunk) / GIB
        counted, way = walk(begun, needs, model, there)
        if way != [begun.name]:
            raise SystemExit(f'{size} GiB: {begun.name} was chosen and did not fit: {way}')
        _counted, way = walk(ladder.RUNGS[0], needs, model, there)
        print(f'{size:>2} GiB {begun.name:>9} {chunk:>5} {foretold:>9.2f} {counted:>8.2f}  '
              f'{" > ".join(way)}')


def walk(begun: ladder.Rung, needs: memory.Needs, model: ModelOptions,
         there: int) -> tuple[float, list[str]]:
    """
    Make a clip.

    :param begun: the rung that is begun on
    :type begun: ladder.Rung
    :param needs: what a clip needs
    :type needs: memory.Needs
    :param model: the options
    :type model: ModelOptions
    :param there: bytes of the GPU
    :type there: int
    :return: GiB held at most on the rung that sufficed, and the names of all rungs that were tried
    :rtype: tuple[float, list[str]]
    """
    way, live = [begun.name], LiveBytes(there - memory.OVERHEAD, 'cuda')

    def note_rung(progress):
        if progress.note:
            way.append(progress.note.values['rung'])
        if progress.phase == 'encoding':
            live.peak = live.now

    image = Image.new('RGB', (model.image_prompt_width, model.image_prompt_height))
    with pretended_gpu.pretended(), live:
        try:
            engine = pretended_gpu.engine(pretended_gpu.published, begun, needs, model, there)
            if engine.holder.require().rung != begun:
                way.append(engine.holder.require().rung.name)
            engine.make_frames(image, request(), ClipControl(note_rung))
        except errors.OutOfMemory:
            way.append('503')
    return live.peak / GIB, way


if __name__ == '__main__':
    main([int(size) for size in sys.argv[1:]] or [24, 16, 12, 10, 8, 6, 4, 3])
