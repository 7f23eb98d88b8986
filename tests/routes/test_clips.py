#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Clips for others than the browser that made them: the page of one, its link for a phone, many as a ZIP; and refusals
that are pages.

Libraries: numpy, OpenCV, pytest.
"""

import base64
import html
import io
import re
import urllib.parse
import zipfile

import cv2
import numpy
import program
import pytest
import stand_ins
from serving import jpeg, serve

from modules import encoders
from modules.jobs.job import link_id
from modules.routes.clips import unique_names
from modules.web import links

BROWSER = {'Accept': 'text/html,application/xhtml+xml,*/*;q=0.8', 'Accept-Language': 'en'}


@pytest.fixture(scope = 'module')
def port(tmp_path_factory):
    with serve(tmp_path_factory.mktemp('clips')) as port:
        program.ready(port)
        yield port


def make(port, name = 'grandmother.jpg', format_name = 'mp4'):
    """The id of a job that is done."""
    body, headers = program.form([('format', format_name)], [('file', name, jpeg())])
    made = program.call(port, 'POST', '/generate', body, headers)
    assert made.status == 200
    return made.headers['X-Job-Id']


@pytest.fixture(scope = 'module')
def done(port):
    return make(port)


def get(port, path, **headers):
    return program.call(
        port,
        'GET',
        path,
        headers = {
            name.replace('_', '-'): value
            for name, value in headers.items()
        })


# ---- the page of one clip ----


def link_to(port, job):
    """The path of a clip's page."""
    url = get(port, f'/jobs/{job}/link', Host = f'10.1.2.3:{port}').json['url']
    return urllib.parse.urlsplit(url).path


def test_a_link_grants_the_clip_and_leads_nowhere_else(port, done):
    path = link_to(port, done)
    page = get(port, path, **BROWSER)
    assert (page.status, page.headers['Cache-Control']) == (200, 'no-store')
    text = page.body.decode()
    assert (page.headers['X-Robots-Tag'], 'grandmother' in text) == ('noindex', True)
    assert '<video' in text and 'id="studio"' not in text
    named = set(re.findall(r'clip-[\w-]+/[\w?=&;-]+', text))
    assert f'{path[1:]}/preview?v=done' in named and len(named) > len(encoders.TABLE)
    answers = [page, *(get(port, f'/{html.unescape(address)}') for address in named)]
    assert {answer.status for answer in answers} == {200}
    token = path.partition('-')[2]
    for answer in answers:
        assert done not in f'{answer.headers}' and done.encode() not in answer.body
    # it is of no use as a job's id, nor a job's id as a link
    for method, asked in (('GET', f'/jobs/{token}'), ('GET', f'/jobs/{token}/photo'),
                          ('DELETE', f'/jobs/{token}'), ('GET', f'/clips.zip?id={token}'),
                          ('GET', f'/clip-{done}'), ('GET', f'/clip-{done}/result'),
                          ('GET', f'{path}/photo')):
        assert program.call(port, method, asked).status == 404, asked
    assert program.call(port, 'DELETE', path).status == 405
    assert get(port, path).status == 200


def test_a_clip_that_is_no_longer_there_says_what_to_do(port):
    gone = make(port)
    path = link_to(port, gone)
    program.call(port, 'DELETE', f'/jobs/{gone}')
    for address in (path, f'{path}/result?format=mp4&download=1'):
        page = get(port, address, **BROWSER)
        assert (page.status, page.headers['Content-Type']) == (404, 'text/html; charset=utf-8')
        assert 'no longer here' in page.body.decode() and 'href="/"' in page.body.decode()
        # programs get what they always get
        assert get(port, address).json['code'] == 'not_found'


def test_a_clip_that_is_still_being_made_has_no_link_yet(tmp_path):
    stand_ins.Held.go.clear()
    with serve(tmp_path / 'home', {'camera': 'Held'}) as port:
        program.ready(port)
        body, headers = program.form([], [('file', 'photo.jpg', jpeg())])
        job = program.call(port, 'POST', '/jobs', body, headers).json['id']
        assert get(port, f'/jobs/{job}/link').json['code'] == 'not_done'
        assert get(port, f'/clip-{link_id(job)}').json['code'] == 'not_found'
        stand_ins.Held.go.set()
        program.until(lambda: get(port, f'/jobs/{job}/link').status == 200)
        assert get(port, f'/clip-{link_id(job)}').status == 200


# ---- its link ----


def test_the_link_leads_to_where_the_page_was_opened_and_the_code_says_the_same(port, done):
    answer = get(port, f'/jobs/{done}/link', Host = f'10.1.2.3:{port}').json
    assert answer['url'] == f'http://10.1.2.3:{port}/clip-{link_id(done)}'
    assert 'same network' in answer['hint']
    assert get(port, f'/jobs/{done}/link', Host = '8.8.8.8').json['hint'] is None
    assert read_code(answer['qr']) == answer['url']


def read_code(address):
    """What OpenCV reads in a QR code, whose picture is drawn from its one path of strokes."""
    head, _comma, drawing = address.partition(',')
    assert head.startswith('data:image/svg+xml')
    svg = urllib.parse.unquote(drawing)
    side = int(re.search(r'viewBox=["\'](?:0 ){2}(\d+)', svg)[1])
    picture, x, y = numpy.full((side, side), 255, numpy.uint8), 0.0, 0.0
    for step, values in re.findall(r'([Mmh])([\d. -]+)', svg[svg.rindex(' d='):]):
        first, *rest = map(float, values.split())
        if step == 'h':
            picture[int(y), int(x):int(x + first)] = 0
            x += first
        else:
            x, y = (first, rest[0]) if step == 'M' else (x + first, y + rest[0])
    return cv2.QRCodeDetector().detectAndDecode(picture.repeat(8, 0).repeat(8, 1))[0]


@pytest.mark.parametrize('host', ['localhost', '127.0.0.1', 'page.localhost', '[::1]'])
def test_an_address_that_no_phone_reaches_is_not_offered(port, done, host):
    answer = get(port, f'/jobs/{done}/link', Host = f'{host}:{port}', **BROWSER).json
    assert (answer['url'], answer['qr']) == (None, None)
    assert '--host 0.0.0.0' in answer['hint']


def test_who_listens_everywhere_offers_the_machines_own_address(tmp_path):
    with serve(tmp_path / 'home', host = '0.0.0.0', password = 'geheim') as port:
        headers = {'Authorization': f'Basic {base64.b64encode(b":geheim").decode()}'}
        program.ready(port)
        body, form = program.form([], [('file', 'photo.jpg', jpeg())])
        job = program.call(port, 'POST', '/generate', body, {**form, **headers}).headers['X-Job-Id']
        answer = get(port, f'/jobs/{job}/link', **headers, **BROWSER).json
        own = links.find_own_address()
        if own:
            assert answer['url'] == f'http://{own}:{port}/clip-{link_id(job)}'
            assert 'password' in answer['hint']
        else:
            assert answer['url'] is None
        # the link opens nothing without the password
        for path in (f'/clip-{link_id(job)}', f'/clip-{link_id(job)}/result'):
            assert get(port, path).status == 401
            assert get(port, path, **headers).status == 200


# ---- many as a ZIP ----


def test_several_clips_come_as_one_zip_each_under_its_own_name(port):
    ids = [make(port, '奶奶.jpg'), make(port, '奶奶.png'), make(port, 'one.jpg', 'gif')]
    query = '&'.join(f'id={one}' for one in ids)
    answer = get(port, f'/clips.zip?{query}')
    assert (answer.status, answer.headers['Content-Type']) == (200, 'application/zip')
    assert answer.headers['Content-Disposition'] == 'attachment; filename=turn-live-photos-3.zip'
    with zipfile.ZipFile(io.BytesIO(answer.body)) as bundle:
        assert bundle.testzip() is None
        assert bundle.namelist() == ['奶奶.mp4', '奶奶 (2).mp4', 'one.mp4']
        assert {entry.compress_type for entry in bundle.infolist()} == {zipfile.ZIP_STORED}
        first = get(port, f'/jobs/{ids[0]}/result?format=mp4').body
        assert bundle.read('奶奶.mp4') == first
    gifs = get(port, f'/clips.zip?{query}&format=gif').body
    assert zipfile.ZipFile(io.BytesIO(gifs)).namelist()[2] == 'one.gif'


@pytest.mark.parametrize(('query', 'status', 'code'), [
    ('', 400, 'bad_request'),
    ('id=' + '0' * 32, 404, 'not_found'),
    ('id={done}&id=../../etc/passwd', 404, 'not_found'),
    ('&'.join(f'id={number:032x}' for number in range(51)), 400, 'bad_request'),
    ('id={done}&format=exe', 400, 'unknown_choice'),
])
def test_a_zip_has_only_clips_whose_ids_are_known(port, done, query, status, code):
    answer = get(port, f'/clips.zip?{query.replace("{done}", done)}')
    assert (answer.status, answer.json['code']) == (status, code)


def test_names_that_are_alike_are_numbered():
    names = ['a.mp4', 'A.mp4', 'a (2).mp4', 'b.pvt.zip', 'b.pvt.zip']
    assert unique_names(names) == [
        'a.mp4', 'A (2).mp4', 'a (2) (2).mp4', 'b.pvt.zip', 'b (2).pvt.zip'
    ]


# ---- refusals as pages ----


def test_the_plain_form_is_answered_by_a_page_programs_by_json(port):
    body, headers = program.form([], [('file', 'letter.jpg', b'Dear Sir')])
    page = program.call(port, 'POST', '/generate', body, {**headers, **BROWSER})
    assert (page.status, page.headers['Content-Type']) == (415, 'text/html; charset=utf-8')
    assert 'This file cannot be opened as a photo' in page.body.decode()
    assert 'Back to the page' in page.body.decode()
    for accept in ('*/*', 'application/json', ''):
        answer = program.call(port, 'POST', '/generate', body, {**headers, 'Accept': accept})
        assert (answer.status, answer.json['code']) == (415, 'unreadable_image')
    # and only for what browsers open as a page
    assert get(port, '/nothing', **BROWSER).json['code'] == 'not_found'
