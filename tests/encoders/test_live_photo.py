#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Live Photos, as exiftool, exiv2, FFmpeg, MediaInfo, busybox and a reader of boxes see them.

Libraries: pytest, numpy, Pillow.
"""

import json
import plistlib
import re
import struct
import time
import zipfile
from datetime import datetime, timedelta, timezone

import box_walker
import numpy as np
import pytest
from judges import decoded, drift, exiftool, output_of, psnr, scenery, streams
from PIL import Image

from modules.clips import order
from modules.encoders import TABLE, Clip, UnknownLayout, live_photo, mp4
from modules.encoders.containers import jpeg, quicktime
from modules.photos.stills import encode

pytestmark = pytest.mark.usefixtures('exiftool_stays')

UUID = re.compile(r'[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}')
#: what the one sample of the metadata track must be
STILL_TIME = '0000000900000001ff'


def _clip(count = 5, fps = 15, key_frame = 'end', **more):
    clip = Clip(drift(count), fps, **more)
    return order.arrange_around_still(clip, key_frame, is_closed = False)


def _written(tmp_path, clip):
    """The photo and the movie of a Live Photo."""
    live_photo.encode(clip, tmp_path / 'clip.zip')
    with zipfile.ZipFile(tmp_path / 'clip.zip') as bundle:
        bundle.extractall(tmp_path)
    return next(tmp_path.glob('*.pvt/*.JPG')), next(tmp_path.glob('*.pvt/*.MOV'))


def _clip_date(photo):
    """When a photo without a date was asked for, as Apple's cameras write dates."""
    date = exiftool(photo)['IFD0:ModifyDate']
    zone = f'{datetime.strptime(date, "%Y:%m:%d %H:%M:%S").astimezone():%z}'
    return (date[:10].replace(':', '-') + 'T' + date[11:] + zone).encode()


def _maker_note(path):
    return output_of('exiv2', '-Pkyc', '-g', 'MakerNote', path).split()


def _pair(photo, movie):
    """The identifiers both halves tell, by whatever name exiftool knows them."""
    still = exiftool(photo)
    return (still.get('Apple:MediaGroupUUID')
            or still.get('Apple:ContentIdentifier'), exiftool(movie).get('Keys:ContentIdentifier'))


def test_photo_and_movie_share_one_identifier(tmp_path):
    photo, movie = _written(tmp_path, _clip())
    one, other = _pair(photo, movie)
    assert UUID.fullmatch(one)
    assert one == other
    assert one.encode() in output_of('mediainfo', movie)


def test_no_two_live_photos_share_an_identifier(tmp_path):
    pairs = []
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
        pairs.append(_pair(*_written(tmp_path / name, _clip(2))))
    assert pairs[0][0] != pairs[1][0]


def test_the_maker_note_is_of_no_type_as_cameras_write_it(tmp_path):
    photo, _ = _written(tmp_path, _clip())
    assert _maker_note(photo) == [b'Exif.Photo.MakerNote', b'Undefined', b'69']


def test_the_judge_of_maker_notes_sees_a_wrong_one(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x927C] = live_photo.make_maker_note('0' * 36)
    Image.new('RGB', (8, 8)).save(tmp_path / 'wrong.jpg', exif = exif)
    assert _maker_note(tmp_path / 'wrong.jpg') == [b'Exif.Photo.MakerNote', b'Byte', b'69']


@pytest.mark.parametrize('key_frame', ['start', 'middle', 'end'])
@pytest.mark.parametrize(('fps', 'count'), [(6, 5), (7, 25), (12, 2), (15, 25), (24, 3), (30, 1)])
def test_the_still_has_its_moment_at_any_speed(tmp_path, fps, count, key_frame):
    clip = _clip(count, fps, key_frame)
    _, movie = _written(tmp_path, clip)
    video, marker = streams(movie)
    assert (video['codec_tag_string'], video['pix_fmt'],
            video['color_space']) == ('avc1', 'yuv420p', 'bt709')
    assert (video['avg_frame_rate'], video['nb_frames']) == (f'{fps}/1', str(len(clip.frames)))
    assert float(video['start_time']) == 0
    assert marker['codec_tag_string'] == 'mebx'
    assert float(marker['start_time']) == pytest.approx(clip.key_index / fps, abs = 1e-6)


def test_the_marker_is_the_sample_cameras_write(tmp_path):
    _, movie = _written(tmp_path, _clip())
    packets = json.loads(
        output_of('ffprobe', '-v', 'error', '-select_streams', 'd', '-show_packets', '-show_data',
                  '-of', 'json', movie))['packets']
    dumped = [line.split(': ')[1].split('  ')[0] for line in packets[0]['data'].strip().split('\n')]
    assert [len(packets), ''.join(dumped).replace(' ', '')] == [1, STILL_TIME]
    assert exiftool(movie, '-ee')['Track2:StillImageTime'] == -1


def test_the_boxes_are_where_phones_look_for_them(tmp_path):
    _, path = _written(tmp_path, _clip(5, 15, 'end'))
    data = path.read_bytes()
    movie = box_walker.file(data)
    assert [box.kind for box in movie.children] == ['ftyp', 'wide', 'mdat', 'moov']
    assert [box.kind for box in movie.one('moov').children] == ['mvhd', 'trak', 'trak', 'meta']
    assert movie.one('moov/mvhd').numbers(96, 1) == [3]
    video, marker = movie.all('moov/trak')
    assert marker.one('tref/cdsc').numbers(0, 1) == video.one('tkhd').numbers(12, 1)
    assert marker.one('edts/elst').numbers(4, 7) == [2, 400, 2**32 - 1, 65536, 1, 0, 65536]
    assert video.one('edts/elst').numbers(4, 4) == [1, 500, 0, 65536]
    assert marker.one('tkhd').numbers(20, 1) == [401]
    sample_at, = marker.one('mdia/minf/stbl/stco').numbers(8, 1)
    assert data[sample_at:sample_at + 9].hex() == STILL_TIME
    mdat = movie.one('mdat')
    assert sample_at + 9 == mdat.at + len(mdat.content)


def test_the_metadata_is_in_quicktimes_own_form(tmp_path):
    photo, path = _written(tmp_path, _clip())
    meta = box_walker.file(path.read_bytes()).one('moov/meta')
    assert meta.is_quicktime
    assert meta.one('hdlr').content == bytes(8) + b'mdta' + bytes(14)
    keys = (b'com.apple.quicktime.content.identifier', b'com.apple.quicktime.creationdate')
    rows = [struct.pack('>I', 8 + len(key)) + b'mdta' + key for key in keys]
    assert meta.one('keys').content == bytes.fromhex('0000000000000002') + b''.join(rows)
    identifier = _pair(photo, path)[1].encode()
    assert meta.one('ilst').content == b''.join(
        (struct.pack('>III4sII', 60, 1, 52, b'data', 1, 0) + identifier,
         struct.pack('>III4sII', 48, 2, 40, b'data', 1, 0) + _clip_date(photo)))


def test_the_reader_of_boxes_tells_another_form_apart(tmp_path):
    output_of('ffmpeg', '-v', 'error', '-f', 'lavfi', '-i', 'color=d=0.2', '-movflags',
              'use_metadata_tags', '-metadata', 'com.apple.quicktime.content.identifier=U',
              tmp_path / 'other.mov')
    moov = box_walker.file((tmp_path / 'other.mov').read_bytes()).one('moov')
    assert not moov.all('meta')
    assert not moov.one('udta/meta').is_quicktime


def test_the_video_stays_as_it_was_encoded(tmp_path):
    clip = _clip()
    _, movie = _written(tmp_path, clip)
    mp4.write(clip, tmp_path / 'raw.mov', mp4.MOV, {})
    sums = [
        output_of('ffmpeg', '-v', 'error', '-i', path, '-map', '0:v', '-c', 'copy', '-f',
                  'framemd5', '-') for path in (movie, tmp_path / 'raw.mov')
    ]
    assert sums[0] == sums[1]
    assert len(decoded(movie, 96, 160)) == 5


def test_flat_colours_come_back_within_six(tmp_path):
    patches = np.uint8([[255, 255, 255], [0, 0, 0], [128, 128, 128], [220, 30, 30], [30, 200, 40],
                        [40, 60, 220], [230, 180, 150], [120, 160, 210]])
    frames = np.repeat(np.repeat(patches, 32, 0)[None, None], 64, 1).repeat(3, 0)
    _, movie = _written(tmp_path, Clip(frames, 15))
    middles = decoded(movie, 64, 256)[:, 32, 16::32].astype(int)
    assert np.abs(middles - patches).max() <= 6


@pytest.mark.parametrize('key_frame', ['start', 'middle', 'end'])
def test_the_frame_at_the_stills_moment_is_the_still(tmp_path, key_frame):
    photo, movie = _written(tmp_path, _clip(7, 15, key_frame))
    moment = float(streams(movie)[1]['start_time'])
    with Image.open(photo) as image:
        still = np.asarray(image.resize((160, 96)))
    likeness = [psnr(frame, still) for frame in decoded(movie, 96, 160)]
    best = round(moment * 15)
    others = likeness[:best] + likeness[best + 1:]
    assert likeness[best] >= 30
    assert likeness[best] > max(others) + 3


def test_nothing_in_it_is_against_the_rules(tmp_path):
    for path in _written(tmp_path, _clip()):
        assert b'OK' in output_of('exiftool', '-validate', '-warning', path)
        assert b'Warning' not in output_of('exiftool', '-validate', '-warning', path)


def test_the_photo_keeps_its_size_date_and_camera(tmp_path):
    exif = {
        0: {
            0x010F: 'Canon',
            0x0110: 'Canon EOS R5'
        },
        0x8769: {
            0x9003: '2019:05:04 12:34:56',
            0x9011: '+08:00',
            0x829A: 0.004
        }
    }
    still = encode(scenery(641, 385), exif)
    photo, _ = _written(tmp_path, _clip(read_still = lambda: still))
    tags = exiftool(photo)
    assert (tags['IFD0:Make'], tags['IFD0:Model']) == ('Canon', 'Canon EOS R5')
    assert tags['ExifIFD:DateTimeOriginal'] == '2019:05:04 12:34:56'
    assert tags['ExifIFD:OffsetTimeOriginal'] == '+08:00'
    assert (tags['ExifIFD:ExifImageWidth'], tags['File:ImageWidth']) == (641, 641)
    assert UUID.fullmatch(_pair(photo, photo)[0])


#: what a photo tells, and when the movie says it was taken: by UTC, and by the clock on the wall
DATES = [
    ({
        0x9003: '2019:05:04 12:34:56',
        0x9011: '+08:00'
    }, '2019:05:04 04:34:56', '2019:05:04 12:34:56+08:00'),
    ({
        0x9003: '2019:01:01 00:30:00',
        0x9011: '-11:30'
    }, '2019:01:01 12:00:00', '2019:01:01 00:30:00-11:30'),
    ({
        0x9004: '2019:05:04 12:34:56',
        0x9012: '+00:00'
    }, '2019:05:04 12:34:56', '2019:05:04 12:34:56+00:00'),
    ({
        0x9003: '0000:00:00 00:00:00',
        0x9004: '2001:02:03 04:05:06',
        0x9012: '+01:00'
    }, '2001:02:03 03:05:06', '2001:02:03 04:05:06+01:00'),
    ({
        0x9003: '2019:13:45 12:34:56'
    }, '2026:03:03 21:06:07', None),
    ({
        0x9003: '    :  :     :  :  '
    }, '2026:03:03 21:06:07', None),
    ({
        0x9003: '2019:05:04 12:34:56',
        0x9011: 'Z'
    }, None, '2019:05:04 12:34:56'),
    ({
        0x9003: '1899:12:31 23:59:59',
        0x9011: '+00:00'
    }, '0000:00:00 00:00:00', '1899:12:31 23:59:59+00:00'),
    ({
        0x9003: '2099:01:01 00:00:00',
        0x9011: '+00:00'
    }, '0000:00:00 00:00:00', '2099:01:01 00:00:00+00:00'),
    ({}, '2026:03:03 21:06:07', None),
]


@pytest.mark.parametrize(('camera', 'utc', 'wall'), DATES)
def test_the_movie_tells_when_the_photo_was_taken(tmp_path, camera, utc, wall):
    still = encode(scenery(64, 40), {0x8769: camera})
    created = datetime(2026, 3, 4, 5, 6, 7, tzinfo = timezone(timedelta(hours = 8)))
    clip = _clip(read_still = lambda: still, created = created)
    _, movie = _written(tmp_path, clip)
    tags = exiftool(movie)
    dates = {
        tags[f'{group}:{tag}']
        for group, tag in (('QuickTime', 'CreateDate'), ('QuickTime', 'ModifyDate'),
                           ('Track1', 'TrackCreateDate'), ('Track1', 'MediaCreateDate'),
                           ('Track2', 'TrackCreateDate'), ('Track2', 'MediaCreateDate'))
    }
    local = f'{created.astimezone():%Y:%m:%d %H:%M:%S%z}'
    assert tags['Keys:CreationDate'] == (wall or f'{local[:-2]}:{local[-2:]}')
    if utc:
        assert dates == {utc}
    else:
        assert len(dates) == 1
        naive = datetime.strptime(wall, '%Y:%m:%d %H:%M:%S')
        assert dates == {f'{naive.astimezone(timezone.utc):%Y:%m:%d %H:%M:%S}'}
    assert b'OK' in output_of('exiftool', '-validate', '-warning', movie)


def test_ffprobe_and_mediainfo_tell_when_the_photo_was_taken(tmp_path):
    exif = {0x8769: {0x9003: '2019:05:04 12:34:56', 0x9011: '+08:00'}}
    still = encode(scenery(64, 40), exif)
    _, movie = _written(tmp_path, _clip(read_still = lambda: still))
    for stream in streams(movie):
        assert stream['tags']['creation_time'] == '2019-05-04T04:34:56.000000Z'
    said = output_of('mediainfo', movie).decode()
    assert said.count('2019-05-04 04:34:56 UTC') >= 2
    assert '2019-05-04T12:34:56+0800' in said


@pytest.mark.parametrize('value', [b'\xff', '', 7, (), ('a', ), '\ud800', 'x' * 70000, None])
def test_exif_that_makes_no_sense_does_no_harm(tmp_path, value):
    tags = {tag: value for directory in jpeg.KEPT.values() for tag in directory}
    still = encode(scenery(64, 40), {0: tags, 0x8769: tags, 0x8825: tags})
    (tmp_path / 'still.jpg').write_bytes(b''.join(
        jpeg.embed_metadata(still, jpeg.make_exif(still))))
    assert exiftool(tmp_path / 'still.jpg')['ExifIFD:ExifImageWidth'] == 64
    assert 'ExifIFD:DateTimeOriginal' not in exiftool(tmp_path / 'still.jpg')


def test_without_a_photo_of_its_own_the_key_frame_is_the_still(tmp_path):
    photo, _ = _written(tmp_path, _clip())
    with Image.open(photo) as image:
        assert psnr(np.asarray(image), drift(5)[0]) > 35


def test_nothing_else_of_the_original_is_carried_over(tmp_path):
    image = scenery(64, 40)
    image.info = {
        'comment': b'secret',
        'xmp': b'secret',
        'icc_profile': b'secret',
        'exif': b'secret'
    }
    still = encode(image)
    assert b'secret' not in b''.join(jpeg.embed_metadata(still, jpeg.make_exif(still)))


def test_the_bundle_is_what_phones_unpack(tmp_path):
    photo, movie = _written(tmp_path, _clip())
    stem = photo.stem
    with zipfile.ZipFile(tmp_path / 'clip.zip') as bundle:
        names = [entry.filename for entry in bundle.infolist()]
    assert names == [
        f'{stem}.pvt/',
        *(f'{stem}.pvt/{name}' for name in (f'{stem}.JPG', f'{stem}.MOV', 'metadata.plist'))
    ]
    assert re.fullmatch(r'IMG_[0-9_]+', stem, re.ASCII)
    assert movie.stem == stem
    plist = plistlib.loads((photo.parent / 'metadata.plist').read_bytes())
    assert plist == {'PFVideoComplementMetadataVersionKey': '1'}


def test_another_program_unpacks_it(tmp_path):
    _written(tmp_path, _clip())
    (tmp_path / 'elsewhere').mkdir()
    output_of('busybox', 'unzip', '-q', tmp_path / 'clip.zip', '-d', tmp_path / 'elsewhere')
    movie = next((tmp_path / 'elsewhere').glob('*.pvt/*.MOV'))
    assert movie.read_bytes() == next(tmp_path.glob('*.pvt/*.MOV')).read_bytes()


def test_motion_made_up_by_a_model_is_told(tmp_path):
    photo, movie = _written(tmp_path, _clip(is_generated = True))
    source = 'http://cv.iptc.org/newscodes/digitalsourcetype/'
    assert exiftool(photo)['XMP-iptcExt:DigitalSourceType'] == (
        source + 'compositeWithTrainedAlgorithmicMedia')
    assert exiftool(movie)['XMP-iptcExt:DigitalSourceType'] == source + 'trainedAlgorithmicMedia'
    assert len(decoded(movie, 96, 160)) == 5


def test_motion_made_of_the_photo_alone_is_not_called_made_up(tmp_path):
    for path in _written(tmp_path, _clip()):
        assert b'digitalsourcetype' not in path.read_bytes()


def _raw(tmp_path, container = 'mov', **muxer):
    mp4.write(_clip(2), tmp_path / 'raw', mp4.Container(container, muxer), {})
    return (tmp_path / 'raw').read_bytes()


def _with_64_bit_sizes(movie):
    at = movie.index(b'mdat') - 4
    size = struct.unpack_from('>I', movie, at)[0]
    return movie[:at] + struct.pack('>I4sQ', 1, b'mdat', size + 8) + movie[at + 8:]


def test_refuses_a_movie_whose_index_comes_first(tmp_path):
    with pytest.raises(UnknownLayout, match = 'a MOV of'):
        quicktime.pair_movie(_raw(tmp_path, movflags = 'faststart'), 0, {quicktime.IDENTIFIER: 'U'})


def test_refuses_another_container(tmp_path):
    with pytest.raises(UnknownLayout, match = 'a MOV of'):
        quicktime.pair_movie(_raw(tmp_path, 'mp4'), 0, {quicktime.IDENTIFIER: 'U'})


def test_refuses_sizes_of_64_bits(tmp_path):
    with pytest.raises(UnknownLayout, match = 'a box'):
        quicktime.pair_movie(_with_64_bit_sizes(_raw(tmp_path)), 0, {quicktime.IDENTIFIER: 'U'})


@pytest.mark.parametrize('damage', [lambda movie: movie[:-1], lambda movie: movie + b'\0'])
def test_refuses_a_movie_that_breaks_off_or_goes_on(tmp_path, damage):
    with pytest.raises(UnknownLayout, match = 'a box'):
        quicktime.pair_movie(damage(_raw(tmp_path)), 0, {quicktime.IDENTIFIER: 'U'})


@pytest.mark.parametrize('damage', [lambda movie: movie[:-1], lambda movie: movie + b'\0'])
def test_the_reader_of_boxes_sees_what_is_cut_off_or_added(tmp_path, damage):
    _, movie = _written(tmp_path, _clip(2))
    with pytest.raises(AssertionError):
        box_walker.file(damage(movie.read_bytes()))


def test_the_judge_sees_halves_that_do_not_belong_together(tmp_path):
    photo, movie = _written(tmp_path, _clip(2))
    data = movie.read_bytes()
    movie.write_bytes(data.replace(_pair(photo, movie)[0].encode(), b'0' * 36))
    one, other = _pair(photo, movie)
    assert one != other


def test_is_made_in_the_time_allowed(tmp_path):
    frames = drift(25, 1024, 576)
    start = time.process_time()
    for name in ('live-photo', 'mp4'):
        TABLE[name].encode(Clip(frames, 15), tmp_path / name)
    # three seconds on two processors
    assert time.process_time() - start < 6
