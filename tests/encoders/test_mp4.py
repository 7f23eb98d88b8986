#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
MP4s, as FFmpeg reads them.

Libraries: hypothesis, numpy, pytest.
"""

import json
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules import encoders
from modules.encoders import Clip, mp4

PATCHES = np.uint8([[255, 255, 255], [0, 0, 0], [128, 128, 128], [220, 30, 30], [30, 200, 40],
                    [40, 60, 220], [230, 180, 150], [120, 160, 210]])


def _frames(count: int, height: int = 64, width: int = 96) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([
        np.stack([(x * 2 + 5 * i) % 256, y * 3, np.full_like(x, 90)], 2) for i in range(count)
    ]).astype(np.uint8)


def _written(tmp_path, frames, fps = 15):
    mp4.encode(Clip(frames, fps), tmp_path / 'clip.mp4')
    return tmp_path / 'clip.mp4'


def _stream(path):
    output = subprocess.run([
        'ffprobe', '-v', 'error', '-count_frames', '-show_streams', '-show_packets', '-of', 'json',
        path
    ],
                            capture_output = True,
                            check = True).stdout
    return json.loads(output)['streams'][0], json.loads(output)['packets']


def _decoded(path, height, width):
    raw = subprocess.run([
        'ffmpeg', '-v', 'error', '-i', path, '-vf',
        'scale=in_color_matrix=bt709:in_range=tv:flags=accurate_rnd', '-f', 'rawvideo', '-pix_fmt',
        'rgb24', '-'
    ],
                         capture_output = True,
                         check = True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def test_is_what_phones_and_browsers_play(tmp_path):
    stream, _ = _stream(_written(tmp_path, _frames(5)))
    assert (stream['codec_name'], stream['profile'], stream['pix_fmt'],
            stream['codec_tag_string']) == ('h264', 'High', 'yuv420p', 'avc1')
    assert [
        stream[tag] for tag in ('color_space', 'color_transfer', 'color_primaries', 'color_range')
    ] == ['bt709', 'bt709', 'bt709', 'tv']


def test_flat_colours_come_back_within_six(tmp_path):
    frames = np.repeat(np.repeat(PATCHES, 32, 0)[None, None], 64, 1).repeat(3, 0)
    read = _decoded(_written(tmp_path, frames), 64, 256)
    middles = read[:, 32, 16::32].astype(int)
    assert np.abs(middles - PATCHES).max() <= 6


@pytest.mark.parametrize('count', [1, 2, 25])
@pytest.mark.parametrize('fps', [1, 6, 7, 12, 15, 24, 30, 60])
def test_every_frame_is_there_and_equally_long(tmp_path, fps, count):
    stream, packets = _stream(_written(tmp_path, _frames(count), fps))
    assert int(stream['nb_read_frames']) == count
    assert stream['avg_frame_rate'] == f'{fps}/1'
    assert float(stream['start_time']) == 0
    assert float(stream['duration']) == pytest.approx(count / fps, abs = 1e-5)
    times = sorted(packet['pts'] for packet in packets)
    assert len({later - earlier for earlier, later in zip(times, times[1:], strict = False)}) <= 1


def test_plays_before_all_of_it_has_arrived(tmp_path):
    data = _written(tmp_path, _frames(5)).read_bytes()
    assert data.index(b'moov') < data.index(b'mdat')


def test_frames_look_like_the_clip(tmp_path):
    frames = np.stack([np.roll(_frames(1)[0] // 2 + 60, 2 * i, 1) for i in range(8)])
    read = _decoded(_written(tmp_path, frames), 64, 96)
    assert 10 * np.log10(255**2 / np.mean((read.astype(float) - frames)**2)) > 34


@pytest.mark.parametrize('size', [(2, 2), (18, 34), (1024, 576)])
def test_any_even_size_is_kept(tmp_path, size):
    stream, _ = _stream(_written(tmp_path, _frames(2, *size)))
    assert (stream['height'], stream['width']) == size


def test_the_same_clip_makes_the_same_bytes(tmp_path):
    assert _written(tmp_path, _frames(6)).read_bytes() == _written(tmp_path,
                                                                   _frames(6)).read_bytes()


@pytest.mark.parametrize(('size', 'expected'), [((4880, 122), (4096, 102)),
                                                ((122, 4880), (102, 4096)),
                                                ((4096, 96), (4096, 96))])
def test_no_side_is_longer_than_phones_decode(tmp_path, size, expected):
    """What a panorama of 20000 × 500 gives; it was 4880 wide."""
    frames = np.zeros((3, size[1], size[0], 3), np.uint8)
    frames[:, :, :size[0] // 2] = 200
    note = mp4.encode(Clip(frames, 30), tmp_path / 'clip.mp4')
    stream, _ = _stream(tmp_path / 'clip.mp4')
    assert (stream['width'], stream['height']) == expected
    assert stream['level'] <= 52
    assert stream['nb_read_frames'] == '3'
    found = _decoded(tmp_path / 'clip.mp4', expected[1], expected[0])[1]
    assert abs(int(found[0, 0, 0]) - 200) < 6
    assert found[-1, -1, 0] < 6
    if size == expected:
        assert note is None
    else:
        for language in ('en', 'zh'):
            assert f'{expected[0]} × {expected[1]}' in note.in_(language)
            assert f'{size[0]} × {size[1]}' in note.in_(language)


@given(st.integers(1, 8000), st.integers(1, 8000), st.sampled_from([1, 15, 30, 60, 120]))
def test_videos_have_a_level_that_phones_take(half_width, half_height, fps):
    """H.264 level 5.2, by the table in its annex A."""
    size = 2 * half_width, 2 * half_height
    width, height = mp4.fit_size(size, fps)
    blocks = -(-width // 16) * -(-height // 16)
    assert width % 2 == height % 2 == 0
    assert max(width, height) <= 4096
    assert blocks <= 36864
    assert blocks * fps <= 2073600
    if max(size) <= 1920 and fps <= 60:
        assert (width, height) == size
    if min(width, height) > 100:
        assert width / height == pytest.approx(size[0] / size[1], rel = 0.03)


@pytest.mark.parametrize('kind', ['live-photo', 'motion-photo'])
def test_phones_formats_tell_of_a_smaller_video_too(tmp_path, kind):
    clip = Clip(np.zeros((3, 104, 4400, 3), np.uint8), 15)
    note = encoders.TABLE[kind].encode(clip, tmp_path / 'made')
    assert '4096 × 96' in note.in_('en')
