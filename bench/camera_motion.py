#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Camera motion beside a plain Ken Burns zoom: time, memory, and how much depth is in the motion; and what a depth model
costs, where torch and transformers are installed.

    python bench/camera_motion.py [PHOTO...]

Parallax, in pixels, is what remains of the motion between frame 0 and the frame most unlike it once the best
zoom, turn and shift of the whole picture has been taken away: what no flat picture can show. Near / far is the
motion of the nearest third over that of the farthest, nearness being the engine's own guess. MB is how far the
process grows beyond the decoded photo, the finished frames included, and torch with its model where there is one; CPU s
adds up all cores. Depth s is the part in which near is told from far. The depth model is one of the published size with
random numbers: what it sees is noise, so nothing is told of how that moves.

Libraries: numpy, OpenCV, Pillow, onnxruntime; torch, transformers and onnx to make a depth model.
"""

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'support')]

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from modules.configuration import Configuration, ModelOptions, StoreOptions  # noqa: E402
from modules.engines.camera import depth_guess  # noqa: E402
from modules.engines.camera.depth_model import Depth  # noqa: E402
from modules.engines.camera.engine import CameraMotion  # noqa: E402
from modules.engines.camera.files import DEPTH  # noqa: E402
from modules.engines.common import missing_libraries  # noqa: E402
from modules.photos.reader import PhotoReader  # noqa: E402
from modules.photos.sizes import Photo, result_size  # noqa: E402
from modules.progress import JobControl  # noqa: E402
from modules.request import parse_request  # noqa: E402

FRAMES, RUNS, PIXELS = 48, 5, 1024 * 576


def _synthetic() -> Photo:
    """A sky, textured ground, a red thing in the middle: 12 million pixels."""
    noise = np.random.default_rng(0).integers(0, 128, (1125, 2000, 3), np.uint8)
    noise[:300] = (150, 190, 240)
    cv2.circle(noise, (1000, 600), 250, (200, 40, 50), -1)
    image = Image.fromarray(cv2.resize(noise, (4000, 2250), interpolation = cv2.INTER_CUBIC))
    return Photo(image, image.size)


def _published_size(folder: Path) -> None:
    """A depth model like the published one; in a process of its own, which is measured by nobody."""
    import tiny_depth
    with tempfile.TemporaryDirectory() as checkpoint:
        tiny_depth.export(tiny_depth.make(Path(checkpoint), **tiny_depth.SMALL), folder)


def _camera_motion(photo: Photo, engine: CameraMotion) -> np.ndarray:
    """Our frames, with the default motion."""
    request = parse_request([('seed', '3')], Path(), 'photo')
    return np.stack(list(engine.animate(photo, request, JobControl())))


def _ken_burns(photo: Photo, _engine: CameraMotion) -> np.ndarray:
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
    # OpenCV makes the flow where there is none, which its types do not say
    nothing: Any = None
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(a, b, nothing)
    rows, columns = np.mgrid[40:a.shape[0] - 40:8, 40:a.shape[1] - 40:8]
    detail = cv2.blur(np.abs(cv2.Laplacian(a, cv2.CV_32F)), (15, 15))[rows, columns].ravel() > 4
    start = np.stack([columns.ravel(), rows.ravel()], 1)[detail].astype(np.float32)
    motion = flow[rows, columns].reshape(-1, 2)[detail]
    about = cv2.estimateAffinePartial2D(start, start + motion, method = cv2.LMEDS)[0]
    rest = np.linalg.norm(start @ about[:, :2].T + about[:, 2] - start - motion, axis = 1)
    near = cv2.resize(depth_guess.nearness(frames[0]), a.shape[::-1])[rows, columns].ravel()[detail]
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


def _timed(act: Callable[[], object]) -> tuple[float, float]:
    """Median seconds, and mean seconds of all cores."""
    used, times = time.process_time(), []
    for _ in range(RUNS):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return statistics.median(times), (time.process_time() - used) / RUNS


def _measure(how: str, path: Path | None, models: Path) -> str:
    """One row of the table, measured in a process of its own."""
    animate = _ken_burns if how == 'Ken Burns' else _camera_motion
    photo = PhotoReader(10**9).read(path) if path else _synthetic()
    before = _resident()
    options = Configuration(
        model = ModelOptions(seconds = FRAMES / 30), store = StoreOptions(models_home = models))
    depth = Depth(options)
    engine = CameraMotion(options, depth)
    frames = animate(photo, engine)
    memory = _peak() - before
    seconds, used = _timed(lambda: animate(photo, engine))
    size = f'{frames.shape[2]}x{frames.shape[1]}'
    name = path.name if path else 'synthetic'
    row = (f'{name[:28]:28} {size:>9}  {how:13} {seconds:7.2f} {used:7.2f} {FRAMES / seconds:6.0f}'
           f' {memory:8.0f}')
    if how == 'depth model':
        return row + f' {_timed(lambda: depth.nearness(frames[0]))[0]:7.2f}'
    parallax, ratio = _depth_in(frames)
    guess = _timed(lambda: depth_guess.nearness(frames[0]))[0]
    guessed = f'{guess:7.2f}' if how == 'camera motion' else f'{"":7}'
    return row + f' {guessed} {parallax:9.1f} {ratio:9.2f}'


def main() -> None:
    """Measure every photo named on the command line, or a synthetic one."""
    paths: list[Path | None] = [*map(Path, sys.argv[1:])] or [None]
    ways = ['camera motion', 'Ken Burns'
            ] + ([] if missing_libraries('onnx', 'torch', 'transformers') else ['depth model'])
    print(f'{FRAMES} frames, median of {RUNS}')
    print(f'{"photo":28} {"size":>9}  {"":13} {"seconds":>7} {"CPU s":>7} {"fps":>6}'
          f' {"MB":>8} {"depth s":>7} {"parallax":>9} {"near/far":>9}')
    with tempfile.TemporaryDirectory() as folder:
        if 'depth model' in ways:
            _alone(_published_size, Path(folder) / DEPTH.hub_name)
        for path in paths:
            for how in ways:
                models = Path(folder) if how == 'depth model' else Path(folder) / 'none'
                print(_alone(_measure, how, path, models))


def _alone(act: Callable[..., object], *arguments: object) -> object:
    with ProcessPoolExecutor(1, get_context('spawn')) as pool:
        return pool.submit(act, *arguments).result()


if __name__ == '__main__':
    main()
