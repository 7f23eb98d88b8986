#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What was drawn flows: how faithfully, how evenly, and what it costs, on made-up textures of 1024×576 that flow to the
right at a known speed, and on photos of which the upper half does.

    python bench/flow.py [PHOTO...]

PSNR is that of the tenth frame in the middle of the stroke against the texture moved by exactly as much. Contrast is
that of details in the stroke, over frame 0's: the least, that in the middle of the loop, and the greatest.
Seam is the step from the last frame to the first over the median step between neighbours, inside the stroke. Same says
whether every frame equals the photo, byte for byte, beyond the stroke, and whether 1 and 2 threads give the same bytes.
CPU s is what 90 frames cost beyond the same clip without flow, all cores added up: with the camera at rest, with an
orbit by depth that is guessed, and by depth that is known.

Libraries: numpy, OpenCV, Pillow.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from modules.engines.camera.path import Shot, choose_path  # noqa: E402
from modules.engines.camera.renderer import prepare_renderer  # noqa: E402
from modules.photos.reader import PhotoReader  # noqa: E402
from modules.photos.sizes import result_size  # noqa: E402
from modules.request.drawing import Flow, Stroke  # noqa: E402

SIZE, FRAMES, SECONDS = (1024, 576), 90, 3.0
#: the stroke, and rows and columns in the middle of it
ROW, WIDTH = 0.3, 0.3
INSIDE = np.s_[120:230, 200:824]
HEADS = ('picture', 'speed', 'PSNR', 'contrast', 'seam', 'same', 'CPU s: still', 'guessed', 'known')


def _textures() -> Iterator[tuple[str, np.ndarray]]:
    for name, across, down in (('fine', 1.2, 1.2), ('coarse', 4, 4), ('streaks', 12, 1.5)):
        noise = np.random.default_rng(0).standard_normal((SIZE[1], SIZE[0], 3))
        soft = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigmaX = across, sigmaY = down))
        yield name, (128 + 40 * soft / soft.std()).clip(0, 255).astype(np.uint8)


def _draw(pixels: np.ndarray,
          flow: Flow | None,
          move: str,
          *,
          is_known: bool = False) -> tuple[np.ndarray, float]:
    """Frames of a clip, and seconds of all cores."""
    height, width = pixels.shape[:2]
    near = np.linspace(0, 1, height, dtype = np.float32)[:, None].repeat(width, 1)
    shot = Shot(choose_path(move, 1, FRAMES), 0.03, flow = flow, seconds = SECONDS)
    start = time.process_time()
    renderer = prepare_renderer(
        Image.fromarray(pixels), (width, height), shot, lambda _still: near if is_known else None)
    frames = np.empty((FRAMES, *pixels.shape), np.uint8)
    for number in range(FRAMES):
        renderer.draw(number, frames[number])
    return frames, time.process_time() - start


def _measure_detail(frame: np.ndarray) -> float:
    values = frame[INSIDE].astype(np.float32)
    return float((values - cv2.GaussianBlur(values, (0, 0), 8)).std())


def _psnr(pixels: np.ndarray, frame: np.ndarray, carried: float) -> float:
    exact = cv2.warpAffine(
        pixels,
        np.array(((1, 0, carried), (0, 1, 0))),
        pixels.shape[1::-1],
        flags = cv2.INTER_CUBIC)
    error = (exact[INSIDE].astype(float) - frame[INSIDE])**2
    return float(10 * np.log10(255**2 / error.mean()))


def _rows(name: str, pixels: np.ndarray, speeds: tuple[float, ...]) -> Iterator[list[str]]:
    cameras = [('still', False), ('orbit', False), ('orbit', True)]
    plain = [_draw(pixels, None, move, is_known = known)[1] for move, known in cameras]
    for speed in speeds:
        flow = Flow((Stroke(((0.0, ROW), (1.0, ROW)), WIDTH, speed), ))
        costs = [_draw(pixels, flow, move, is_known = known)[1] for move, known in cameras]
        more = (f'{cost - least:.1f}' for cost, least in zip(costs, plain, strict = True))
        yield [name, f'{speed:g}', *_judge(pixels, flow, speed), *more]


def _judge(pixels: np.ndarray, flow: Flow, speed: float) -> list[str]:
    height, width = pixels.shape[:2]
    frames, _seconds = _draw(pixels, flow, 'still')
    carried = speed * 0.1 * max(width, height) * 9 / FRAMES
    details = [_measure_detail(frame) / _measure_detail(frames[0]) for frame in frames]
    steps = [
        float(np.abs(one[INSIDE].astype(int) - other[INSIDE]).mean())
        for one, other in zip(frames, np.roll(frames, -1, 0), strict = True)
    ]
    reach = round((ROW + (WIDTH / 2 + 0.02) * max(width, height) / height) * height)
    cv2.setNumThreads(2)
    is_same = (frames[:, reach:] == pixels[reach:]).all() and (_draw(pixels, flow, 'still')[0]
                                                               == frames).all()
    cv2.setNumThreads(1)
    return [
        f'{_psnr(pixels, frames[9], carried):.1f}',
        f'{min(details):.2f} / {details[FRAMES // 2]:.2f} / {max(details):.2f}',
        f'{steps[-1] / np.median(steps):.2f}', 'yes' if is_same else 'NO'
    ]


def _read(path: Path) -> np.ndarray:
    photo = PhotoReader(10**9).read(path)
    return np.asarray(
        photo.image.resize(
            result_size(photo.full_size, SIZE[0] * SIZE[1]), Image.Resampling.LANCZOS))


def main(photos: list[str]) -> None:
    """
    Print the table.

    :param photos: files
    :type photos: list[str]
    """
    cv2.setNumThreads(1)
    print('| ' + ' | '.join(HEADS) + ' |\n' + '|---' * len(HEADS) + '|')
    pictures: list[tuple[str, np.ndarray, tuple[float, ...]]] = [(name, pixels, (0.3, 1.0, 3.0))
                                                                 for name, pixels in _textures()]
    pictures += [(Path(photo).stem, _read(Path(photo)), (1.0, )) for photo in photos]
    for picture in pictures:
        for row in _rows(*picture):
            print('| ' + ' | '.join(row) + ' |', flush = True)


if __name__ == '__main__':
    main(sys.argv[1:])
