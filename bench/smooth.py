#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Frames between frames against the truth: every second frame of a film is left out and made anew.

    python bench/smooth.py [FILM …]

Besides films of one's own: camera motion through an example photo, made at 60 frames a second; a texture that slides
and turns with something passing before it; and a cut. Beside it: the frame before once more, a blend, and FFmpeg's
``minterpolate``. PSNR in dB over all frames, that of the worst, and CPU milliseconds a frame on one thread.

Libraries: OpenCV, numpy, Pillow, those of the program; the program ffmpeg.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from modules.clips.smooth import Motion  # noqa: E402
from modules.configuration import Configuration  # noqa: E402
from modules.engines.camera import engine as camera  # noqa: E402
from modules.photos.reader import PhotoReader  # noqa: E402
from modules.progress import JobControl  # noqa: E402
from modules.request import parse_request  # noqa: E402

SIZE = WIDTH, HEIGHT = 1024, 576

#: the two frames of a pair → the one between
Way = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _film(path: str) -> Iterator[np.ndarray]:
    """The first five seconds or so of a film, without frames that are there twice."""
    reader, last = cv2.VideoCapture(path), None
    for _ in range(130):
        is_read, frame = reader.read()
        if not is_read:
            return
        frame = cv2.resize(frame[..., ::-1], SIZE, interpolation = cv2.INTER_AREA)
        if last is None or _psnr(frame, last) < 50:
            yield frame
        last = frame


def _motion() -> Iterator[np.ndarray]:
    """Camera motion at sixty frames a second."""
    camera.FPS = 60
    engine = camera.CameraMotion(Configuration())
    engine.load()
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder, 'photo.png')
        Image.open(ROOT / 'static' / 'examples' / 'lake.webp').crop((0, 60, 1280, 780)).save(photo)
        request = parse_request([('motion_bucket_id', '255'), ('seconds', '2'), ('seed', '1')],
                                photo, 'photo')
        read = PhotoReader(10**8).read(photo, 2 * WIDTH * HEIGHT)
        yield from engine.animate(read, request, JobControl())


def _passing() -> Iterator[np.ndarray]:
    """A texture that slides and turns, and a disc that passes before it the other way."""
    chance = np.random.default_rng(3)
    grain = [
        cv2.resize(
            chance.integers(0, 256, (HEIGHT // cell, WIDTH // cell, 3), np.uint8), (1400, 900),
            interpolation = cv2.INTER_CUBIC) for cell in (4, 12, 40)
    ]
    picture = np.mean(grain, 0).astype(np.uint8)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for number in range(60):
        turn = cv2.getRotationMatrix2D((700, 450), 0.4 * number, 1)
        turn[:, 2] -= 190 - 2 * number, 160
        far = cv2.warpAffine(picture, turn, SIZE)
        near = picture[::-1][100:100 + HEIGHT, 5 * number:5 * number + WIDTH]
        mask = cv2.GaussianBlur((np.hypot(x - 800 + 5 * number, y - 288) < 150).astype(np.float32),
                                (0, 0), 1)[..., None]
        yield np.rint(far + mask * (near.astype(np.float32) - far)).astype(np.uint8)


def _cut() -> Iterator[np.ndarray]:
    """The second half of one after the first half of the other."""
    yield from list(_motion())[:21]
    yield from list(_passing())[:20]


def _psnr(one: np.ndarray, other: np.ndarray) -> float:
    """In dB, 99 at the most."""
    error = np.mean((one.astype(np.float32) - other)**2)
    return 10 * float(np.log10(255**2 / max(error, 1e-5)))


WAYS: dict[str, Way] = {
    'repeat': lambda first, _second: first,
    'blend': lambda first, second: cv2.addWeighted(first, 0.5, second, 0.5, 0),
    'smooth': lambda first, second: Motion(first, second).between(0.5),
}


def _interpolate(frames: list[np.ndarray]) -> tuple[list[np.ndarray], float]:
    """By FFmpeg's ``minterpolate``: the frames between, and the CPU seconds it took."""
    raw = ['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', f'{WIDTH}x{HEIGHT}', '-r', '30']
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'film')
        path.write_bytes(b''.join(frame.tobytes() for frame in frames))
        out = ['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-']
        spent = []
        for way in ('null', 'minterpolate=fps=60:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1'):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            found = subprocess.run(
                ['ffmpeg', '-v', 'error', '-threads', '1', *raw, '-i', path, '-vf', way, *out],
                check = True,
                capture_output = True).stdout
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    made = np.frombuffer(found, np.uint8).reshape(-1, HEIGHT, WIDTH, 3)
    # it begins with the first frame of its input
    return list(made[1::2]), spent[1] - spent[0]


def _measure(frames: list[np.ndarray]) -> Iterator[tuple[str, list[float], float]]:
    """Of each way its name, the PSNR of each frame, and CPU milliseconds a frame."""
    kept, truth = frames[::2], frames[1::2]
    truth = truth[:len(kept) - 1]
    for name, way in WAYS.items():
        began = time.process_time()
        found = [way(*pair) for pair in zip(kept, kept[1:], strict = False)]
        spent = time.process_time() - began
        yield name, list(map(_psnr, found, truth)), 1000 * spent / len(found)
    found, spent = _interpolate(kept)
    yield 'minterpolate', list(map(_psnr, found, truth)), 1000 * spent / len(truth)


def main(films: list[str]) -> None:
    cv2.setNumThreads(1)
    made = {'camera at 60': _motion, 'passing': _passing, 'a cut': _cut}
    scenes: dict[str, Iterator[np.ndarray]] = {name: scene() for name, scene in made.items()}
    scenes |= {Path(path).stem: _film(path) for path in films}
    print('| film | frames | way | PSNR | worst | worst beside the blend | CPU ms |')
    print('|---|---|---|---|---|---|---|')
    for scene, frames in scenes.items():
        found = list(_measure(list(frames)))
        blend = next(values for name, values, _spent in found if name == 'blend')
        for name, values, spent in found:
            beside = min(value - other for value, other in zip(values, blend, strict = False))
            print(
                f'| {scene} | {len(values)} | {name} | {np.mean(values):.2f} | {min(values):.1f} | '
                f'{beside:+.2f} | {spent:.0f} |',
                flush = True)


if __name__ == '__main__':
    main(sys.argv[1:])
