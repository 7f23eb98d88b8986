#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Our GIFs beside those of others: time, bytes and likeness.

    python bench/gif.py PHOTO...

Clips: camera motion of each photo, a smooth gradient that changes its colours, and the first photo with noise. PSNR is
that of RGB, SSIM that of the grey picture (Gaussian window of 1.5 pixels); flicker is the mean change of the pixels
whose source changes by one level at most. CPU s adds up all cores and the programs that are called, and is what other
work on the machine disturbs least. A star marks the Pareto front of CPU s, bytes and SSIM.

Libraries: imageio, numpy, OpenCV, Pillow; the programs ffmpeg and gifsicle.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402
import imageio.v3 as imageio  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from modules.configuration import Configuration, ModelOptions  # noqa: E402
from modules.encoders import Clip  # noqa: E402
from modules.encoders.gif import encoder as gif  # noqa: E402
from modules.engines.camera.engine import CameraMotion  # noqa: E402
from modules.photos.reader import PhotoReader  # noqa: E402
from modules.progress import JobControl  # noqa: E402
from modules.request import parse_request  # noqa: E402

FRAMES, FPS = 25, 15
DELAY = 70
#: quick ones are timed this often, and the best counts
RUNS, QUICK = 3, 3.0
ROW = '{:22} {:>8} {:>8} {:>10} {:>8} {:>8} {:>8} {}'


def _clips(photos: list[Path]) -> Iterator[tuple[str, np.ndarray]]:
    engine = CameraMotion(Configuration(model = ModelOptions(seconds = FRAMES / 30)))
    request = parse_request([('seed', '3')], Path(), 'photo')
    moved = [
        np.stack(list(engine.animate(PhotoReader(10**9).read(photo), request, JobControl())))
        for photo in photos
    ]
    yield from ((photo.stem, frames) for photo, frames in zip(photos, moved, strict = True))
    yield 'gradient', _gradient()
    noise = np.random.default_rng(0)
    yield 'noisy ' + photos[0].stem, np.stack([
        np.clip(frame + noise.normal(0, 10, frame.shape), 0, 255).astype(np.uint8)
        for frame in moved[0]
    ])


def _gradient() -> np.ndarray:
    y, x = np.mgrid[:1:576j, :1:1024j]
    phases = [2 * np.pi * frame / FRAMES for frame in range(FRAMES)]
    return np.stack([
        np.stack([
            90 + 60 * x + 40 * np.sin(3 * y + p), 110 + 70 * y + 30 * np.cos(2 * x + p),
            200 - 80 * y + 30 * np.sin(3 * x - p)
        ], 2) for p in phases
    ]).round().astype(np.uint8)


def _ours(frames: np.ndarray, path: Path) -> None:
    gif.encode(Clip(frames, FPS), path)


def _pillow(frames: np.ndarray, path: Path) -> None:
    first, *others = map(Image.fromarray, frames)
    first.save(path, save_all = True, append_images = others, loop = 0, duration = DELAY)


def _octree(frames: np.ndarray, path: Path) -> None:
    octree = Image.Quantize.FASTOCTREE
    first, *others = (
        Image.fromarray(frame).quantize(256, octree, dither = Image.Dither.NONE)
        for frame in frames)
    first.save(path, save_all = True, append_images = others, loop = 0, duration = DELAY)


def _imageio(frames: np.ndarray, path: Path) -> None:
    imageio.imwrite(path, frames, plugin = 'pillow', duration = DELAY, loop = 0)


def _ffmpeg(dither: str) -> Callable[[np.ndarray, Path], None]:

    def encode(frames: np.ndarray, path: Path) -> None:
        height, width = frames.shape[1:3]
        subprocess.run([
            'ffmpeg', '-v', 'error', '-y', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s',
            f'{width}x{height}', '-r',
            str(FPS), '-i', '-', '-lavfi',
            f'split[a][b];[a]palettegen[p];[b][p]paletteuse=dither={dither}', path
        ],
                       input = frames.tobytes(),
                       check = True)

    return encode


def _gifsicle(encode: Callable[[np.ndarray, Path], None]) -> Callable[[np.ndarray, Path], None]:

    def optimise(frames: np.ndarray, path: Path) -> None:
        encode(frames, path)
        subprocess.run(['gifsicle', '-O3', '--batch', '--no-warnings', path], check = True)

    return optimise


ENCODERS = {
    'ours': _ours,
    'Pillow': _pillow,
    'Pillow octree': _octree,
    'imageio': _imageio,
    'ffmpeg none': _ffmpeg('none'),
    'ffmpeg bayer': _ffmpeg('bayer'),
    'ffmpeg sierra2_4a': _ffmpeg('sierra2_4a'),
    'Pillow, gifsicle -O3': _gifsicle(_pillow),
    'octree, gifsicle -O3': _gifsicle(_octree),
    'ours, gifsicle -O3': _gifsicle(_ours),
}


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _time(encode: Callable[[np.ndarray, Path], None], frames: np.ndarray,
          path: Path) -> tuple[float, float]:
    """Seconds by the clock, and of the processor."""
    best = (float('inf'), float('inf'))
    for _ in range(RUNS):
        clock, processor = time.perf_counter(), _processor()
        encode(frames, path)
        now = time.perf_counter() - clock, _processor() - processor
        best = min(best[0], now[0]), min(best[1], now[1])
        if now[1] > QUICK:
            break
    return best


def _read(path: Path) -> np.ndarray:
    """What is seen in the middle of each frame's time."""
    frames, ends = [], list[float]()
    with Image.open(path) as image:
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(np.asarray(image.convert('RGB')))
            ends.append(image.info['duration'] + (ends[-1] if ends else 0))
    middles = (np.arange(FRAMES) + 0.5) * ends[-1] / FRAMES
    return np.stack([frames[number] for number in np.searchsorted(ends, middles)])


def _ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Wang et al., 2004."""
    a, b = (
        cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) for picture in (one, other))

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (11, 11), 1.5)

    mean_a, mean_b, small, large = mean(a), mean(b), (0.01 * 255)**2, (0.03 * 255)**2
    variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + small) * (2 * covariance + large)
    return float((likeness / ((mean_a**2 + mean_b**2 + small) * (variances + large))).mean())


def _likeness(source: np.ndarray, seen: np.ndarray) -> tuple[float, float, float]:
    """PSNR, SSIM and flicker."""
    error = np.mean(
        [np.mean((a.astype(np.float32) - b)**2) for a, b in zip(source, seen, strict = True)])
    ssim = np.mean([_ssim(a, b) for a, b in zip(source, seen, strict = True)])
    changes = []
    for number in range(1, len(source)):
        still = cv2.absdiff(source[number], source[number - 1]).max(2) <= 1
        changes.append(cv2.absdiff(seen[number], seen[number - 1])[still])
    return 10 * np.log10(255**2 / error), float(ssim), float(np.concatenate(changes).mean())


def _worse(one: tuple, other: tuple) -> bool:
    """Whether ``other`` is at least as good in everything and better in something."""
    return other != one and other[0] <= one[0] and other[1] <= one[1] and other[2] >= one[2]


def _table(name: str, frames: np.ndarray, path: Path) -> None:
    print(f'\n{name}: {FRAMES} frames of {frames.shape[2]} x {frames.shape[1]}')
    print(ROW.format('', 's', 'CPU s', 'bytes', 'PSNR', 'SSIM', 'flicker', ''))
    rows = {}
    for encoder, encode in ENCODERS.items():
        seconds = _time(encode, frames, path)
        rows[encoder] = (*seconds, path.stat().st_size, *_likeness(frames, _read(path)))
    aims = {encoder: (row[1], row[2], row[4]) for encoder, row in rows.items()}
    for encoder, (clock, processor, size, psnr, ssim, flicker) in rows.items():
        star = '' if any(_worse(aims[encoder], other) for other in aims.values()) else '*'
        print(
            ROW.format(encoder, f'{clock:.2f}', f'{processor:.2f}', size, f'{psnr:.2f}',
                       f'{ssim:.4f}', f'{flicker:.2f}', star),
            flush = True)


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit('python bench/gif.py PHOTO...')
    with tempfile.TemporaryDirectory() as folder:
        for clip_name, clip_frames in _clips([Path(argument) for argument in sys.argv[1:]]):
            _table(clip_name, clip_frames, Path(folder) / 'clip.gif')
