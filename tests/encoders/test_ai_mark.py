#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The mark of what a model made up, as exiftool reads it, and files that play on as if it were not there.

Libraries: pytest, numpy, Pillow.
"""

import numpy as np
import pytest
from judges import decoded, drift, exiftool, output_of, streams, warnings_of
from PIL import Image, ImageSequence

from modules.encoders import TABLE, Clip

pytestmark = pytest.mark.usefixtures('exiftool_stays')

GENERATED = 'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia'
#: frames that move, and frames that do not, of which WebP makes a file of another kind
CLIPS = [drift(5), drift(1).repeat(3, 0)]


def _both(tmp_path, name, frames):
    """The file with the mark and the one without."""
    paths = tmp_path / f'marked.{name}', tmp_path / f'plain.{name}'
    for path, is_generated in zip(paths, (True, False), strict = True):
        TABLE[name].encode(Clip(frames, 15, is_generated = is_generated), path)
    return paths


@pytest.mark.parametrize('frames', CLIPS, ids = ['moving', 'still'])
@pytest.mark.parametrize('name', ['gif', 'mp4', 'webp'])
def test_is_told_only_where_it_is_so(tmp_path, name, frames):
    marked, plain = _both(tmp_path, name, frames)
    assert exiftool(marked)['XMP-iptcExt:DigitalSourceType'] == GENERATED
    assert 'XMP-iptcExt:DigitalSourceType' not in exiftool(plain)
    assert b'Warning' not in output_of('exiftool', '-validate', '-warning', marked)


@pytest.mark.parametrize('frames', CLIPS, ids = ['moving', 'still'])
@pytest.mark.parametrize('name', ['gif', 'webp'])
def test_pictures_are_the_same_with_it(tmp_path, name, frames):
    shown = []
    for path in _both(tmp_path, name, frames):
        with Image.open(path) as image:
            shown.append([(np.asarray(frame.convert('RGB')).tobytes(), frame.info.get('duration'))
                          for frame in ImageSequence.Iterator(image)])
    assert shown[0] == shown[1]


def test_a_video_is_the_same_with_it(tmp_path):
    marked, plain = _both(tmp_path, 'mp4', drift(5))
    assert np.array_equal(decoded(marked, 96, 160), decoded(plain, 96, 160))
    assert streams(marked)[0]['duration'] == streams(plain)[0]['duration']


@pytest.mark.parametrize('frames', CLIPS, ids = ['moving', 'still'])
def test_other_readers_find_nothing_wrong(tmp_path, frames):
    marked, _ = _both(tmp_path, 'webp', frames)
    assert b'No error detected.' in output_of('webpinfo', marked)
    marked, _ = _both(tmp_path, 'gif', frames)
    assert not warnings_of('gifsicle', '-I', marked)
