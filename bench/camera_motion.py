#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Camera motion beside a plain Ken Burns zoom: time, memory, and how much depth is in the motion.

    python bench/camera_motion.py [PHOTO...]

Parallax, in pixels, is what remains of the motion between frame 0 and the frame most unlike it once the best
zoom, turn and shift of the whole picture has been taken away: what no flat picture can show. Near / far is the
motion of the nearest third over that of the farthest, nearness being the engine's own guess. MB is how far the
process grows beyond the decoded photo, the finished frames included; CPU s adds up all cores.

Libraries: numpy, OpenCV, Pillow.
"""

import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from modules import parameters  # noqa: E402
from modules.configuration import Configuration, ModelOptions  # noqa: E402
from modules.engines import depth_prior  # noqa: E402
from modules.engines.camera_motion import CameraMotion  # noqa: E402
from modules.photos import Photo, PhotoReader, result_size  # noqa: E402

FRAMES, RUNS, PIXELS = 48, 5, 1024 * 576


def _synthetic() -> Image.Image:
    """A sky, textured ground, a red thing in the middle: 12 million pixels."""
    noise = np.random.default_rng(0).integers(0, 128, (1125, 2000, 3), np.uint8)
    noise[:300] = (150, 190, 240)
    cv2.circle(noise, (1000, 600), 250, (200, 40, 50), -1)
    return Image.fromarray(cv2.resize(noise, (4000, 2250), interpolation = cv2.INTER_CUBIC))


def _camera_motion(photo: Photo) -> np.ndarray:
    """Our frames, with the default motion."""
    engine = CameraMotion(Configuration(model = ModelOptions(output_frames = FRAMES)))
    request = parameters.parse([('seed', '3')], Path(), 'photo')
    return engine.animate(photo, request, lambda progress: None, lambda: None)


def _ken_burns(photo: Photo) -> np.ndarray:
    """A zoom to 108 % and back."""
    width, height = result_size(photo.full_size, PIXELS)
    still = np.asarray(photo.image.resize((width, height), Image.Resampling.LANCZOS))
    frames = np.empty((FRAMES, height, width, 3), np.uint8)
    for frame in range(FRAMES):
        zoom = 1 + 0.04 * (1 - np.cos(2 * np.pi * frame / FRAMES))
        about = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 0, zoom)
        cv2.warpAffine(still, about, (width, height), dst = frames[frame], flags = cv2.INTER_CUBIC)
    return frames


def _depth_in(frames: np.ndarray) -> tuple[float, float]:
    """Parallax in pixels (90th percentile) and near / far."""
    far_frame = max(range(len(frames)), key = lambda i: cv2.norm(frames[0], frames[i], cv2.NORM_L1))
    a, b = (cv2.cvtColor(frames[i], cv2.COLOR_RGB2GRAY) for i in (0, far_frame))
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(a, b, None)
    rows, columns = np.mgrid[40:a.shape[0] - 40:8, 40:a.shape[1] - 40:8]
    detail = cv2.blur(np.abs(cv2.Laplacian(a, cv2.CV_32F)), (15, 15))[rows, columns].ravel() > 4
    start = np.stack([columns.ravel(), rows.ravel()], 1)[detail].astype(np.float32)
    motion = flow[rows, columns].reshape(-1, 2)[detail]
    about = cv2.estimateAffinePartial2D(start, start + motion, method = cv2.LMEDS)[0]
    rest = np.linalg.norm(start @ about[:, :2].T + about[:, 2] - start - motion, axis = 1)
    near = cv2.resize(depth_prior.nearness(frames[0]), a.shape[::-1])[rows, columns].ravel()[detail]
    length = np.linalg.norm(motion, axis = 1)
    low, high = np.percentile(near, (33, 67))
    ratio = np.median(length[near >= high]) / max(0.01, np.median(length[near <= low]))
    return float(np.percentile(rest, 90)), float(ratio)


def _resident() -> float:
    """Memory in use now, in MB; the most used so far where the system does not tell."""
    status = Path('/proc/self/statm')
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 1e6
    return _peak()


def _peak() -> float:
    """The most memory used so far, in MB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == 'darwin' else most * 1024 / 1e6


def _measure(how: str, path: Path | None) -> str:
    """One row of the table, measured in a process of its own."""
    animate = {'camera motion': _camera_motion, 'Ken Burns': _ken_burns}[how]
    image = _synthetic() if path is None else None
    photo = Photo(image, image.size) if image else PhotoReader(10**9).read(path)
    before = _resident()
    frames, memory, times = animate(photo), _peak() - before, []
    used = time.process_time()
    for _ in range(RUNS):
        start = time.perf_counter()
        animate(photo)
        times.append(time.perf_counter() - start)
    used, seconds = (time.process_time() - used) / RUNS, statistics.median(times)
    parallax, ratio = _depth_in(frames)
    size = f'{frames.shape[2]}x{frames.shape[1]}'
    name = path.name if path else 'synthetic'
    return (f'{name[:28]:28} {size:>9}  {how:13} {seconds:7.2f} {used:7.2f} {FRAMES / seconds:6.0f}'
            f' {memory:8.0f} {parallax:9.1f} {ratio:9.2f}')


def main() -> None:
    """Measure every photo named on the command line, or a synthetic one."""
    paths = [Path(name) for name in sys.argv[1:]] or [None]
    print(f'{FRAMES} frames, median of {RUNS}')
    print(f'{"photo":28} {"size":>9}  {"":13} {"seconds":>7} {"CPU s":>7} {"fps":>6}'
          f' {"MB":>8} {"parallax":>9} {"near/far":>9}')
    for path in paths:
        for how in ('camera motion', 'Ken Burns'):
            with ProcessPoolExecutor(1, get_context('spawn')) as pool:
                print(pool.submit(_measure, how, path).result())


if __name__ == '__main__':
    main()
