#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Kept frames, as FFmpeg and our own reader give them back.

Libraries: pytest, numpy.
"""

import weakref

import numpy as np
import pytest
from judges import drift, output_of, streams

from modules.clips import lossless

CODECS = sorted(lossless.CODECS)


def _read(path, numbers = None):
    with lossless.KeptFrames(path) as frames:
        assert frames.shape == (len(frames), *frames[0].shape)
        return np.stack([frames[n] for n in numbers] if numbers else list(frames))


def _noise(*shape):
    return np.random.default_rng(3).integers(0, 256, shape, np.uint8)


def _gradient():
    """Every value of every channel, and steps of one between neighbours."""
    ramp = np.arange(256, dtype = np.uint8)
    picture = np.stack(np.meshgrid(ramp, ramp[::-1]), 2)
    third = (picture[..., :1].astype(int) + picture[..., 1:]) % 256
    first = np.concatenate([picture, third.astype(np.uint8)], 2)
    return np.stack([np.roll(first, step, 1) for step in range(3)])


CLIPS = {
    'a drift': drift(5),
    'noise': _noise(6, 48, 64, 3),
    'a gradient': _gradient(),
    'one frame': drift(1),
    'an odd number': drift(3),
    'the same all along': drift(1).repeat(7, 0),
    'the least there can be': _noise(1, 2, 2, 3),
    'small and long': _noise(51, 2, 6, 3),
    'narrow': _noise(2, 100, 2, 3),
    'black, white, black': np.uint8([0, 255, 0]).repeat(64 * 64 * 3).reshape(3, 64, 64, 3),
}


@pytest.mark.parametrize('codec', CODECS)
@pytest.mark.parametrize('name', CLIPS)
def test_frames_come_back_to_the_bit(tmp_path, codec, name):
    lossless.write(CLIPS[name], tmp_path / 'kept', codec)
    back = _read(tmp_path / 'kept')
    assert back.dtype == np.uint8
    assert np.array_equal(back, CLIPS[name])


@pytest.mark.parametrize('codec', CODECS)
def test_another_program_reads_the_same(tmp_path, codec):
    lossless.write(drift(3), tmp_path / 'kept', codec)
    raw = output_of('ffmpeg', '-v', 'error', '-i', tmp_path / 'kept', '-f', 'rawvideo', '-pix_fmt',
                    'rgb24', '-')
    assert np.array_equal(np.frombuffer(raw, np.uint8).reshape(3, 96, 160, 3), drift(3))


def test_the_smaller_kind_is_taken_where_it_is_there(tmp_path):
    lossless.write(drift(5), tmp_path / 'chosen')
    lossless.write(drift(5), tmp_path / 'other', 'ffv1')
    assert streams(tmp_path / 'chosen')[0]['codec_name'] == 'h264'
    assert (tmp_path / 'chosen').stat().st_size < (tmp_path / 'other').stat().st_size


def test_takes_less_room_than_the_frames_themselves(tmp_path):
    lossless.write(drift(9), tmp_path / 'kept')
    assert (tmp_path / 'kept').stat().st_size < drift(9).nbytes / 3


def test_replaces_what_was_there(tmp_path):
    lossless.write(drift(5), tmp_path / 'kept')
    lossless.write(drift(2), tmp_path / 'kept')
    assert len(_read(tmp_path / 'kept')) == 2


ORDERS = {
    'backwards':
    lambda count: range(count - 1, -1, -1),
    'turned':
    lambda count: [*range(30, count), *range(30)],
    'there and back':
    lambda count: [*range(count), *range(count - 2, 0, -1)],
    'at two places':
    lambda count: [n for pair in zip(range(30, count), range(count), strict = False) for n in pair],
    'every third':
    lambda count: range(0, count, 3),
}


@pytest.mark.parametrize('codec', CODECS)
@pytest.mark.parametrize('order', ORDERS)
def test_frames_come_back_in_any_order(tmp_path, codec, order):
    clip = drift(50, 64, 48)
    lossless.write(iter(clip), tmp_path / 'kept', codec)
    numbers = list(ORDERS[order](50))
    assert np.array_equal(_read(tmp_path / 'kept', numbers), clip[numbers])


@pytest.mark.parametrize('order', ORDERS)
def test_no_order_needs_more_than_a_few_frames_in_memory(tmp_path, order):
    lossless.write(drift(50, 64, 48), tmp_path / 'kept')
    read, most = [], 0
    with lossless.KeptFrames(tmp_path / 'kept') as frames:
        for number in ORDERS[order](50):
            read.append(weakref.ref(frames[number]))
            most = max(most,
                       len({id(frame)
                            for frame in (one() for one in read) if frame is not None}))
    assert most <= lossless.GROUP * lossless.MOST_GROUPS
