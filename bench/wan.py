#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Wan as diffusers runs it and as it runs here: seconds, arithmetic, memory, distance. The numbers in the model are
random, on which speed and memory do not depend; a distance between clips of noise tells only that two ways differ, not
by how much a person would see.

    python bench/wan.py small|large [WIDTHxHEIGHT] [FRAMES] [STEPS] [SCALE] [RUNS] [--seconds N] [--full]
    python bench/wan.py small|large --count

``small`` is the kind of TI2V-5B, ``large`` that of I2V-A14B; ``SCALE`` is how many times as wide and deep as in tests.
``--full``, on a GPU: the published architecture, but for what reads texts, of which the columns tell nothing. On a GPU
all at half precision, and peak memory as its allocator tells it (allocated / reserved), where each rung of the memory
ladder has the device to itself; on a processor in 32 bits, and peak memory in counted live tensors besides the weights.
Ways take turns, medians are told; "times" is against plain diffusers of the same round. Each figure is printed when it
is there; what would end after ``--seconds`` (540) is left out and named.

``--count`` runs nothing: the published architecture at its own size, on tensors without numbers. Arithmetic, weights
and what is held besides are counted; peaks on each rung are what the engine predicts of them.

Libraries: torch, diffusers, transformers, numpy, Pillow.
"""

import argparse
import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'support'), str(ROOT / 'bench')]

from modules.engines.diffusion import allocator  # noqa: E402

if __name__ == '__main__':
    # as in the program; read once, when torch is imported
    allocator.prepare(os.environ)

import diffusers  # noqa: E402
import numpy  # noqa: E402
import published_wan  # noqa: E402
import tiny_wan  # noqa: E402
import torch  # noqa: E402
from live_tensors import FusedAttention, LiveBytes  # noqa: E402
from PIL import Image  # noqa: E402
from svd import GIB, OnStep, Rounds, Way, machine, print_table, tell  # noqa: E402
from tiny_svd import animate, request  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from modules.engines.diffusion import fitting, ladder  # noqa: E402
from modules.engines.diffusion.budget import OVERHEAD  # noqa: E402
from modules.engines.wan import kinds, memory  # noqa: E402
from modules.engines.wan.clip import Asked, PlannedClip, plan_clip  # noqa: E402
from modules.engines.wan.engine import Wan  # noqa: E402
from modules.engines.wan.options import WanOptions  # noqa: E402
from modules.engines.wan.texts import choose_texts  # noqa: E402
from modules.photos.sizes import Photo  # noqa: E402

#: rungs that take less memory than the usual one
RUNGS = ('offload', 'streamed')

#: where the published architecture is made, of which a processor would take minutes
DEVICE = 'cuda'

#: GPUs whose rung is printed, GiB
SIZES = (80, 48, 24, 16, 12, 8, 6)


class Bench(Rounds):
    """
    A run of the benchmark.

    :param folder: the checkpoint
    :type folder: Path
    :param own: options of Wan
    :type own: dict[str, Any]
    :param is_gpu: whether the allocator is asked
    :type is_gpu: bool
    :param seconds: after which no clip is to end
    :type seconds: float
    """

    def __init__(self, folder: Path, own: dict[str, Any], is_gpu: bool, seconds: float):
        super().__init__(is_gpu, seconds)
        self.folder = folder
        self.own = own
        noise = numpy.random.default_rng(0).integers(0, 256, (9, 16, 3), numpy.uint8)
        size = own['width'], own['height']
        image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
        self.photo = Photo(image, image.size)

    def run(self, runs: int, lora: tuple[Path, ...] = ()) -> list[Way]:
        """
        Measure all ways.

        :param runs: clips of each way
        :type runs: int
        :param lora: files for few steps, for the kind that has them
        :type lora: tuple[Path, ...]
        :return: the ways
        :rtype: list[Way]
        """
        engine = self._load()
        ways = [Way('plain diffusers', partial(self._plain, self._load_plainly(engine), engine))]
        ways += [Way(name, partial(self._ours, engine, name)) for name in engine.presets]
        if not self.is_gpu:
            ways += [
                way for name in self._list_others(lora) for way in self._make_other(name, lora)
            ]
        for way in ways:
            self._first(way)
        self._rounds(ways, runs)
        if self.is_gpu:
            # each with the device to itself
            for way in ways:
                del way.make
            del engine
            for name in self._list_others(lora):
                gc.collect()
                torch.cuda.empty_cache()
                other, = self._make_other(name, lora)
                self._first(other)
                self._rounds([other], runs)
                del other.make
                ways.append(other)
        return ways

    def _list_others(self, lora: tuple[Path, ...]) -> tuple[str, ...]:
        return (*RUNGS, 'tiles', *(('few steps', ) if lora else ()))

    def _make_other(self, name: str, lora: tuple[Path, ...]) -> list[Way]:
        if name in RUNGS:
            engine = self._load(memory = name)
            if not self.is_gpu:
                # a processor has no such rungs of its own
                engine.holder.require().take(ladder.named('cuda', name, memory.RUNGS))
            return [Way(f'quality, Memory = {name}', partial(self._ours, engine, 'quality'))]
        changed = {
            'tiles': True
        } if name == 'tiles' else {
            'lora': tuple(map(str, lora)),
            'steps': None
        }
        engine = self._load(changed)
        return [Way(f'quality, {name}', partial(self._ours, engine, 'quality'))]

    def _load(self, more: dict[str, Any] | None = None, **options: Any) -> Wan:
        own = {**self.own, **(more or {})}
        return tiny_wan.loaded(self.folder, self.folder.parent, own, engine = 'wan', **options)

    def _load_plainly(self, engine: Wan) -> Any:
        source = engine.budget.find_source(self.folder)
        return tiny_wan.load_plainly(self.folder, source.get_dtype()).to(engine.budget.device)

    def _plain(self, pipe: Any, engine: Wan, on_step: OnStep) -> numpy.ndarray:
        clip, fit = engine.plan(self.photo.full_size, request())

        def report_step(_pipe, _step, _time, tensors):
            on_step()
            return tensors

        frames = tiny_wan.reference(
            pipe,
            fitting.fit_to_model(self.photo.image, fit),
            *choose_texts(engine.own),
            num_frames = clip.frames,
            num_inference_steps = clip.steps,
            guidance_scale = clip.guidance,
            callback_on_step_end = report_step)
        return fitting.fit_to_result(frames, fit)

    def _ours(self, engine: Wan, preset: str, on_step: OnStep) -> numpy.ndarray:

        def report(progress):
            if progress.phase == 'step':
                on_step()

        return animate(engine, self.photo, request(preset = preset), report)


def make_published(folder: Path, name: str) -> Path:
    """
    Save a model of the published architecture with random numbers, made on the GPU, at half precision but for the VAE.

    :param folder: where to
    :type folder: Path
    :param name: ``small`` or ``large``
    :type name: str
    :return: the folder
    :rtype: Path
    """
    _weights, described, of_vae = published_wan.PUBLISHED[name]
    torch.manual_seed(0)
    vae: Any = diffusers.AutoencoderKLWan(**of_vae)
    vae.save_pretrained(folder / 'vae')
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        for part in ('transformer', *(() if of_vae else ('transformer_2', ))):
            with torch.device(DEVICE):
                made: Any = diffusers.WanTransformer3DModel(**described)
            made.save_pretrained(folder / part)
            del made
    finally:
        torch.set_default_dtype(usual)
    others = tiny_wan.make_others(4096)
    with torch.device('meta'):
        # its index; the parts are there
        parts = {
            'vae': diffusers.AutoencoderKLWan(**of_vae),
            'transformer': diffusers.WanTransformer3DModel(**described)
        }
    if not of_vae:
        parts['transformer_2'] = parts['transformer']
    pipe: Any = diffusers.WanImageToVideoPipeline(
        **parts,
        **others,
        expand_timesteps = bool(of_vae),
        boundary_ratio = None if of_vae else 0.9)
    pipe.save_config(folder)
    for part, one in others.items():
        one.save_pretrained(folder / part)
    return folder


def count(name: str) -> None:
    """
    Print what the published architecture takes at its own size.

    :param name: ``small`` or ``large``
    :type name: str
    """
    _weights, described, of_vae = published_wan.PUBLISHED[name]
    with tempfile.TemporaryDirectory() as folder:
        published_wan.describe(Path(folder), name)
        kind = kinds.read_kind(Path(folder))
        assert kind is not None  # noqa: S101  # it is described just above
        clip = plan_clip(WanOptions(), kind, Asked((16, 9)))
        needs = memory.read_needs(Path(folder), kind, clip, 2)
    passes = 1 + (clip.guidance > 1)
    tell(f'{name}: {clip.frames} frames of {clip.width}x{clip.height}, {clip.steps} steps, '
         f'{passes} passes each; torch {torch.__version__}, diffusers {diffusers.__version__}')
    work = list_work(kind, clip, described, of_vae)
    step, encoding, decoding = (count_flops(each) / 1e12 for each in work)
    tell(f'TFLOP: {passes * step:.1f} a step, {encoding:.1f} encoding, {decoding:.1f} decoding, '
         f'{clip.steps * passes * step + encoding + decoding:.0f} a clip')
    held = [count_bytes(each) / GIB for each in work]
    predicted = [each / GIB for each in (needs.denoising, needs.encoding, needs.decoding)]
    tell('GiB besides the weights, counted (predicted): ' +
         ', '.join(f'{part} {one:.2f} ({other:.2f})' for part, one, other in zip(
             ('step', 'encoding', 'decoding'), held, predicted, strict = True)))
    tell(f'weights: {needs.weights / GIB:.2f} GiB, of which {needs.vae / GIB:.2f} the VAE')
    for rung in ladder.rungs('cuda', memory.RUNGS):
        whole, tiled = (memory.predict_peak(rung, needs, each) / GIB for each in (False, True))
        tell(f'{rung.name:10} predicted {whole:6.2f} GiB, in tiles {tiled:6.2f}')
    for size in SIZES:
        available = size * GIB - OVERHEAD
        rung = memory.choose_rung('cuda:0', needs, available)
        is_tiled = memory.is_tiled(rung, needs, available)
        tell(f'{size:>3} GiB: {rung.name}{", in tiles" if is_tiled else ""}, '
             f'{memory.predict_peak(rung, needs, is_tiled) / GIB:.2f} GiB')


def list_work(kind: kinds.Kind, clip: PlannedClip, described: dict[str, Any],
              of_vae: dict[str, Any]) -> list[Callable[[], object]]:
    """
    List what a clip consists of, on tensors without numbers.

    :param kind: the checkpoint's
    :type kind: kinds.Kind
    :param clip: what is made
    :type clip: PlannedClip
    :param described: the transformer's description
    :type described: dict[str, Any]
    :param of_vae: that of the VAE
    :type of_vae: dict[str, Any]
    :return: one pass of one step, encoding the photo, decoding
    :rtype: list[Callable[[], object]]
    """
    with torch.device('meta'):
        transformer: Any = diffusers.WanTransformer3DModel(**described)
        vae: Any = diffusers.AutoencoderKLWan(**of_vae)
    for name, parameter in transformer.named_parameters():
        if not set(transformer._keep_in_fp32_modules) & set(name.split('.')):
            parameter.data = parameter.data.bfloat16()
    parts, side = clip.frames // 4 + 1, kind.multiple // 2
    sides = clip.height // side, clip.width // side
    times = (1, parts * sides[0] * sides[1] // 4) if kind.has_own_time else (1, )

    def step() -> None:
        transformer(
            torch.empty(1, transformer.config.in_channels, parts, *sides, dtype = torch.bfloat16),
            torch.empty(times),
            torch.empty(1, 512, 4096, dtype = torch.bfloat16),
            return_dict = False)

    def encode() -> None:
        vae.clear_cache()
        vae.encode(
            torch.empty(1, 3, 1 if kind.has_own_time else clip.frames, clip.height, clip.width))

    def decode() -> None:
        vae.clear_cache()
        vae.decode(torch.empty(1, vae.config.z_dim, parts, *sides))

    return [step, encode, decode]


def count_flops(work: Callable[[], object]) -> int:
    """
    Count arithmetic.

    :param work: on tensors without numbers
    :type work: Callable[[], object]
    :return: floating-point operations
    :rtype: int
    """
    with torch.device('meta'), torch.no_grad(), FlopCounterMode(display = False) as counter:
        work()
    return counter.get_total_flops()


def count_bytes(work: Callable[[], object]) -> int:
    """
    Count the most that is held at once, attention being computed as GPUs do.

    :param work: on tensors without numbers
    :type work: Callable[[], object]
    :return: bytes besides the weights
    :rtype: int
    """
    with torch.device('meta'), torch.no_grad(), FusedAttention(), LiveBytes() as live:
        work()
    return live.peak


def main(given: argparse.Namespace, is_gpu: bool) -> None:
    """
    Measure and print the table.

    :param given: the command line
    :type given: argparse.Namespace
    :param is_gpu: whether there is a GPU
    :type is_gpu: bool
    """
    started = time.monotonic()
    if given.count:
        count(given.kind)
        return
    width, height = (int(side) for side in given.size.split('x'))
    own = {'width': width, 'height': height, 'frames': given.frames, 'steps': given.steps}
    with tempfile.TemporaryDirectory() as home:
        folder, lora = Path(home) / given.kind, ()
        make = {'small': tiny_wan.make_small, 'large': tiny_wan.make_large}[given.kind]
        if given.full:
            make_published(folder, given.kind)
        else:
            make(folder, given.scale)
            if given.kind == 'large':
                lora = tiny_wan.make_lora(Path(home) / 'lora', scale = given.scale)
        bench = Bench(folder, own, is_gpu, given.seconds - (time.monotonic() - started))
        ways = bench.run(given.runs, lora)
    of = 'published' if given.full else f'scale {given.scale}'
    print_table(
        ways, f'{machine(is_gpu)}, {given.kind}, {of}, {given.frames} frames of {given.size}, '
        f'{given.steps} steps, medians')
    for name in bench.left_out:
        tell(f'left out, no time: {name}')
    tell(f'{time.monotonic() - started:.0f} s in all')


def parse(words: list[str]) -> argparse.Namespace:
    """
    Read the command line.

    :param words: the arguments
    :type words: list[str]
    :return: what they say
    :rtype: argparse.Namespace
    """
    parser = argparse.ArgumentParser(description = __doc__.splitlines()[1])
    parser.add_argument('kind', choices = published_wan.PUBLISHED)
    parser.add_argument('size', nargs = '?', default = '192x128')
    for name, usual in (('frames', 9), ('steps', 20), ('scale', 2), ('runs', 3)):
        parser.add_argument(name, nargs = '?', type = int, default = usual)
    parser.add_argument('--seconds', type = float, default = 540)
    parser.add_argument('--full', action = 'store_true')
    parser.add_argument('--count', action = 'store_true')
    return parser.parse_args(words)


if __name__ == '__main__':
    main(parse(sys.argv[1:]), torch.cuda.is_available())
