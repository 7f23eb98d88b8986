#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What files are called when they are saved, as curl, Chromium, unzip and exiftool see it.

Libraries: numpy, Pillow, pytest, playwright.
"""

import json
import re
import subprocess
import zipfile
from datetime import datetime, timedelta, timezone

import browser
import numpy
import program
import pytest
from judges import exiftool, run
from PIL import Image
from serving import jpeg, serve

from modules.encoders import TABLE, Clip, live_photo
from modules.photos import stills
from modules.web import names

#: one second of one day
MOMENT = datetime(2026, 3, 4, 5, 6, 7, tzinfo = timezone(timedelta(hours = 8)))


@pytest.fixture(scope = 'module')
def port(tmp_path_factory):
    with serve(tmp_path_factory.mktemp('home')) as port:
        program.ready(port)
        yield port


def live(path, colour, words = None):
    """A Live Photo of a photo of one colour, asked for at :data:`MOMENT`."""
    still = stills.encode(Image.new('RGB', (32, 32), colour))
    frames = numpy.zeros((2, 32, 32, 3), numpy.uint8)
    settings = {'created': MOMENT.isoformat(), **(words or {})}
    live_photo.encode(
        Clip(frames, 15, lambda: still, settings = json.dumps(settings), created = MOMENT), path)
    return path


def test_live_photos_of_one_second_lie_in_one_folder(tmp_path):
    (tmp_path / 'all').mkdir()
    for colour in ('red', 'green', 'blue', 'white'):
        bundle = live(tmp_path / f'{colour}.zip', colour)
        run('unzip', '-q', '-o', '-j', bundle, '*.JPG', '*.MOV', '-d', tmp_path / 'all')
    pairs = {}
    for path in (tmp_path / 'all').iterdir():
        tags = exiftool(path)
        assert re.fullmatch(r'IMG_20\d{6}_\d{6}_\d{6}', path.stem, re.ASCII)
        identifier = (
            tags.get('Apple:MediaGroupUUID') or tags.get('Apple:ContentIdentifier')
            or tags.get('Keys:ContentIdentifier'))
        pairs.setdefault(path.stem, set()).add((path.suffix, identifier))
    assert len(pairs) == 4
    for files in pairs.values():
        assert {suffix for suffix, _identifier in files} == {'.JPG', '.MOV'}
        assert len({identifier for _suffix, identifier in files}) == 1


def test_a_live_photo_made_anew_keeps_its_name(tmp_path):
    one, again = live(tmp_path / '1.zip', 'red'), live(tmp_path / '2.zip', 'red')
    assert one.read_bytes() == again.read_bytes()
    other = live(tmp_path / '3.zip', 'red', {'parameters': {'seed': 2}})
    assert zipfile.ZipFile(one).namelist() != zipfile.ZipFile(other).namelist()


def test_motion_photos_of_one_second_are_called_differently():
    found = {TABLE['motion-photo'].name('x', MOMENT, f'{number:032x}') for number in range(4)}
    assert len(found) == 4
    for name in found:
        assert re.fullmatch(r'IMG_\d{8}_\d{6}_\d{6}_MP\.jpg', name, re.ASCII)
        # the name that Google's format asks for, and the one its checker advises
        assert re.fullmatch(r'([^\s/\\][^/\\]*MP)\.(JPG|jpg|JPEG|jpeg)', name)
        assert re.fullmatch(r'IMG_[a-zA-Z0-9_]+_MP\.jpg', name)


def submitted(port, name, fields = ()):
    """A job that is done."""
    body, headers = program.form(fields, [('file', name, jpeg())])
    identity = program.call(port, 'POST', '/jobs', body, headers).json['id']
    program.until(lambda: program.call(port, 'GET', f'/jobs/{identity}').json['state'] == 'done')
    return program.call(port, 'GET', f'/jobs/{identity}').json


def test_a_job_calls_its_motion_photo_by_one_name(port):
    found = set()
    for _each in range(4):
        job = submitted(port, 'a.jpg', [('format', 'motion-photo')])
        shown, = (result for result in job['results'] if result['format'] == 'motion-photo')
        for _again in range(2):
            answer = program.call(port, 'GET', '/' + shown['url'])
            assert answer.headers['Content-Disposition'] == f'inline; filename={shown["name"]}'
        assert job['id'][:6] not in shown['name']
        found.add(shown['name'])
    assert len(found) == 4


@pytest.mark.parametrize(('name', 'saved'), [('照片', 'photo.gif'), ('旅行 2024', '2024.gif'),
                                             ('我的cat', 'cat.gif'), ('café', 'cafe.gif'),
                                             ('照片-', 'photo.gif'), ('。。', 'photo.gif'),
                                             ('照.片', 'photo.gif'), ('ＡＢＣ', 'ABC.gif'),
                                             ('（一）', 'photo().gif'), ('plain', 'plain.gif')])
def test_curl_saves_no_hidden_file(port, tmp_path, name, saved):
    (tmp_path / 'in.jpg').write_bytes(jpeg())
    subprocess.run([
        'curl', '-s', '-OJ', '-F', f'file=@{tmp_path}/in.jpg;filename={name}.jpg',
        f'http://127.0.0.1:{port}/generate'
    ],
                   cwd = tmp_path,
                   check = True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(['in.jpg', saved])
    with Image.open(tmp_path / saved) as image:
        assert image.format == 'GIF'


@pytest.mark.parametrize('kind', ['gif', 'live-photo'])
def test_a_browser_saves_the_photos_own_name(chromium, port, kind):
    job = submitted(port, '照片.jpg')
    ending = TABLE[kind].extension
    with browser.opened(chromium, port) as page:
        with page.expect_download() as coming:
            page.evaluate('address => { location.href = address }',
                          f'jobs/{job["id"]}/result?format={kind}&download=1')
        assert coming.value.suggested_filename == f'照片{ending}'
        with page.expect_download() as coming:
            page.evaluate('address => { location.href = address }', f'jobs/{job["id"]}/photo')
        assert coming.value.suggested_filename.startswith('照片')


def test_a_photo_whose_name_has_no_plain_letters_is_handed_back_under_a_word(port, tmp_path):
    job = submitted(port, '照片.jpg')
    header = program.call(port, 'GET', f'/jobs/{job["id"]}/photo').headers['Content-Disposition']
    assert header == "attachment; filename=photo; filename*=UTF-8''%E7%85%A7%E7%89%87"


@pytest.mark.parametrize('name', ['照片：一.gif', '照片"二.gif', '照\\片/三.gif', '照＂片＼＜四.gif', '照\x00片.gif'])
def test_a_name_in_plain_letters_can_stand_in_a_header_and_on_a_disk(name):
    assert re.fullmatch(r'photo[\w. -]*\.gif', names.plain_name(name), re.ASCII)
