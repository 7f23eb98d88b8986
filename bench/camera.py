#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What camera motion looks like, measured with depth that is known: two layers beside one elastic sheet and a plain Ken
Burns zoom.

    python bench/camera.py [FOLDER]

FOLDER holds stereo pairs, see ``stereo_pairs.py``; their other eye is drawn and compared with the
photo of it: PSNR and SSIM where both eyes see, PSNR of what only the other sees, and of what lies
within 8 pixels of that; means of all pairs. ``blurred depth`` has the fineness of a model's map
instead of the truth's. ``exact`` takes every pixel from where the truth has it and leaves edges
hard. Bars: wall and bars of noise, PSNR where both views see, more than 2 pixels from an edge, at
2, 4 and 8 % of travel. Explained, for three moves: of what depth moves in 24 frames, once the best
zoom, turn and shift is taken away, the share that DIS flow, chained from frame to frame up to the
middle, finds there where there is detail; below, for every move, beside exact frames. Sharpness:
the finest detail in the middle of a clip against frame 0. CPU s: all cores, for 90 frames of
1024x576 and what goes before them; MB: growth beyond the photo, one frame included.

Libraries: numpy, OpenCV, Pillow; scikit-image for one pair.
"""

import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'bench')]

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from stereo_pairs import Pair, load_pairs  # noqa: E402

from modules.choices import MOVES  # noqa: E402
from modules.engines.camera import depth_guess, renderer  # noqa: E402
from modules.engines.camera.dense import sample_twice  # noqa: E402
from modules.engines.camera.edges import fit_edges  # noqa: E402
from modules.engines.camera.layers import Layers, make_layers, source_of  # noqa: E402
from modules.engines.camera.path import Shot, choose_path  # noqa: E402
from modules.engines.camera.sheet import MOST_STRETCH, Sheet  # noqa: E402
from modules.engines.camera.view import View, hold_size, plan_views, travel_in_pixels  # noqa: E402

COMPARED = ('orbit', 'pan-right', 'push-in')
TRAVEL = 0.036
#: ways that are only compared with the other eye
BY_DEPTH_ALONE = ('exact', 'two layers, blurred depth')


class Exact:
    """
    Every pixel from where the truth has it, without softened edges or filling.

    :param picture: uint8 [H, W, 3]
    :type picture: np.ndarray
    :param layers: the same in layers, made with the true depth
    :type layers: Layers
    """

    def __init__(self, picture: np.ndarray, layers: Layers):
        self.rims, self._picture, self._layers = layers.rims, picture, layers

    def draw(self, view: View, into: np.ndarray) -> None:
        """
        Draw a view.

        :param view: what is shown
        :type view: View
        :param into: uint8 [H, W, 3], is overwritten
        :type into: np.ndarray
        """
        found, _code = self._layers.find_depth(self._layers.rest, view, into.shape)
        cv2.remap(
            self._picture,
            *source_of(view, found, 1, 0),
            cv2.INTER_CUBIC,
            dst = into,
            borderMode = cv2.BORDER_REPLICATE)


def _drawing(picture: np.ndarray, near: np.ndarray, travel: float, way: str):
    """A photo with known depth, in two layers or on one sheet; travel in pixels."""
    height, width = near.shape
    fine = sample_twice(Image.fromarray(picture), (width, height))
    if way == 'exact':
        return Exact(picture, make_layers(picture, fine, near, travel))
    if way == 'two layers':
        return make_layers(picture, fine, fit_edges(near, picture), travel)
    small = cv2.resize(near, depth_guess.grid(picture), interpolation = cv2.INTER_AREA)
    slope = MOST_STRETCH * max(near.shape) / max(small.shape) / travel
    return Sheet(
        fine,
        cv2.resize(
            depth_guess.limit_slope(small, slope), (width, height),
            interpolation = cv2.INTER_CUBIC))


def _psnr(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> float:
    """Peak signal-to-noise ratio over some pixels, dB."""
    return float(10 * np.log10(255**2 / max(1e-9,
                                            ((one[where].astype(float) - other[where])**2).mean())))


def _ssim(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Structural similarity of each pixel, mean of the colours."""
    a, b = one.astype(np.float32), other.astype(np.float32)
    mean_a, mean_b, aa, bb, ab = (
        cv2.GaussianBlur(each, (11, 11), 1.5) for each in (a, b, a * a, b * b, a * b))
    above = (2 * mean_a * mean_b + 6.5025) * (2 * (ab - mean_a * mean_b) + 58.5225)
    below = (mean_a**2 + mean_b**2 + 6.5025) * (aa - mean_a**2 + bb - mean_b**2 + 58.5225)
    return (above / below).mean(2)


def _other_eye(pair: Pair, way: str) -> np.ndarray:
    """Seen PSNR and SSIM, revealed PSNR, PSNR beside."""
    near, farthest, span = pair.near, float(pair.disparity.min()), float(np.ptp(pair.disparity))
    if way == 'two layers, blurred depth':
        height, width = near.shape
        scale = 370 / max(near.shape)
        near = cv2.resize(near, None, fx = scale, fy = scale, interpolation = cv2.INTER_AREA)
        near = renderer._resize(cv2.GaussianBlur(near, (0, 0), 0.7), (width, height))
    drawn = np.empty_like(pair.left)
    view = View((0, 0), gain = (span, 0), shift = (farthest, 0))
    _drawing(pair.left, near, span, way.split(',')[0]).draw(view, drawn)
    likeness = _ssim(drawn, pair.right)[pair.seen].mean()
    return np.array([
        _psnr(drawn, pair.right, pair.seen), likeness,
        _psnr(drawn, pair.right, pair.revealed),
        _psnr(drawn, pair.right, pair.beside)
    ])


def _bars(way: str) -> list[float]:
    """PSNR at each travel."""
    width, height, found = 800, 450, []
    wall, board = (
        cv2.GaussianBlur(
            np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8), (0, 0), 1.5)
        for seed in (0, 1))
    is_bar = np.zeros((height, width), bool)
    for left in range(80, width - 100, 150):
        is_bar[:, left:left + 60] = True
    for travel in (0.02, 0.04, 0.08):
        shift = round(travel * width)
        moved, texture = (np.roll(each, -shift, 1) for each in (is_bar, board))
        picture, other = np.where(is_bar[..., None], board,
                                  wall), np.where(moved[..., None], texture, wall)
        drawn = np.empty_like(picture)
        _drawing(picture, is_bar.astype(np.float32), shift,
                 way).draw(View((0, 0), gain = (shift, 0)), drawn)
        edges = cv2.morphologyEx(
            moved.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) > 0
        seen = (moved | ~is_bar) & ~edges
        seen[:, -shift - 2:] = False
        found.append(_psnr(drawn, other, seen))
    return found


def _ken_burns(picture: np.ndarray, share: float) -> np.ndarray:
    """A zoom to 108 %."""
    height, width = picture.shape[:2]
    about = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 0, 1 + 0.08 * share)
    return cv2.warpAffine(picture, about, (width, height), flags = cv2.INTER_CUBIC)


def _shot(pair: Pair, move: str, frames: int) -> tuple[Shot, np.ndarray]:
    """What is filmed, and the nearness it is given."""
    return hold_size(Shot(choose_path(move, 1, frames), TRAVEL), pair.near)


def _clip(pair: Pair, way: str, move: str, frames: int):
    """Frames one after the other, views, and what draws them."""
    height, width = pair.near.shape
    shot, near = _shot(pair, move, frames)
    made = _drawing(pair.left, near, travel_in_pixels(shot, (width, height)),
                    'two layers' if way == 'Ken Burns' else way)
    views = plan_views(shot, near, made.rims)
    for number in range(frames):
        frame = pair.left.copy()
        if way == 'Ken Burns':
            frame = _ken_burns(pair.left, shot.path.ease[number])
        elif number:
            made.draw(views[number], frame)
        yield frame, views[number]


def _without_camera(flow: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Flow at some places, less the best zoom, turn and shift."""
    ones, zeros = np.ones(len(at)), np.zeros(len(at))
    x, y = (at - at.mean(0)).T
    base = np.concatenate([np.stack([x, -y, ones, zeros], 1), np.stack([y, x, zeros, ones], 1)])
    wanted = np.concatenate(flow.T)
    return wanted - base @ np.linalg.lstsq(base, wanted, rcond = None)[0]


def _explained(pair: Pair, way: str, move: str) -> float:
    """The share of what depth moves that is found in the frames."""
    frames, dis = 24, cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    near = _shot(pair, move, frames)[1]
    rows, columns = np.indices(near.shape, np.float32)
    before = None
    for number, (frame, shown) in enumerate(_clip(pair, way, move, frames)):
        view = shown
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if before is None:
            first, chained = grey, np.zeros((*grey.shape, 2), np.float32)
        else:
            # its types leave out None, which begins without a flow
            step = dis.calc(before, grey, None)  # type: ignore[call-overload]
            chained = chained + cv2.remap(
                step,
                columns + chained[..., 0],
                rows + chained[..., 1],
                cv2.INTER_LINEAR,
                borderMode = cv2.BORDER_REPLICATE)
        before = grey
        if number == frames // 2 + 2:
            break
    forward = []
    for axis, places in enumerate((columns, rows)):
        zoom = view.zoom + view.walk * near
        moved = (places - view.centre[axis] - view.gain[axis] * near - view.shift[axis]) / (1 -
                                                                                            zoom)
        forward.append(moved + view.centre[axis] - places)
    detail = cv2.blur(np.abs(cv2.Laplacian(first, cv2.CV_32F)), (15, 15))[30:-30:4, 30:-30:4] > 4
    at = np.stack([columns, rows], 2)[30:-30:4, 30:-30:4][detail]
    found, truth = (
        _without_camera(flow[30:-30:4, 30:-30:4][detail], at)
        for flow in (chained, np.stack(forward, 2)))
    return float(1 - ((found - truth)**2).sum() / (truth**2).sum())


def _sharpness(pair: Pair, way: str) -> float:
    """Energy of the finest detail in the middle of a clip, against frame 0."""
    energies = [
        cv2.Laplacian(frame, cv2.CV_32F)[20:-20, 20:-20].std()
        for frame, _view in _clip(pair, way, 'orbit', 8)
    ]
    return float(energies[4] / energies[0])


def _cost(pair: Pair, way: str) -> tuple[float, float]:
    """CPU seconds and MB of a clip of 90 frames of 1024x576."""
    scale = max(1024 / pair.left.shape[1], 576 / pair.left.shape[0])
    left, near = (
        np.ascontiguousarray(cv2.resize(each, None, fx = scale, fy = scale)[:576, :1024])
        for each in (pair.left, pair.near))
    large = Pair(pair.name, left, left, near, near > 2, near > 2, near > 2)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    for _frame in _clip(large, way, 'orbit', 90):
        pass
    return time.process_time() - started, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss -
                                           before) / 1024


def _measure(way: str, folder: Path | None) -> str:
    """One row of the table."""
    pairs = load_pairs(folder)
    seconds, memory = (0.0, 0.0) if way in BY_DEPTH_ALONE else _cost(pairs[0], way)
    cells = [
        f'{value:.2f}' if index != 1 else f'{value:.3f}'
        for index, value in enumerate(np.mean([_other_eye(pair, way) for pair in pairs], 0))
    ] if way != 'Ken Burns' else ['', '', '', '']
    if way in BY_DEPTH_ALONE:
        return f'| {way} | {" | ".join(cells)} |' + ' |' * 6
    cells += [' / '.join(f'{value:.1f}' for value in _bars(way))] if way != 'Ken Burns' else ['']
    cells += [
        f'{100 * np.mean([_explained(pair, way, move) for pair in pairs[:2]]):.0f}'
        for move in COMPARED
    ]
    return f'| {way} | {" | ".join(cells)} | {_sharpness(pairs[0], way):.2f} | {seconds:.2f} / {memory:.0f} |'


def _compare_moves(folder: Path | None) -> list[str]:
    """One row a move: the share that is found in exact frames and in ours."""
    rows, pairs = [], load_pairs(folder)[:2]
    for move in MOVES:
        if move not in ('auto', 'still'):
            exact, ours = (
                np.mean([_explained(pair, way, move) for pair in pairs])
                for way in ('exact', 'two layers'))
            rows.append(f'| {move} | {100 * exact:.0f} | {100 * ours:.0f} | {ours / exact:.2f} |')
    return rows


def main() -> None:
    """Print the table, each row from a process of its own."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    print('| | seen, dB | SSIM | revealed, dB | beside, dB | bars, dB | ' +
          ' | '.join(f'{move}, %' for move in COMPARED) + ' | sharpness | CPU s / MB |')
    print('|---' * 11 + '|')
    for way in ('exact', 'two layers', 'two layers, blurred depth', 'one sheet', 'Ken Burns'):
        with ProcessPoolExecutor(1, get_context('spawn')) as pool:
            print(pool.submit(_measure, way, folder).result(), flush = True)
    print('\n| move | exact, % | two layers, % | share |')
    print('|---' * 4 + '|')
    print(*_compare_moves(folder), sep = '\n')


if __name__ == '__main__':
    main()
