#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What docs/security.md promises: that each test it names is there, and those tests that have no other place.

Libraries: Pillow, pytest.
"""

import base64
import io
import re
import zipfile
from pathlib import Path

import browser
import program
import pytest
import stand_ins
from judges import output_of
from PIL import ExifTags, Image

from app import create_app
from modules.configuration import Configuration, WebOptions
from modules.engines.registry import Engines

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = 'correct horse'
HIDDEN = b'<script>alert(document.domain)</script>'
FORMATS = ('gif', 'mp4', 'webp', 'live-photo', 'motion-photo')

TABLE = re.findall(r'^\| [^|]+ \| [^|]+ \| (`.+) \|$',
                   (ROOT / 'docs' / 'security.md').read_text(encoding = 'utf-8'), re.M)


@pytest.fixture(scope = 'module')
def port(tmp_path_factory):
    options = Configuration(web = WebOptions(port = 0))
    engines = Engines(options, stand_ins.table(camera = 'Drifting'))
    app = create_app(options, tmp_path_factory.mktemp('home'), engines = engines)
    with program.served(app, options.web) as port:
        program.ready(port)
        yield port


def test_the_table_is_read():
    assert len(TABLE) > 25


@pytest.mark.parametrize('named', TABLE)
def test_every_test_that_a_threat_names_is_there(named):
    pairs = re.findall(r'`(test_\w+\.py)` `(test_\w+)`', named)
    assert pairs
    for file, function in pairs:
        (found, ) = (ROOT / 'tests').rglob(file)
        assert f'def {function}(' in found.read_text(encoding = 'utf-8')


def photo_with_place():
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = 'Maker'
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    place[ExifTags.GPS.GPSLatitudeRef], place[ExifTags.GPS.GPSLatitude] = 'N', (47.0, 22.0, 31.0)
    place[ExifTags.GPS.GPSLongitudeRef], place[ExifTags.GPS.GPSLongitude] = 'E', (8.0, 32.0, 27.0)
    return browser.photo(exif = exif)


@pytest.mark.parametrize('wanted', FORMATS)
def test_what_hides_in_a_photo_is_not_in_its_clip(port, tmp_path, wanted):
    archive = tmp_path / 'hidden.zip'
    with zipfile.ZipFile(archive, 'w') as made:
        made.writestr('page.html', HIDDEN)
    photo = browser.photo(comment = HIDDEN) + HIDDEN + archive.read_bytes()
    assert photo.count(HIDDEN) == 3
    answer = program.generate(port, photo, [('format', wanted)])
    assert answer.status == 200 and HIDDEN not in answer.body
    if wanted != 'live-photo':
        (tmp_path / 'clip').write_bytes(answer.body)
        assert not zipfile.is_zipfile(tmp_path / 'clip')


@pytest.mark.parametrize('content', [
    b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>1</script></svg>',
    b'%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n',
    b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n', b'#!/bin/sh\nid\n',
    b'<html>' + HIDDEN, b'push graphic-context\nviewbox 0 0 9 9\n'
])
def test_formats_that_can_run_something_are_not_read(port, content):
    assert program.generate(port, content).status == 415


@pytest.mark.parametrize('wanted', FORMATS)
def test_a_clip_does_not_tell_where_its_photo_was_taken(port, tmp_path, wanted):
    photo = photo_with_place()
    assert Image.open(io.BytesIO(photo)).getexif().get_ifd(ExifTags.IFD.GPSInfo)
    answer = program.generate(port, photo, [('format', wanted)])
    assert answer.status == 200
    clip = tmp_path / 'clip'
    clip.write_bytes(answer.body)
    if wanted == 'live-photo':
        with zipfile.ZipFile(clip) as files:
            files.extractall(tmp_path / 'all')
        clip = tmp_path / 'all'
    output = output_of('exiftool', '-r', '-a', '-G1', '-ee', clip).decode()
    assert 'Image' in output and 'GPS' not in output and '47 deg' not in output


def test_the_password_is_told_to_nobody(tmp_path):
    ini = f'[WebOptions]\nPassword = {PASSWORD}\n[ModelOptions]\nEngine = camera\n'
    given = base64.b64encode(f':{PASSWORD}'.encode()).decode()
    with program.started(tmp_path, ini, ['--logging-level', 'debug']) as (process, port):
        program.ready(port)
        bodies = [
            program.call(port, 'GET', path, headers = headers).body
            for path in ('/', '/health', '/metrics', '/openapi.json', '/nothing')
            for headers in ({}, {
                'Authorization': f'Basic {given}'
            }, {
                'Authorization': 'Basic !'
            })
        ]
        process.terminate()
        process.wait(60)
    said = (tmp_path / 'log').read_text(encoding = 'utf-8')
    assert '/metrics' in said or 'turn-live-photos' in said
    for secret in (PASSWORD, given):
        assert secret not in said and not any(secret.encode() in body for body in bodies)
