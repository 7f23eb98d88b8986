#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Motion Photos, as exiftool, FFmpeg, Pillow and a reader of the published rules see them.

Libraries: pytest, numpy, Pillow.
"""

import json
import re
import struct
from xml.parsers import expat

import box_walker
import numpy as np
import pytest
from judges import decoded, drift, exiftool, output_of, psnr, scenery, streams, warnings_of
from PIL import Image

from modules.clips import order
from modules.encoders import TABLE, Clip, motion_photo
from modules.photos.stills import encode

pytestmark = pytest.mark.usefixtures('exiftool_stays')

#: what phones' own readers match names and values with
FLAGS = ('GCamera:MotionPhoto', 'GCamera:MotionPhotoVersion')
MOMENT = 'GCamera:MotionPhotoPresentationTimestampUs'
OPLUS = ('MotionPhotoPrimaryPresentationTimestampUs', 'MotionPhotoOwner', 'OLivePhotoVersion',
         'VideoLength')


def _clip(count = 5, fps = 15, key_frame = 'end', **more):
    clip = Clip(drift(count), fps, **more)
    return order.arrange_around_still(clip, key_frame, is_closed = False)


def _written(tmp_path, clip):
    motion_photo.encode(clip, tmp_path / 'IMG_1_MP.jpg')
    return tmp_path / 'IMG_1_MP.jpg'


def _segments(data):
    """Marker and content of a JPEG's segments before the picture itself."""
    at = 2
    while data[at + 1] != 0xDA:
        length, = struct.unpack_from('>H', data, at + 2)
        yield data[at + 1], data[at + 4:at + 2 + length]
        at += 2 + length


def _packet(data):
    """The attributes of the first Description as they are spelt, and those of every item."""
    prefix = b'http://ns.adobe.com/xap/1.0/\0'
    text, = (content[len(prefix):] for marker, content in _segments(data)
             if marker == 0xE1 and content.startswith(prefix))
    elements = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: elements.append((name, attributes))
    parser.Parse(text, True)
    described = next(attributes for name, attributes in elements if name == 'rdf:Description')
    return described, [attributes for name, attributes in elements if name == 'Container:Item']


def _picture_end(data):
    """Where the JPEG's own end marker is: in the picture's data every FF is followed by 00 or a restart."""
    at = data.index(b'\xff\xda')
    return at + re.search(rb'\xff\xd9', data[at:]).end()


def _faults(data):
    """What is against Google's Motion Photo format 1.0."""
    described, items = _packet(data)
    picture, movie = items
    length = int(movie['Item:Length'])
    found = {
        'EXIF or XMP is not the first segment': next(_segments(data))[0] != 0xE1,
        'not marked as a Motion Photo': [described.get(flag) for flag in FLAGS] != ['1', '1'],
        'no moment': int(described.get(MOMENT, -1)) < 0,
        'the picture has a length': picture['Item:Length'] != '0',
        'padding': (picture['Item:Padding'], movie['Item:Padding']) != ('0', '0'),
        'not in order': (picture['Item:Semantic'], movie['Item:Semantic'])
        != ('Primary', 'MotionPhoto'),
        'sizes do not add up': _picture_end(data) + length != len(data),
        'no movie there': data[-length + 4:-length + 8] != b'ftyp',
        'an older form': b'MicroVideo' in data
    }
    return [fault for fault, is_so in found.items() if is_so]


def test_follows_the_rules(tmp_path):
    assert _faults(_written(tmp_path, _clip()).read_bytes()) == []


@pytest.mark.parametrize('damage', [
    lambda data: data[:-1],
    lambda data: data + b'\0',
    lambda data: data.replace(b'GCamera:MotionPhoto=', b'XCamera:MotionPhoto=').replace(
        b'xmlns:GCamera', b'xmlns:XCamera'),
    lambda data: data.replace(b'GCamera:MotionPhotoVersion="1"', b'GCamera:MotionPhotoVersion="2"'),
    lambda data: data.replace(b'Us="266667"', b'Us="-66667"'),
])
def test_the_reader_of_the_rules_sees_what_is_wrong(tmp_path, damage):
    data = _written(tmp_path, _clip()).read_bytes()
    assert damage(data) != data
    assert _faults(damage(data))


def test_the_movie_ends_the_file(tmp_path):
    path = _written(tmp_path, _clip())
    data = path.read_bytes()
    trailer = output_of('exiftool', '-b', '-Trailer', path)
    assert trailer == data[-int(_packet(data)[1][1]['Item:Length']):]
    (tmp_path / 'movie.mp4').write_bytes(trailer)
    stream, = streams(tmp_path / 'movie.mp4')
    assert (stream['codec_name'], stream['pix_fmt'], stream['nb_frames']) == ('h264', 'yuv420p',
                                                                              '5')
    assert b'Validate                        : OK' in output_of('exiftool', '-validate',
                                                                tmp_path / 'movie.mp4')


def test_the_movie_plays_from_its_beginning_to_its_end(tmp_path):
    data = _written(tmp_path, _clip()).read_bytes()
    movie = box_walker.file(data[_picture_end(data):])
    assert [box.kind for box in movie.children] == ['ftyp', 'moov', 'free', 'mdat']
    assert movie.one('ftyp').content[:4] in (b'isom', b'mp42')


@pytest.mark.parametrize('key_frame', ['start', 'middle', 'end'])
@pytest.mark.parametrize(('fps', 'count'), [(6, 5), (7, 25), (12, 2), (15, 25), (24, 3), (30, 1)])
def test_the_still_has_its_moment_at_any_speed(tmp_path, fps, count, key_frame):
    clip = _clip(count, fps, key_frame)
    data = _written(tmp_path, clip).read_bytes()
    assert _faults(data) == []
    assert int(_packet(data)[0][MOMENT]) == pytest.approx(1e6 * clip.key_index / fps, abs = 1)
    assert exiftool(tmp_path / 'IMG_1_MP.jpg')['XMP-GCamera:MotionPhoto'] == 1


@pytest.mark.parametrize('key_frame', ['start', 'middle', 'end'])
def test_the_frame_at_that_moment_is_the_still(tmp_path, key_frame):
    path = _written(tmp_path, _clip(7, 15, key_frame))
    data = path.read_bytes()
    (tmp_path / 'movie.mp4').write_bytes(data[_picture_end(data):])
    with Image.open(path) as image:
        still = np.asarray(image)
    likeness = [psnr(frame, still) for frame in decoded(tmp_path / 'movie.mp4', 96, 160)]
    best = round(15e-6 * int(_packet(data)[0][MOMENT]))
    assert likeness[best] >= 30
    assert likeness[best] > max(likeness[:best] + likeness[best + 1:]) + 3


def test_is_a_photo_to_whoever_knows_no_motion(tmp_path):
    picture = scenery(641, 385)
    still = encode(picture, {0: {0x010F: 'Nikon'}, 0x8769: {0x9004: '2019:05:04 12:34:56'}})
    path = _written(tmp_path, _clip(read_still = lambda: still))
    with Image.open(path) as image:
        image.load()
        assert (image.format, image.size) == ('JPEG', (641, 385))
        assert psnr(np.asarray(image), np.asarray(picture)) > 38
    tags = exiftool(path)
    assert (tags['IFD0:Make'], tags['ExifIFD:DateTimeOriginal']) == ('Nikon', '2019:05:04 12:34:56')
    assert not warnings_of('ffprobe', '-v', 'error', '-f', 'jpeg_pipe', path)


def test_nothing_in_it_is_against_the_rules_of_exif_and_xmp(tmp_path):
    said = output_of('exiftool', '-validate', '-warning', _written(tmp_path, _clip()))
    assert b'OK' in said
    assert b'Warning' not in said


def test_motion_made_up_by_a_model_is_told(tmp_path):
    path = _written(tmp_path, _clip(is_generated = True))
    assert _faults(path.read_bytes()) == []
    assert exiftool(path)['XMP-iptcExt:DigitalSourceType'].endswith(
        '/compositeWithTrainedAlgorithmicMedia')


def test_motion_made_of_the_photo_alone_is_not_called_made_up(tmp_path):
    assert b'digitalsourcetype' not in _written(tmp_path, _clip()).read_bytes()


def test_tells_what_galleries_of_oppo_look_for(tmp_path):
    path = _written(tmp_path, _clip())
    data, tags = path.read_bytes(), exiftool(path)
    length = int(_packet(data)[1][1]['Item:Length'])
    assert {
        name: tags[f'XMP-OpCamera:{name}']
        for name in OPLUS
    } == {
        'MotionPhotoPrimaryPresentationTimestampUs':
        tags['XMP-GCamera:MotionPhotoPresentationTimestampUs'],
        'MotionPhotoOwner':
        'oplus',
        'OLivePhotoVersion':
        2,
        'VideoLength':
        length
    }
    # phones of others look at what stands first
    assert data.index(b'OpCamera') > data.index(MOMENT.encode())
    assert _packet(data)[0]['xmlns:OpCamera'] == 'http://ns.oplus.com/photos/1.0/camera/'
    assert not warnings_of('exiv2', '-px', path)
    assert b'Xmp.OpCamera.VideoLength' in output_of('exiv2', '-px', path)


@pytest.mark.parametrize('kind', [False, True])
def test_what_servers_and_viewers_look_for_leads_to_the_movie(tmp_path, kind):
    path = _written(tmp_path, _clip(is_generated = kind))
    data = path.read_bytes()
    movie = data[_picture_end(data):]
    # Immich: the flag, then the item of that meaning, counted from the end of the file
    tags = exiftool(path, '-struct')
    length, = (
        entry['Item']['Length'] for entry in tags['XMP-Container:Directory']
        if entry['Item']['Semantic'] == 'MotionPhoto')
    assert tags['XMP-GCamera:MotionPhoto'] == 1
    assert data[-length:] == movie
    # Nextcloud Memories: the same among tags of one name, told apart by their number
    tags = json.loads(output_of('exiftool', '-json', '-n', '-a', '-G4', path))[0]
    number, = (tag.split(':')[0] for tag, value in tags.items()
               if tag.endswith('DirectoryItemSemantic') and value == 'MotionPhoto')
    assert tags[f'{number}:DirectoryItemLength'] == len(movie)
    # PhotoPrism: one of these in a JPEG
    tags = json.loads(output_of('exiftool', '-json', '-n', path))[0]
    assert (tags['MIMEType'], tags['MotionPhoto']) == ('image/jpeg', 1)
    # Aves: a picture and a movie, each with a length, and none of the older fields, which it would take first
    assert [item['Item:Mime'] for item in _packet(data)[1]] == ['image/jpeg', 'video/mp4']
    assert all(int(item['Item:Length']) >= 0 for item in _packet(data)[1])
    assert b'MicroVideo' not in data


def test_is_called_as_phones_call_it():
    name = TABLE['motion-photo'].name('旅行 photo')
    assert re.fullmatch(r'IMG_[a-zA-Z0-9_]+_MP\.jpg', name)
    assert re.fullmatch(r'IMG_\d{8}_\d{6}_MP\.jpg', name, re.ASCII)


def test_its_movie_is_a_quarter_of_the_gif_at_the_most(tmp_path):
    frames = drift(12, 640, 360)
    TABLE['gif'].encode(Clip(frames, 15), tmp_path / 'clip.gif')
    data = _written(tmp_path, Clip(frames, 15)).read_bytes()
    assert len(data) - _picture_end(data) < (tmp_path / 'clip.gif').stat().st_size / 4
