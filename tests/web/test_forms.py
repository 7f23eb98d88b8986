#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Forms as programs send them: names in any encoding, and bodies that break off. What comes is what curl makes of it, or
bytes as older programs sent them.

Libraries: pytest.
"""

import json
import os
import subprocess

import judges
import program
import pytest
from serving import jpeg, refused, serve

from modules.web import names


@pytest.fixture(scope = 'module')
def port(tmp_path_factory):
    # more jobs than usually wait come at once
    with serve(tmp_path_factory.mktemp('home'), waiting = 1000) as port:
        program.ready(port)
        yield port


def named(port, name, path = '/jobs'):
    """A photo under a name of any bytes, sent as browsers do."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="' + name + b'"\r\n\r\n'
    kind = {'Content-Type': 'multipart/form-data; boundary=x'}
    return program.call(port, 'POST', path, head + jpeg() + b'\r\n--x--\r\n', kind)


#: real names of photos, by the encoding that the systems of their countries used
NAMES = [('gbk', '照片'), ('gbk', '微信图片_20231128101112'), ('gbk', '屏幕截图 2024-01-02'), ('gbk', '图片1'),
         ('gbk', '新建图像'), ('gbk', '全家福 (2)'), ('gbk', '雪山'), ('gbk', '李娟'), ('gbk', 'IMG_龚璐'),
         ('cp932', '写真'), ('cp932', 'スクリーンショット 2024-01-02'), ('cp932', '名称未設定'), ('cp932', '予定表'),
         ('cp932', '十月の桜'), ('cp932', 'アイコン'), ('cp932', '猫'), ('cp932', '沖縄の海'),
         ('cp1252', 'café'), ('cp1252', 'Größe'), ('cp1252', 'Été_à_Nîmes'),
         ('cp1252', 'São_Paulo coração'), ('cp1252', 'plage d’été'), ('cp1252', 'Müller & Söhne'),
         ('big5', '螢幕擷取畫面'), ('big5', '許功蓋'), ('big5', '我的照片'), ('cp1251', 'Снимок'),
         ('cp1251', 'фото с дачи'), ('utf-8', '照片'), ('utf-8', 'é'), ('utf-8', 'Ελλάδα café'),
         ('utf-8', 'Фото'), ('utf-8', 'सूर्यास्त 🌅')]


@pytest.mark.parametrize(('encoding', 'name'), NAMES)
def test_a_name_in_any_encoding_is_read(port, encoding, name):
    answer = named(port, f'{name}.jpg'.encode(encoding))
    assert answer.status == 202, answer.body
    assert answer.json['name'] == name


@pytest.mark.parametrize('path', ['/generate', '/jobs', '/upright'])
@pytest.mark.parametrize(
    'name',
    [b'\xff\x80\xfd\x81', bytes(range(0x80, 0x100)), b'\x80.jpg', b'\xb7\xff'])
def test_a_photo_is_taken_whatever_its_name_is_made_of(port, path, name):
    answer = named(port, name, path)
    assert answer.status in (200, 202), answer.body
    if path == '/jobs':
        assert answer.json['name'] == 'photo'


def test_letters_whose_second_half_is_a_backslash_are_read_as_older_programs_double_it(port):
    name = '予定表.jpg'.encode('cp932')
    assert name.count(b'\\') == 2
    assert named(port, name.replace(b'\\', b'\\\\')).json['name'] == '予定表'


def test_a_path_is_still_no_part_of_a_name(port):
    assert named(port, 'C:\\\\图片\\\\我的猫.jpg'.encode('gbk')).json['name'] == '我的猫'
    assert named(port, b'..%2F' + '../图片/我的猫.jpg'.encode('gbk')).json['name'] == '我的猫'


@pytest.mark.parametrize(('encoding', 'name'), [('gbk', '照片'), ('cp932', '写真'), ('cp932', '表'),
                                                ('latin-1', 'Größe')])
def test_curl_sends_such_names(port, tmp_path, encoding, name):
    photo = tmp_path / os.fsdecode(f'{name}.jpg'.encode(encoding))
    photo.write_bytes(jpeg())
    said = judges.output_of('curl', '-s', '-F', b'file=@' + os.fsencode(photo),
                            f'http://127.0.0.1:{port}/jobs')
    assert json.loads(said)['name'] == name


def test_curl_sends_a_pipe_under_such_a_name(port):
    judges.run('curl', '--version')
    done = subprocess.run([
        'curl', '-s', '-F', b'file=@-;filename=\xd5\xd5\xc6\xac.jpg',
        f'http://127.0.0.1:{port}/jobs'
    ],
                          input = jpeg(),
                          capture_output = True,
                          check = True)
    assert json.loads(done.stdout)['name'] == '照片'


def test_nothing_but_a_name_is_read_in_another_encoding():
    assert names.guess_text(b'plain') == 'plain'
    assert names.guess_text('naïve'.encode()) == 'naïve'
    assert names.guess_text(b'\xff\x80\xfd\x81') is None


def post_form(port, body, kind = 'multipart/form-data; boundary=x', path = '/generate'):
    return program.call(port, 'POST', path, body, {'Content-Type': kind})


PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'


@pytest.mark.parametrize('path', ['/generate', '/jobs', '/upright'])
@pytest.mark.parametrize('end',
                         [b'', b'\r\n', b'\r\n--x', b'\r\n--x\r\n', b'\r\n--x-', b'\r\n--y--\r\n'])
def test_a_form_without_its_last_boundary_says_so(port, path, end):
    answer = refused(post_form(port, PART + jpeg() + end, path = path), 400, 'incomplete_form')
    assert 'incomplete' in answer.json['message']


@pytest.mark.parametrize('body', [b'--x', PART[:-10], PART])
def test_a_form_that_breaks_off_before_the_photo_says_so(port, body):
    refused(post_form(port, body), 400, ('malformed_form' if body == b'--x' else 'incomplete_form'))


@pytest.mark.parametrize(('body', 'kind'), [
    (PART + b'a\r\n--x--\r\n', 'multipart/form-data; boundary=z'),
    (PART + b'a\r\n--x--\r\n', 'multipart/form-data'),
    (PART + b'a\r\n--x--\r\n', 'multipart/form-data; boundary=\xe9'),
    (b'--x\r\nContent-Type: image/jpeg\r\n\r\na\r\n--x--\r\n', 'multipart/form-data; boundary=x'),
])
def test_a_form_that_is_none_says_so(port, body, kind):
    refused(post_form(port, body, kind), 400, 'malformed_form')


def test_a_form_of_no_bytes_has_no_photo(port):
    refused(post_form(port, b''), 400, 'missing_file', 'file')


@pytest.mark.parametrize('end', [b'--x--', b'--x--\r\n', b'--x--\r\nafter the end'])
def test_what_follows_the_last_boundary_is_of_no_account(port, end):
    assert post_form(port, PART + jpeg() + b'\r\n' + end).status == 200


def test_curl_is_told_that_its_form_broke_off(port, tmp_path):
    (tmp_path / 'body').write_bytes(PART + jpeg())
    said = judges.output_of('curl', '-s', '-H', 'Content-Type: multipart/form-data; boundary=x',
                            '--data-binary', f'@{tmp_path}/body', '-H', 'Accept-Language: zh',
                            f'http://127.0.0.1:{port}/generate')
    assert json.loads(said)['code'] == 'incomplete_form'
    assert '不完整' in json.loads(said)['message']
