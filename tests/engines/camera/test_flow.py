#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What was drawn flows, the rest stays: where, how far, how it loops, and under a camera that moves.

Libraries: pytest, numpy, OpenCV, Pillow.
"""

import cv2
import numpy as np
import pytest
from PIL import Image

from modules.engines.camera.flow import _noise, _trace, make_stream
from modules.engines.camera.flow_field import make_field, sum_around
from modules.engines.camera.path import Shot, choose_path
from modules.engines.camera.renderer import prepare_renderer
from modules.errors import Cancelled
from modules.request.drawing import Flow, Stroke

WIDTH, HEIGHT, FRAMES = 320, 180, 90
ACROSS = Flow((Stroke(((0.0, 0.5), (1.0, 0.5)), 0.3), ))
#: rows in the middle of that stroke, and rows beyond it
MIDDLE, BEYOND = np.s_[60:120], np.r_[0:30, 150:180]


def texture(seed, size = (WIDTH, HEIGHT), blur = 1.5):
    noise = np.random.default_rng(seed).standard_normal((size[1], size[0], 3))
    noise = cv2.GaussianBlur(noise, (0, 0), blur)
    return (128 + 40 * noise / noise.std()).clip(0, 255).astype(np.uint8)


def renderer_of(pixels, flow, move = 'still', near = None, frames = FRAMES, **shot):
    return prepare_renderer(
        Image.fromarray(pixels), pixels.shape[1::-1],
        Shot(
            choose_path(move, 1, frames),
            0.04,
            flow = flow,
            seconds = shot.pop('seconds', 3),
            **shot), lambda _still: near)


def frames_of(pixels, flow, numbers, **shot):
    renderer = renderer_of(pixels, flow, **shot)
    drawn = np.zeros((len(numbers), *pixels.shape), np.uint8)
    for into, number in zip(drawn, numbers, strict = True):
        renderer.draw(number, into)
    return drawn


def psnr(first, second):
    return 10 * np.log10(255**2 / max(1e-9, ((first.astype(float) - second)**2).mean()))


def test_beyond_the_strokes_every_frame_is_the_photo():
    pixels = texture(0)
    for frame in frames_of(pixels, ACROSS, range(0, FRAMES, 7)):
        assert (frame[BEYOND] == pixels[BEYOND]).all()
    assert (frames_of(pixels, ACROSS, [0])[0] == pixels).all()
    assert psnr(frames_of(pixels, ACROSS, [45])[0][MIDDLE], pixels[MIDDLE]) < 20


def test_no_colour_draws_flow_beyond_a_stroke_or_onto_a_pin():
    pixels = np.random.default_rng(0).choice(np.array((0, 255), np.uint8), (576, 1024, 3))
    flow = Flow((Stroke(((0.0, 0.5), (1.0, 0.5)), 0.1), ), (Stroke(((0.5, 0.5), ), 0.05), ))
    guide = cv2.resize(pixels, (256, 144), interpolation = cv2.INTER_AREA) / 255
    limit = make_field(flow, guide).limit
    rows, columns = np.mgrid[:144, :256]
    # a tenth of 256 cells, and three cells more; a twentieth
    assert (limit[np.abs(rows - 72) > 12.8 + 3] == 0).all()
    assert (limit[np.hypot(rows - 72, columns - 128) <= 6.4] == 0).all()
    assert (limit[62:82, 20:100] == 1).all()
    alpha, reach = make_stream(flow, pixels, 90, 3).alpha, cv2.resize(limit, (1024, 576))
    assert (alpha[reach == 0] == 0).all()
    assert (alpha[270:306, 100:400] > 0.9).mean() > 0.9


@pytest.mark.parametrize('speed', [0.5, 1.0, 2.0])
def test_what_flows_is_the_photo_carried_along(speed):
    pixels = texture(0)
    flow = Flow((Stroke(((0.0, 0.5), (1.0, 0.5)), 0.5, speed), ))
    frame = frames_of(pixels, flow, [15])[0]
    carried = speed * 0.1 * WIDTH * 15 / FRAMES
    exact = cv2.warpAffine(
        pixels, np.array(((1, 0, carried), (0, 1, 0))), (WIDTH, HEIGHT), flags = cv2.INTER_CUBIC)
    assert psnr(frame[MIDDLE, 80:240], exact[MIDDLE, 80:240]) > 32
    # what arrives at the photo does so from the other side
    frame = frames_of(pixels, flow, [FRAMES - 15])[0]
    exact = cv2.warpAffine(
        pixels, np.array(((1, 0, -carried), (0, 1, 0))), (WIDTH, HEIGHT), flags = cv2.INTER_CUBIC)
    assert psnr(frame[MIDDLE, 80:240], exact[MIDDLE, 80:240]) > 32


@pytest.mark.parametrize('width', [0.005, 0.02, 0.04, 0.06, 0.1])
def test_a_thin_stroke_flows_too(width):
    pixels = texture(0, (1024, 288), blur = 3)
    flow = Flow((Stroke(((0.0, 0.5), (1.0, 0.5)), width), ))
    stream = make_stream(flow, pixels, 90, 3)
    # the row of cells through which it goes
    assert stream.alpha[145:147, 100:900].mean() > 0.85
    # a tenth of the longer side, in cells
    ways = stream.forth[-1][0, 36, 40:200]
    assert 0.75 * 25.6 < ways.mean() < 25.7
    half = width * 512
    assert stream.alpha[:int(144 - half - 20)].max() == 0


def test_it_follows_a_curve():
    angles = np.linspace(-np.pi / 2, np.pi / 2, 40)
    points = tuple(
        (0.3 + 0.25 * np.cos(a) * HEIGHT / WIDTH, 0.5 + 0.25 * np.sin(a)) for a in angles)
    field = make_field(Flow((Stroke(points, 0.1), )), np.full((144, 256, 3), 0.5))
    for angle in (-1.2, 0, 1.2):
        row, column = 72 + 36 * np.sin(angle), 76.8 + 36 * np.cos(angle)
        velocity = field.velocity[int(row), int(column)]
        towards = np.array((-np.sin(angle), np.cos(angle)))
        assert velocity @ towards > 0.98 * np.linalg.norm(velocity)
        assert np.linalg.norm(velocity) == pytest.approx(25.6, rel = 0.05)


def test_a_trace_goes_round():
    rows, columns = np.mgrid[:101, :101] - 50.0
    quarter = np.stack([-rows, columns], 2) * np.pi / 2
    for direction, below in ((1, 20), (-1, -20)):
        ways = _trace(quarter, direction, 32)
        assert ways.shape == (33, 2, 101, 101)
        # from the right of the middle to below it, or above
        assert ways[-1][:, 50, 70] == pytest.approx((-20, below), abs = 0.1)
        assert np.hypot(*(ways[16][:, 50, 70] + (20, 0))) == pytest.approx(20, abs = 0.1)


def contrast(frame):
    values = frame.astype(np.float32)
    return (values - cv2.GaussianBlur(values, (0, 0), 6))[MIDDLE, 40:280].std()


@pytest.mark.parametrize('blur', [1.0, 3.0])
@pytest.mark.parametrize('speed', [0.2, 1.0, 3.0])
def test_contrast_is_kept_all_along_the_loop(speed, blur):
    pixels = texture(0, blur = blur)
    flow = Flow((Stroke(((0.0, 0.5), (1.0, 0.5)), 0.5, speed), ))
    found = [contrast(frame) for frame in frames_of(pixels, flow, range(0, FRAMES, 5))]
    assert min(found) > 0.9 * found[0]
    assert max(found) < 1.12 * found[0]


def test_streaks_along_the_flow_do_not_pulse():
    noise = np.random.default_rng(0).standard_normal((HEIGHT, WIDTH, 3))
    noise = cv2.GaussianBlur(noise, (0, 0), sigmaX = 30, sigmaY = 2)
    pixels = (128 + 40 * noise / noise.std()).clip(0, 255).astype(np.uint8)
    flow = Flow((Stroke(((0.0, 0.5), (1.0, 0.5)), 0.5, 0.6), ))
    found = [contrast(frame) for frame in frames_of(pixels, flow, range(0, FRAMES, 5))]
    assert min(found) > 0.93 * found[0]
    assert max(found) < 1.07 * found[0]


def test_the_loop_has_no_seam():
    frames = frames_of(texture(0), ACROSS, range(FRAMES))
    steps = [
        np.abs(a.astype(int) - b).mean()
        for a, b in zip(frames, np.roll(frames, -1, 0), strict = True)
    ]
    assert steps[-1] < 1.5 * np.median(steps)
    assert max(steps) < 1.5 * np.median(steps)


def test_a_long_clip_has_several_loops_of_the_same_speed():
    pixels = texture(0)
    assert (frames_of(pixels, ACROSS, [90], frames = 180, seconds = 6)[0] == pixels).all()
    once, again = frames_of(pixels, ACROSS, [30, 120], frames = 180, seconds = 6)
    assert (once == again).all()
    assert (once == frames_of(pixels, ACROSS, [30])[0]).all()
    short = frames_of(pixels, ACROSS, [5], frames = 30, seconds = 1)[0]
    assert psnr(short[MIDDLE], frames_of(pixels, ACROSS, [5])[0][MIDDLE]) > 30


def test_pins_stay():
    pixels = texture(0)
    flow = Flow(ACROSS.strokes, (Stroke(((0.5, 0.5), ), 0.1), ))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    pinned = np.hypot(columns - WIDTH / 2, rows - HEIGHT / 2) < 15
    for frame in frames_of(pixels, flow, range(0, FRAMES, 11)):
        assert (frame[pinned] == pixels[pinned]).all()


def test_what_a_stroke_merely_reaches_over_stays():
    pixels = texture(0) // 2 + (100, 60, 20)
    pixels = pixels.astype(np.uint8)
    # a bank along the river, with a pole in it
    bank = np.zeros((HEIGHT, WIDTH), bool)
    bank[110:], bank[70:, 150:158] = True, True
    pixels[bank] = (texture(1) // 4 + (10, 90, 20)).astype(np.uint8)[bank]
    safe = cv2.erode(bank.astype(np.uint8), np.ones((3, 3))) > 0
    for frame in frames_of(pixels, ACROSS, [11, 45, 80]):
        assert np.abs(frame[safe].astype(int) - pixels[safe]).max() < 40
        assert psnr(frame[safe], pixels[safe]) > 45
    assert psnr(frames_of(pixels, ACROSS, [45])[0][75:100, :140], pixels[75:100, :140]) < 25


@pytest.mark.parametrize(
    'flow', [
        Flow((Stroke(((0.5, 0.5), ), 0.2), )),
        Flow((Stroke(((0.5, 0.5), (0.5, 0.5)), 0.2), )),
        Flow((), ACROSS.strokes),
        Flow(ACROSS.strokes, (Stroke(((0.0, 0.5), (1.0, 0.5)), 0.5), )),
        Flow((*ACROSS.strokes, Stroke(((1.0, 0.5), (0.0, 0.5)), 0.3))),
    ],
    ids = ['point', 'two alike', 'pins', 'pinned', 'against each other'])
def test_what_has_no_direction_does_not_flow(flow):
    pixels = texture(0)
    assert psnr(frames_of(pixels, flow, [45])[0], pixels) > 45


@pytest.mark.parametrize('size', [(8, 8), (9, 400), (400, 9), (257, 31)])
def test_any_size_flows(size):
    pixels = texture(0, size)
    flow = Flow((Stroke(((0.1, 0.1), (0.9, 0.9)), 0.5, 3.0), ))
    frames = frames_of(pixels, flow, [0, 1, 45, 89])
    assert (frames[0] == pixels).all()
    assert (frames[2] != pixels).any() or max(size) == 8


@pytest.mark.parametrize(
    'near', [None, np.linspace(0, 1, HEIGHT)[:, None].repeat(WIDTH, 1)], ids = ['guess', 'model'])
@pytest.mark.parametrize('move', ['orbit', 'push-in'])
def test_first_it_flows_then_the_camera_looks_at_it(move, near):
    pixels = texture(0)
    near = None if near is None else near.astype(np.float32)
    plain = frames_of(pixels, None, [0, 20, 45], move = move, near = near)
    flowing = frames_of(pixels, ACROSS, [0, 20, 45], move = move, near = near)
    assert (flowing[0] == pixels).all()
    for before, after in zip(plain[1:], flowing[1:], strict = True):
        rows = np.r_[0:15, 165:180]
        assert (before[rows] == after[rows]).all()
        assert psnr(before[MIDDLE], after[MIDDLE]) < 22
    # the camera sees what the flow alone would show
    flowed = renderer_of(frames_of(pixels, ACROSS, [20])[0], None, move = move, near = near)
    seen = np.zeros_like(pixels)
    flowed.draw(20, seen)
    assert psnr(seen[MIDDLE, 40:280], flowing[1][MIDDLE, 40:280]) > 24


def test_what_flows_goes_along_with_what_the_camera_sees():
    pixels = texture(0)
    # against each other, so that nothing fits if it is a few pixels away
    flow = Flow(
        tuple(
            Stroke(((x, 0.2 + 0.6 * up), (x, 0.8 - 0.6 * up)), 0.08, 0.6)
            for x, up in ((0.3, 0), (0.4, 1), (0.5, 0), (0.6, 1), (0.7, 0))))
    near = np.ones((HEIGHT, WIDTH), np.float32)
    made = frames_of(pixels, flow, [20], move = 'pan-right', near = near)[0]
    flowed = renderer_of(frames_of(pixels, flow, [20])[0], None, move = 'pan-right', near = near)
    seen = np.zeros_like(pixels)
    flowed.draw(20, seen)
    assert psnr(seen[MIDDLE, 80:240], made[MIDDLE, 80:240]) > 27


def test_what_comes_into_view_is_not_once_more_what_hid_it():
    pixels = (texture(0) // 4 + (0, 60, 120)).astype(np.uint8)
    near = np.full((HEIGHT, WIDTH), 0.1, np.float32)
    pixels[60:120, 130:190], near[60:120, 130:190] = (220, 30, 30), 0.9
    flow = Flow((Stroke(((0.0, 0.5), (1.0, 0.5)), 0.5, 0.1), ))
    counts = [
        np.count_nonzero(frame[..., 0] > 140) for each in (None, flow)
        for frame in frames_of(pixels, each, [45], move = 'pan-right', near = near)
    ]
    assert abs(counts[1] - counts[0]) < 0.04 * counts[0]


def test_blur_and_flow_go_together():
    pixels = texture(0)
    near = np.linspace(0, 1, HEIGHT, dtype = np.float32)[:, None].repeat(WIDTH, 1)
    frames = frames_of(pixels, ACROSS, [0, 45], near = near, blur = 1.0, focus = (0.5, 0.9))
    assert (frames[1][BEYOND] == frames[0][BEYOND]).all()
    assert psnr(frames[1][MIDDLE], frames[0][MIDDLE]) < 26


def test_threads_do_not_change_the_bytes_of_what_flows():
    before, clips = cv2.getNumThreads(), []
    try:
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            clips.append(frames_of(texture(0), ACROSS, [1, 30, 45], move = 'orbit').tobytes())
    finally:
        cv2.setNumThreads(before)
    assert clips[0] == clips[1] == clips[2]


def test_the_noise_is_the_one_that_the_page_computes():

    def lattice(column, row):
        hashed = (column * 374761393 + row * 668265263) % 2**32
        hashed = (hashed ^ hashed >> 13) * 1274126177 % 2**32
        return (hashed ^ hashed >> 16) / 2**32

    values = _noise(30, 40)
    assert values.shape == (30, 40)
    for x, y in ((3, 7), (17, 4), (25, 28), (39, 29)):
        (column, across), (row, down) = (divmod((place + 0.5) / 10, 1) for place in (x, y))
        across, down = (part * part * (3 - 2 * part) for part in (across, down))
        upper, lower = ((1 - across) * lattice(int(column), line) +
                        across * lattice(int(column) + 1, line)
                        for line in (int(row), int(row) + 1))
        assert values[y, x] == pytest.approx((1 - down) * upper + down * lower, abs = 1e-9)


def test_sums_of_whole_numbers_are_exact():
    values = np.random.default_rng(0).integers(0, 9, (20, 30)).astype(float)
    sums = sum_around(values, 4)
    assert sums[10, 15] == values[6:15, 11:20].sum()
    assert sums[0, 0] == values[:5, :5].sum()


def test_many_long_strokes_are_bearable():
    zigzag = tuple((i % 2, i / 511) for i in range(512))
    flow = Flow(tuple(Stroke(zigzag, 0.5, 3.0) for _ in range(6)))
    assert make_stream(flow, texture(0), 90, 3)


def test_strokes_that_are_prepared_can_be_cancelled():
    flow = Flow(tuple(Stroke(((0.0, y / 8), (1.0, y / 8)), 0.5) for y in range(8)), ACROSS.strokes)
    calls = []
    make_field(flow, np.full((144, 256, 3), 0.5), lambda: calls.append(None))
    # for a pin once; for a stroke when it is laid on the grid, told from what is around, and blended
    assert len(calls) == 1 + 3 * 8

    def stop():
        raise Cancelled

    with pytest.raises(Cancelled):
        prepare_renderer(
            Image.fromarray(texture(0)), (WIDTH, HEIGHT),
            Shot(choose_path('still', 1, 90), 0, flow = flow), lambda _still: None, stop)


def test_strokes_of_one_width_are_blended_as_if_each_were_alone():
    guide = np.full((144, 256, 3), 0.5)
    lines = [
        Stroke(((0.1, y), (0.9, 1 - y)), width) for y, width in ((0.2, 0.1), (0.5, 0.1), (0.9, 0.3))
    ]
    field = make_field(Flow(tuple(lines)), guide)
    assert np.allclose(field.velocity, make_field(Flow(tuple(lines[::-1])), guide).velocity)
