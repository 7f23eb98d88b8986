#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Kept frames of a worker that may have been taken over: they are read in a process of their own, and whatever is wrong
with the file, its job fails alone.

Libraries: numpy, PyAV, pytest.
"""

import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from judges import drift

from modules.clips import lossless
from modules.clips.sandboxed import open_frames
from modules.photos.sandbox.child import Broken, Child
from modules.photos.sandbox.sandbox import Sandbox


@pytest.fixture(scope = 'module')
def sandbox():
    return Sandbox(1_000_000)


def _truncated(path):
    lossless.write(drift(30, 64, 48), path)
    path.write_bytes(path.read_bytes()[:200])


def _huge(path):
    """The container alone says how large frames of this kind are: here 12000 pixels a side."""
    lossless.write(drift(3, 300, 300), path, 'ffv1')
    content = path.read_bytes()
    size, larger = (bytes.fromhex(f'b082{side:04x}ba82{side:04x}') for side in (300, 12000))
    assert content.count(size) == 1
    path.write_bytes(content.replace(size, larger))


def _other_codec(path):
    with av.open(path, 'w', 'matroska') as file:
        stream = file.add_stream('mpeg4', Fraction(25))
        stream.pix_fmt = 'yuv420p'
        stream.width, stream.height = 64, 48
        for pixels in drift(3, 64, 48):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, 'rgb24')))
        file.mux(stream.encode())


def _playlist(path):
    lossless.write(drift(3, 64, 48), path.with_name('other.mkv'))
    path.write_text('ffconcat version 1.0\nfile other.mkv\n')


HOSTILE = {
    'truncated': _truncated,
    'huge': _huge,
    'another codec': _other_codec,
    'a playlist that names another file': _playlist,
}


@pytest.mark.parametrize('codec', sorted(lossless.CODECS))
def test_frames_come_back_to_the_bit(sandbox, tmp_path, codec):
    clip = drift(30, 64, 48)
    lossless.write(clip, tmp_path / 'kept', codec)
    with open_frames(sandbox, tmp_path / 'kept') as frames:
        assert frames.shape == clip.shape
        assert np.array_equal(
            np.stack([frames[number] for number in range(29, -1, -1)]), clip[::-1])


@pytest.mark.skipif(sys.platform != 'linux', reason = 'only Linux holds to the limit of memory')
@pytest.mark.parametrize('kind', HOSTILE)
def test_a_hostile_file_breaks_its_process_alone(sandbox, tmp_path, kind):
    HOSTILE[kind](tmp_path / 'frames.mkv')
    with pytest.raises((Broken, MemoryError)), open_frames(sandbox,
                                                           tmp_path / 'frames.mkv') as frames:
        list(frames)


@pytest.mark.parametrize('found', [{}, {
    'shape': [10**6, 48, 64, 3]
}, {
    'shape': [3, 0, 64, 3]
}, {
    'shape': 'xxxx'
}])
def test_an_answer_that_cannot_be_is_refused(sandbox, tmp_path, monkeypatch, found):
    (tmp_path / 'kept').touch()
    monkeypatch.setattr(Child, 'call', lambda *_arguments: ({'found': found}, b''))
    with pytest.raises((KeyError, ValueError)), open_frames(sandbox, tmp_path / 'kept'):
        pass
