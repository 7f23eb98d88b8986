#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The renderer with depth that is known: what moves where, what stays, and what comes into view.

Libraries: pytest, numpy, OpenCV, Pillow.
"""

import tracemalloc

import cv2
import numpy as np
import pytest
from PIL import Image

from modules.choices import MOVES
from modules.engines.camera.edges import fit_edges
from modules.engines.camera.layers import make_layers
from modules.engines.camera.path import Shot, choose_path
from modules.engines.camera.renderer import prepare_renderer
from modules.engines.camera.view import View

WIDTH, HEIGHT, FRAMES = 320, 180, 24
#: the near thing
THING = np.s_[60:120, 130:190]


def texture(seed, size = (WIDTH, HEIGHT)):
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1.5)


def thing_before_wall():
    near = np.full((HEIGHT, WIDTH), 0.1, np.float32)
    near[THING] = 0.9
    return near


def clip(pixels, near, move, motion = 0.04, frames = FRAMES, **shot):
    size = pixels.shape[1::-1]
    renderer = prepare_renderer(
        Image.fromarray(pixels), size, Shot(choose_path(move, 1, frames), motion, **shot),
        lambda _still: near)
    drawn = np.zeros((frames, *pixels.shape), np.uint8)
    for frame in range(frames):
        renderer.draw(frame, drawn[frame])
    return drawn


def moved(frames, box):
    """How far, in columns and rows, what is in a box of frame 0 moves where it moves most."""
    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    rows, columns = np.mgrid[box]
    at = np.stack([columns, rows], 2).reshape(-1, 1, 2)[::17].astype(np.float32)
    shifts = [(0.0, 0.0)]
    there = at
    for before, after in zip(greys, greys[1:], strict = False):
        there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, there, None, winSize = (11, 11))
        shifts.append(np.median((there - at)[found.ravel() == 1], (0, 1)))
    return max(shifts, key = lambda shift: np.hypot(*shift))


@pytest.mark.parametrize('near', [None, thing_before_wall()], ids = ['guess', 'model'])
@pytest.mark.parametrize('move', MOVES)
def test_begins_with_the_photo_and_comes_back_to_it(move, near):
    pixels = texture(0)
    frames = clip(pixels, near, move)
    assert (frames[0] == pixels).all()
    steps = [
        np.abs(a.astype(int) - b).mean()
        for a, b in zip(frames, np.roll(frames, 1, 0), strict = True)
    ]
    assert steps[0] <= 1.1 * max(steps[1:])
    assert (max(steps) == 0) == (move == 'still')


@pytest.mark.parametrize(('move', 'axis', 'sign'), [('pan-left', 0, 1), ('pan-right', 0, -1),
                                                    ('rise', 1, 1), ('sink', 1, -1)])
def test_the_scene_goes_the_other_way_than_the_camera(move, axis, sign):
    frames = clip(texture(0), thing_before_wall(), move)
    thing, wall = moved(frames, THING), moved(frames, np.s_[60:120, 20:80])
    assert sign * thing[axis] > 3
    assert sign * thing[axis] > sign * wall[axis] + 2


def test_walking_in_makes_near_things_grow_more_than_far_ones():
    frames = clip(texture(0), thing_before_wall(), 'push-in')
    left, right = moved(frames, np.s_[66:114, 130:162]), moved(frames, np.s_[66:114, 158:190])
    wall_left, wall_right = moved(frames, np.s_[60:120,
                                                30:62]), moved(frames, np.s_[60:120, 258:290])
    grown, wall_grown = (right[0] - left[0]) / 28, (wall_right[0] - wall_left[0]) / 228
    assert grown > 0.02 and grown > 2 * wall_grown > -0.001


def test_the_dolly_zoom_keeps_the_size_of_the_thing_while_the_wall_grows():
    frames = clip(texture(0), thing_before_wall(), 'dolly-zoom', focus = (0.5, 0.5))
    left, right = moved(frames, np.s_[66:114, 130:162]), moved(frames, np.s_[66:114, 158:190])
    wall_left, wall_right = moved(frames, np.s_[60:120,
                                                30:62]), moved(frames, np.s_[60:120, 258:290])
    assert np.abs([left, right]).max() < 0.2
    assert wall_right[0] - wall_left[0] > 4


@pytest.mark.parametrize('move', MOVES)
@pytest.mark.parametrize('focus', [(0.5, 0.5), (0.25, 0.7)])
def test_the_focus_stays_in_place(move, focus):
    frames = clip(texture(0), thing_before_wall(), move, focus = focus)
    column, row = round(focus[0] * (WIDTH - 1)), round(focus[1] * (HEIGHT - 1))
    assert np.abs(moved(frames, np.s_[row - 16:row + 16, column - 16:column + 16])).max() < 0.25


def test_blur_leaves_the_focus_sharp_and_lets_no_colour_bleed_across_its_edge():
    pixels = np.full((HEIGHT, WIDTH, 3), 250, np.uint8)
    pixels[::8] = 200
    pixels[THING] = texture(0)[THING] // 8
    frame = clip(pixels, thing_before_wall(), 'still', focus = (0.5, 0.5), blur = 1.0)[1]
    assert (frame[62:118, 132:188] == pixels[62:118, 132:188]).all()
    assert frame[20:40].std() < pixels[20:40].std() / 3
    beside = frame[70:110, 193:200]
    assert beside.min() > 195
    assert (clip(pixels, thing_before_wall(), 'still', blur = 0.0)[1] == pixels).all()


def test_a_blurred_thing_before_a_sharp_wall_spreads_over_it():
    pixels = np.full((HEIGHT, WIDTH, 3), 250, np.uint8)
    pixels[THING] = 0
    frame = clip(pixels, thing_before_wall(), 'still', focus = (0.1, 0.1), blur = 1.0)[0]
    row = frame[90, 110:150, 0].astype(int)
    assert (np.diff(row) <= 1).all() and (np.diff(row) > -70).all()
    assert np.count_nonzero((row > 20) & (row < 230)) > 4
    assert frame[90, 160, 0] < 5 and frame[90, 100, 0] == 250


def test_a_blurred_thing_takes_its_blur_along():
    pixels = np.full((HEIGHT, WIDTH, 3), 250, np.uint8)
    pixels[THING] = 0
    frames = clip(pixels, thing_before_wall(), 'pan-right', focus = (0.1, 0.1), blur = 1.0)
    for frame in frames:
        row = frame[90, 150:, 0].astype(int)
        assert (np.diff(row) >= -1).all()
        assert 4 < np.count_nonzero((row > 20) & (row < 249)) < 10


def test_threads_do_not_change_the_bytes():
    before, clips = cv2.getNumThreads(), []
    try:
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            clips.append(
                clip(texture(0), thing_before_wall(), 'orbit', frames = 5, blur = 0.4).tobytes())
    finally:
        cv2.setNumThreads(before)
    assert clips[0] == clips[1] == clips[2]


def bars(shift):
    """Bars before a wall, each moved by ``shift``; and where bars are."""
    is_bar = np.zeros((HEIGHT, WIDTH), bool)
    for left in range(30, WIDTH - 40, 60):
        is_bar[:, left:left + 24] = True
    is_bar = np.roll(is_bar, -shift, 1)
    return np.where(is_bar[..., None], np.roll(texture(1), -shift, 1), texture(0)), is_bar


@pytest.mark.parametrize('travel', [0.02, 0.04, 0.08])
def test_what_is_seen_from_elsewhere_is_where_it_belongs(travel):
    shift = round(travel * WIDTH)
    (pixels, is_bar), (other, other_bar) = bars(0), bars(shift)
    near = is_bar.astype(np.float32)
    fine = np.repeat(np.repeat(pixels, 2, 0), 2, 1)[:-1, :-1]
    made = make_layers(pixels, fine, near, shift)
    drawn = np.empty_like(pixels)
    made.draw(View((0, 0), gain = (shift, 0)), drawn)
    edges = cv2.morphologyEx(other_bar.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((5, 5)))
    seen = (edges == 0) & (other_bar | ~is_bar)
    seen[:, -shift - 2:] = False
    error = (drawn[seen].astype(float) - other[seen])**2
    assert 10 * np.log10(255**2 / error.mean()) > 38
    # what comes into view is the wall's, not the bars'
    revealed = drawn[is_bar & ~other_bar & (edges == 0)].mean()
    assert abs(revealed - texture(0).mean()) < 12


def seen_from_aside(pixels, near, shift):
    fine = np.asarray(Image.fromarray(pixels).resize((2 * WIDTH, 2 * HEIGHT)))[:-1, :-1]
    drawn = np.empty_like(pixels)
    make_layers(pixels, fine, near, shift).draw(View((0, 0), gain = (shift, 0)), drawn)
    return drawn


@pytest.mark.parametrize('wider', [0, 1, 2])
def test_edges_of_depth_are_laid_where_the_photo_has_them(wider):
    pixels = texture(0) // 4 + 180
    pixels[THING] = texture(1)[THING] // 4
    near = cv2.dilate(thing_before_wall(), np.ones((2 * wider + 1, ) * 2, np.uint8))
    found = fit_edges(near, pixels) > 0.5
    is_thing = thing_before_wall() > 0.5
    assert np.count_nonzero(found & ~is_thing) <= (0, 0, 400)[wider]
    assert not (is_thing & ~found).any()


def test_what_comes_into_view_has_the_detail_of_what_is_beside_it():
    pixels = texture(0)
    pixels[THING] = 128
    drawn = seen_from_aside(pixels, thing_before_wall(), 16)
    revealed = drawn[66:114, 176:188].astype(float)
    assert revealed.std() > 0.4 * pixels[66:114, 192:204].astype(float).std()


def test_nothing_of_a_thing_that_moves_stays_behind_as_an_outline():
    pixels = np.full((HEIGHT, WIDTH, 3), 230, np.uint8)
    pixels[THING] = 20
    pixels = cv2.GaussianBlur(pixels, (0, 0), 0.7)
    drawn = seen_from_aside(pixels, fit_edges(thing_before_wall(), pixels), 16)
    assert drawn[50:130, 180:200].min() > 200


def test_coarse_depth_leaves_no_cracks_in_a_thing():
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[THING] = 250
    near = cv2.resize(
        thing_before_wall(), (WIDTH // 3, HEIGHT // 3), interpolation = cv2.INTER_AREA)
    frames = clip(pixels, near, 'pan-right', motion = 0.06)
    for frame in frames[::3]:
        count, _labels = cv2.connectedComponents((frame[..., 0] < 200).astype(np.uint8))
        assert count == 2  # what is bright, and the wall in one piece


def test_straight_lines_stay_straight_over_ground_and_wall():
    pixels = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    pixels[:, 100:104] = pixels[:, 220:224] = 30
    pixels = cv2.GaussianBlur(pixels, (0, 0), 0.8)
    ramp = np.linspace(0.1, 0.9, HEIGHT, dtype = np.float32)[:, None]
    near = ramp + np.zeros((1, WIDTH), np.float32)
    for frame in clip(pixels, near, 'pan-left', frames = 8)[1:]:
        dark = 200 - frame[..., 0].astype(float)
        for box in (np.s_[:, 70:150], np.s_[:, 190:270]):
            weight = dark[box].clip(0)
            column = (weight * np.arange(80)).sum(1) / weight.sum(1)
            rows = np.arange(HEIGHT)
            bend = column - np.polyval(np.polyfit(rows, column, 1), rows)
            assert np.abs(bend[3:-3]).max() < 0.6


def test_memory_stays_bounded():
    pixels, near = texture(0, (1024, 576)), cv2.resize(thing_before_wall(), (1024, 576))
    clip(pixels[:90, :160], near[:90, :160], 'orbit', frames = 3)
    frame = np.empty_like(pixels)
    tracemalloc.start()
    try:
        renderer = prepare_renderer(
            Image.fromarray(pixels), (1024, 576), Shot(choose_path('orbit', 1, 90), 0.03),
            lambda _still: near)
        for index in (1, 3, 45):
            renderer.draw(index, frame)
        assert tracemalloc.get_traced_memory()[1] < 300e6
    finally:
        tracemalloc.stop()
