#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``POST /generate`` through real HTTP, with stand-in engines.

Libraries: Pillow, pytest.
"""

import io
import json
import shutil
import socket
import struct
import threading
import time
import zlib
from functools import partial

import program
import pytest
import stand_ins
from PIL import Image
from serving import jpeg, refused, serve

from modules import VERSION
from modules.configuration import Configuration
from modules.engines.registry import Engines
from modules.web.channel import LINGER_SECONDS


@pytest.fixture(scope = 'module')
def port(tmp_path_factory):
    with serve(tmp_path_factory.mktemp('home'), max_content_length = 200_000) as port:
        program.ready(port)
        yield port


def left(home):
    """What lies on the disk beside the record of jobs."""
    return [path.name for path in home.iterdir() if not path.name.startswith('jobs.')]


def gif(answer):
    assert answer.status == 200, answer.body
    assert answer.headers['Content-Type'] == 'image/gif'
    return Image.open(io.BytesIO(answer.body))


def test_a_photo_becomes_a_gif(port):
    answer = program.generate(port, jpeg())
    with gif(answer) as image:
        assert image.size == (56, 42)
    assert answer.headers['X-Engine'] == 'camera'
    assert len(answer.headers['X-Job-Id']) == 32
    assert 0 <= int(answer.headers['X-Seed']) < 2**32
    assert answer.headers['X-Content-Type-Options'] == 'nosniff'


@pytest.mark.parametrize(('name', 'expected'), [
    ('my cat.jpeg', 'filename="my cat.gif"'),
    ('猫咪.heic', "filename*=UTF-8''%E7%8C%AB%E5%92%AA.gif"),
    ('../../etc/passwd', 'filename=passwd.gif'),
    ('C:\\\\Users\\\\me\\\\cat.png', 'filename=cat.gif'),
    ('no ending', 'filename="no ending.gif"'),
    ('.jpg', 'filename=jpg.gif'),
    ('-', 'filename=photo.gif'),
])
def test_the_result_carries_the_photos_own_name(port, name, expected):
    answer = program.generate(port, jpeg(), name = name)
    assert answer.status == 200
    assert expected in answer.headers['Content-Disposition'].encode('latin-1').decode()


def test_the_seed_used_is_told_back(port):
    assert program.generate(port, jpeg(),
                            [('seed', '4294967295')]).headers['X-Seed'] == '4294967295'


def test_seeds_are_drawn_when_none_is_given(port):
    seeds = {program.generate(port, jpeg()).headers['X-Seed'] for _ in range(4)}
    assert len(seeds) == 4


@pytest.mark.parametrize('fields', [
    [('motion_bucket_id', '0')],
    [('motion_bucket_id', '255')],
    [('motion_bucket', '127')],
    [('noise_aug_strength', '0')],
    [('noise_aug_strength', '1.0')],
    [('noise_aug_strength', '2e-2')],
    [('max_guidance_scale', '1')],
    [('max_guidance_scale', '10')],
    [('seed', ' 7 ')],
    [('format', 'gif')],
    [('engine', 'camera')],
    [('engine', 'auto')],
    [(name, '')
     for name in ('motion_bucket_id', 'noise_aug_strength', 'max_guidance_scale', 'seed', 'format')
     ],
])
def test_accepts(port, fields):
    assert program.generate(port, jpeg(), fields).status == 200


@pytest.mark.parametrize(('name', 'value', 'code'), [
    ('motion_bucket_id', '-1', 'out_of_range'),
    ('motion_bucket_id', '256', 'out_of_range'),
    ('motion_bucket', '9999', 'out_of_range'),
    ('motion_bucket_id', '1.5', 'not_a_number'),
    ('motion_bucket_id', 'much', 'not_a_number'),
    ('motion_bucket_id', '1_0', 'not_a_number'),
    ('motion_bucket_id', '٣', 'not_a_number'),
    ('noise_aug_strength', 'nan', 'not_a_number'),
    ('noise_aug_strength', 'inf', 'not_a_number'),
    ('noise_aug_strength', '-inf', 'not_a_number'),
    ('noise_aug_strength', '1.01', 'out_of_range'),
    ('noise_aug_strength', '-0.1', 'out_of_range'),
    ('max_guidance_scale', '0.99', 'out_of_range'),
    ('max_guidance_scale', '10.1', 'out_of_range'),
    ('max_guidance_scale', '1e999', 'out_of_range'),
    ('seed', '-1', 'out_of_range'),
    ('seed', '4294967296', 'out_of_range'),
    ('seed', '9' * 9000, 'out_of_range'),
    ('format', 'exe', 'unknown_choice'),
    ('engine', 'magic', 'unknown_choice'),
])
def test_refuses_bad_values_and_names_the_field(port, name, value, code):
    answer = refused(
        program.generate(port, jpeg(), [(name, value)]), 400, code,
        {'motion_bucket': 'motion_bucket_id'}.get(name, name))
    assert answer.json['field'] in answer.json['message']
    assert len(answer.body) < 1000


@pytest.mark.parametrize('fields', [
    [('seed', '1'), ('seed', '1')],
    [('motion_bucket_id', '1'), ('motion_bucket', '2')],
])
def test_refuses_repeated_fields(port, fields):
    refused(program.generate(port, jpeg(), fields), 400, 'repeated_field', fields[1][0])


def test_refuses_unknown_fields(port):
    refused(program.generate(port, jpeg(), [('frames', '9')]), 400, 'unknown_field', 'frames')


def post_form(port, files = (), fields = ()):
    body, headers = program.form(fields, files)
    return program.call(port, 'POST', '/generate', body, headers)


@pytest.mark.parametrize(
    'files', [(), [('file', '', b'')], [('file', None, b'')]],
    ids = ['none', 'nameless', 'as text'])
def test_refuses_forms_without_a_photo(port, files):
    answer = post_form(port, files)
    assert (answer.status, answer.json['field']) == (400, 'file')
    assert answer.json['code'] == 'missing_file'


def test_refuses_a_body_that_is_no_form(port):
    refused(program.call(port, 'POST', '/generate', b'abc'), 400, 'missing_file', 'file')


def test_refuses_two_photos(port):
    files = [('file', 'a.jpg', jpeg()), ('file', 'b.jpg', jpeg())]
    refused(post_form(port, files), 400, 'repeated_field', 'file')


def test_refuses_a_photo_under_another_name(port):
    refused(post_form(port, [('image', 'a.jpg', jpeg())]), 400, 'unknown_field', 'image')


def test_takes_a_photo_that_has_no_name(port):
    assert post_form(port, [('file', '', jpeg())]).status == 200


def test_refuses_an_empty_photo(port):
    refused(program.generate(port, b'', name = 'a.jpg'), 415, 'empty_image', 'file')


def test_refuses_text_named_png(port):
    refused(program.generate(port, b'I am a text', name = 'a.png'), 415, 'unreadable_image', 'file')


def test_takes_a_photo_whatever_its_name_claims(port):
    assert program.generate(port, jpeg(), name = 'notes.txt').status == 200


def test_refuses_a_truncated_photo(port):
    refused(program.generate(port, jpeg(size = (640, 480))[:-2000]), 415, 'damaged_image', 'file')


def test_refuses_a_bomb(port):
    header = struct.pack('>2I5B', 30000, 30000, 8, 0, 0, 0, 0)
    chunk = struct.pack('>I', 13) + b'IHDR' + header
    bomb = b'\x89PNG\r\n\x1a\n' + chunk + struct.pack('>I', zlib.crc32(b'IHDR' + header))
    bomb += struct.pack('>I', 0) + b'IDAT' + struct.pack('>I', zlib.crc32(b'IDAT'))
    refused(program.generate(port, bomb), 413, 'too_many_pixels', 'file')


@pytest.mark.parametrize('method', ['GET', 'PUT', 'DELETE', 'PATCH'])
def test_refuses_other_methods_with_400(port, method):
    answer = refused(program.call(port, method, '/generate'), 400, 'method_not_allowed')
    assert answer.headers['Allow'] == 'POST'


def test_other_paths_refuse_other_methods_with_405(port):
    answer = refused(program.call(port, 'POST', '/health'), 405, 'method_not_allowed')
    assert 'GET' in answer.headers['Allow']


def test_unknown_paths_are_404(port):
    refused(program.call(port, 'GET', '/nowhere'), 404, 'not_found')


@pytest.mark.parametrize(('accepted', 'expected'), [('zh-CN,zh;q=0.9', '这里'), ('zh-TW', '这里'),
                                                    ('en-US,en', 'There'), ('fr', 'There'),
                                                    ('', 'There')])
def test_errors_speak_the_readers_language(port, accepted, expected):
    answer = program.call(port, 'GET', '/nowhere', headers = {'Accept-Language': accepted})
    assert expected in answer.json['message']


def test_a_body_of_exactly_the_limit_is_read(port):

    def body(padding):
        return program.form([], [('file', 'a.jpg', jpeg() + b'\0' * padding)])

    empty, headers = body(0)
    whole, headers = body(200_000 - len(empty))
    assert len(whole) == 200_000
    assert program.call(port, 'POST', '/generate', whole, headers).status == 200


def everything(client):
    """All a server sends until it closes."""
    received = b''
    while part := client.recv(65536):
        received += part
    return received.decode()


def test_an_oversized_body_is_refused_before_it_is_read(port):
    """The client announces a gigabyte, sends a little, and is answered."""
    with socket.create_connection(('127.0.0.1', port), timeout = 10) as client:
        client.sendall(
            b'POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n'
            b'Accept-Language: zh\r\n\r\n' + b'x' * 1000)
        answer = everything(client)
    assert ' 413 ' in answer.splitlines()[0]
    assert '"code": "upload_too_large"' in answer
    assert '照片太大' in answer
    assert '0.2 MB' in answer


@pytest.mark.parametrize(('size', 'expected'), [(1_000_000_000, '413'), (1000, '100')])
def test_a_client_that_asks_first_is_told_before_it_sends(port, size, expected):
    """As curl does with every photo of more than a megabyte."""
    with socket.create_connection(('127.0.0.1', port), timeout = 10) as client:
        client.sendall(b'POST /generate HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n'
                       b'Content-Length: %d\r\n\r\n' % size)
        assert program.beginning(client).decode()[-3:] == expected


def test_a_client_that_keeps_sending_still_gets_the_refusal(port):
    body, headers = program.form([], [('file', 'a.jpg', b'\0' * 8_000_000)])
    refused(program.call(port, 'POST', '/generate', body, headers), 413, 'upload_too_large')


def test_a_chunked_body_beyond_the_limit_is_refused(port):

    def chunks():
        for _ in range(40):
            yield b'x' * 10_000

    answer = program.call(port, 'POST', '/generate', chunks())
    refused(answer, 413, 'upload_too_large')


@pytest.mark.parametrize(('request_', 'status'), [
    (b'GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n', 400),
    (b'GET / HTTP/1.1\r\nHost: localhost\r\nbroken header\r\n\r\n', 400),
    (b'GET / HTTP/1.1\r\nHost: localhost\r\nX: ' + b'y' * 300_000 + b'\r\n\r\n', 431),
    (b'GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n', 501),
])
def test_what_the_server_itself_refuses_is_json(port, request_, status):
    with socket.create_connection(('127.0.0.1', port), timeout = 10) as client:
        client.sendall(request_)
        head, _, body = everything(client).partition('\r\n\r\n')
    assert f' {status} ' in head.splitlines()[0]
    assert 'application/json' in head
    assert '"code": "malformed_request"' in body
    assert f'X-Request-Id: {json.loads(body)["request_id"]}' in head


def test_what_the_server_itself_refuses_follows_the_language_switched_to(port):
    headers = {'Cookie': 'lang=zh', 'Accept-Language': 'en', 'Content-Length': '1000000000'}
    answer = program.call(port, 'POST', '/generate', b'x', headers)
    assert '照片太大' in answer.json['message']


@pytest.mark.parametrize(
    'host',
    ['localhost', 'localhost:5000', '127.0.0.1', '192.168.1.20:80', '[::1]:5000', 'a.localhost'])
def test_serves_this_machine(port, host):
    assert program.call(port, 'GET', '/health', headers = {'Host': host}).status == 200


@pytest.mark.parametrize('host',
                         ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', ''])
def test_refuses_names_of_strangers(port, host):
    answer = program.call(port, 'GET', '/health', headers = {'Host': host})
    refused(answer, 403, 'host_not_served')


def test_serves_names_the_owner_allows(tmp_path):
    with serve(tmp_path, allowed_hosts = ('photos.example', )) as port:
        assert program.call(port, 'GET', '/', headers = {'Host': 'photos.example'}).status == 200
        assert program.call(port, 'GET', '/', headers = {'Host': 'other.example'}).status == 403


def test_serves_every_name_when_told_so(tmp_path):
    with serve(tmp_path, allowed_hosts = ('*', )) as port:
        assert program.call(port, 'GET', '/', headers = {'Host': 'other.example'}).status == 200


def test_sixteen_people_each_get_their_own_picture(tmp_path):
    colours = [(16 * index, 255 - 16 * index, 100) for index in range(16)]
    answers = {}
    with serve(tmp_path) as port:

        def ask(colour):
            answers[colour] = program.generate(port, jpeg(colour), timeout = 60)

        threads = [threading.Thread(target = ask, args = (colour, )) for colour in colours]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for colour, answer in answers.items():
        with gif(answer) as image:
            found = image.convert('RGB').getpixel((20, 20))
        assert max(abs(a - b) for a, b in zip(found, colour, strict = True)) <= 12
    assert len(answers) == 16


def test_nothing_but_results_is_left_on_the_disk(tmp_path):
    with serve(tmp_path) as port:
        made = program.generate(port, jpeg())
        program.generate(port, b'no photo')
        program.generate(port, jpeg(), [('seed', 'x')])
        assert left(tmp_path) == [made.headers['X-Job-Id']]


def until_waiting(port, count):
    """Until a job runs and so many wait behind it."""
    patience = time.monotonic() + 20
    while time.monotonic() < patience:
        health = program.call(port, 'GET', '/health').json
        if health['status'] == 'BUSY' and health['waiting'] == count:
            return
        time.sleep(0.05)
    raise AssertionError(health)


def test_a_full_queue_is_503_with_retry_after(tmp_path):
    stand_ins.Held.go.clear()
    with serve(tmp_path, {'camera': 'Held'}, waiting = 1) as port:
        program.ready(port)
        people = [
            threading.Thread(target = program.generate, args = (port, jpeg())) for _ in range(2)
        ]
        for number, person in enumerate(people):
            person.start()
            until_waiting(port, number)
        answer = refused(program.generate(port, jpeg()), 503, 'queue_full')
        assert int(answer.headers['Retry-After']) >= 1
        assert program.call(port, 'GET', '/health').json['waiting'] == 1
        assert program.call(port, 'GET', '/health').json['status'] == 'BUSY'
        stand_ins.Held.go.set()
        for person in people:
            person.join()
        assert len(left(tmp_path)) == len(people)


@pytest.mark.parametrize('waits_behind', [False, True])
def test_a_client_that_hangs_up_stops_costing_work(tmp_path, waits_behind):
    stand_ins.Held.go.clear()
    with serve(tmp_path, {'camera': 'Held'}) as port:
        program.ready(port)
        body, headers = program.form([], [('file', 'a.jpg', jpeg())])
        head = ''.join(f'{name}: {value}\r\n' for name, value in headers.items())
        request = f'POST /generate HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {len(body)}\r\n\r\n'
        clients = []
        for number in range(1 + waits_behind):
            client = socket.create_connection(('127.0.0.1', port))
            client.sendall(request.encode() + body)
            clients.append(client)
            until_waiting(port, number)
        for client in reversed(clients):
            client.close()
        program.ready(port, seconds = 5)
        # the request goes when it sees that its client has
        program.until(lambda: left(tmp_path) == [], seconds = 5)


@pytest.mark.parametrize(('engine', 'status', 'code'),
                         [('Failing', 500, 'engine_failed'), ('OutOfMemory', 503, 'out_of_memory'),
                          ('DiskFull', 503, 'disk_full'),
                          ('BreaksWhileLoading', 500, 'engine_failed')])
def test_engines_that_fail_are_told_without_secrets(tmp_path, caplog, engine, status, code):
    with serve(tmp_path, {'camera': engine}) as port:
        answer = refused(program.generate(port, jpeg()), status, code)
        assert b'secret' not in answer.body
        assert b'Traceback' not in answer.body
        if status == 503:
            assert int(answer.headers['Retry-After']) > 0
        assert 'Traceback' in caplog.text
        # the worker goes on
        assert program.generate(port, jpeg()).status == status


def test_an_engine_that_cannot_work_is_503_with_the_reason(port):
    answer = refused(
        program.generate(port, jpeg(), [('engine', 'svd')]), 503, 'engine_unavailable', 'engine')
    assert 'not installed' in answer.json['message']


def test_the_engine_asked_for_in_the_ini_may_be_missing_and_the_program_runs(tmp_path):
    with serve(tmp_path, {'svd': 'Unavailable', 'camera': 'Instant'}, engine = 'svd') as port:
        program.ready(port)
        assert program.call(port, 'GET', '/').status == 200
        refused(program.generate(port, jpeg()), 503, 'engine_unavailable', 'engine')
        assert program.generate(port, jpeg(), [('engine', 'camera')]).status == 200


def test_auto_takes_the_first_engine_that_can(tmp_path):
    with serve(tmp_path, {'svd': 'Instant', 'camera': 'Instant'}) as port:
        assert program.generate(port, jpeg()).headers['X-Engine'] == 'svd'


def test_what_auto_took_before_leaves_the_device_to_what_it_takes_now():
    configuration = Configuration()
    engines = Engines(configuration,
                      stand_ins.table(wan = 'Unavailable', svd = 'Instant', camera = 'Instant'))
    let_go = []
    for name, engine in engines._engines.items():
        engine.unload = partial(let_go.append, name)
    for name in ('svd', 'camera'):
        engines.get(name)
    assert not let_go, 'one that is asked for by name stands beside it'
    engines._engines['wan'] = stand_ins.Instant(configuration)
    for name in ('wan', 'svd', 'wan'):
        engines.get(engines.choose('auto') if name == 'wan' else name)
    assert sorted(let_go) == ['camera', 'svd']


def test_auto_passes_over_a_slow_engine_which_whoever_names_it_gets(tmp_path):
    table = {'wan': 'Lingering', 'svd': 'Instant', 'camera': 'Instant'}
    stand_ins.Lingering.is_known = False
    with serve(tmp_path, table) as port:
        program.ready(port)
        health = program.call(port, 'GET', '/health').json
        assert (health['engine'], health['engines']['wan']) == ('svd', None)
        page = program.call(port, 'GET', '/').body.decode()
        assert 'a clip takes very long' in page
        for fields, used in (([], 'svd'), ([('engine', 'wan')], 'wan'), ([], 'svd')):
            assert program.generate(port, jpeg(), fields).headers['X-Engine'] == used


def test_whoever_names_an_engine_gets_it_although_it_turns_out_slow(tmp_path):
    stand_ins.Lingering.is_known = False
    table = {'wan': 'Lingering', 'camera': 'Instant'}
    with serve(tmp_path, table, engine = 'camera') as port:
        program.ready(port)
        assert program.generate(port, jpeg(), [('engine', 'wan')]).headers['X-Engine'] == 'wan'


def test_shutting_down_answers_those_who_wait(tmp_path):
    stand_ins.Held.go.clear()
    answers = []
    with serve(tmp_path, {'camera': 'Held'}) as port:
        program.ready(port)
        people = [
            threading.Thread(target = lambda: answers.append(program.generate(port, jpeg())))
            for _ in range(3)
        ]
        for person in people:
            person.start()
        until_waiting(port, 2)
    for person in people:
        person.join()
    for answer in answers:
        refused(answer, 503, 'shutting_down')
    assert len(answers) == 3


def test_a_disk_that_cannot_be_written_to_is_503(tmp_path):
    home = tmp_path / 'home'
    home.mkdir()
    with serve(home) as port:
        shutil.rmtree(home)
        home.write_text('a file where the folder should be')
        refused(program.generate(port, jpeg()), 503, 'disk_full')
        home.unlink()
        home.mkdir()
        assert program.generate(port, jpeg()).status == 200


def test_health_tells_starting_then_ready(tmp_path):
    with serve(tmp_path, {'svd': 'Unavailable', 'camera': 'SlowToLoad'}) as port:
        starting = program.call(port, 'GET', '/health')
        assert (starting.status, starting.json['status']) == (200, 'STARTING')
        program.ready(port)
        health = program.call(port, 'GET', '/health').json
    assert health['engine'] == 'camera'
    assert health['engines']['camera'] is None
    assert 'not installed' in health['engines']['svd']
    assert health['version'] == VERSION


def test_health_warns_of_settings_that_give_mush(tmp_path):
    with serve(tmp_path, {'svd': 'IllSet'}) as port:
        assert '72' in program.call(port, 'GET', '/health').json['warnings'][0]


def test_heic_is_shown_upright(port):
    import pillow_heif
    pillow_heif.register_heif_opener()
    content = io.BytesIO()
    Image.new('RGB', (80, 40), 'blue').save(content, 'HEIF')
    body, headers = program.form([], [('file', 'a.heic', content.getvalue())])
    answer = program.call(port, 'POST', '/upright', body, headers)
    assert (answer.status, answer.headers['Content-Type']) == (200, 'image/jpeg')
    with Image.open(io.BytesIO(answer.body)) as image:
        assert image.size == (80, 40)


def test_what_cannot_be_shown_upright_is_refused(port):
    body, headers = program.form([], [('file', 'a.heic', b'nothing')])
    refused(program.call(port, 'POST', '/upright', body, headers), 415, 'unreadable_image', 'file')


@pytest.mark.parametrize('path', ['/generate', '/upright'])
@pytest.mark.parametrize('nameless', [b'name=', b'x', b'name="'])
@pytest.mark.parametrize('file', [b'', b'; filename="b.jpg"'])
def test_a_part_without_a_name_is_an_unknown_field(port, path, nameless, file):
    parts = [b'form-data; ' + nameless + file, b'form-data; name="file"; filename="a.jpg"']
    body = b''.join(b'--x\r\nContent-Disposition: ' + part + b'\r\n\r\n' + jpeg() + b'\r\n'
                    for part in parts)
    kind = {'Content-Type': 'multipart/form-data; boundary=x'}
    answer = program.call(port, 'POST', path, body + b'--x--\r\n', kind)
    assert (answer.status, answer.json['code']) in ((400, 'unknown_field'), (400, 'missing_file'))


@pytest.mark.parametrize('path', ['/generate', '/upright', '/model/download'])
@pytest.mark.parametrize('headers', [{
    'Sec-Fetch-Site': 'cross-site'
}, {
    'Sec-Fetch-Site': 'same-site'
}, {
    'Sec-Fetch-Site': 'none',
    'Origin': 'https://evil.example'
}, {
    'Origin': 'https://evil.example'
}, {
    'Origin': 'null'
}, {
    'Origin': 'http://[::1'
}, {
    'Origin': ''
}])
def test_forms_of_other_sites_are_refused(port, path, headers):
    body, own = program.form([], [('file', 'a.jpg', jpeg())])
    refused(program.call(port, 'POST', path, body, {**own, **headers}), 403, 'cross_site')


def test_forms_of_this_site_are_served(port):
    for headers in ({
            'Sec-Fetch-Site': 'same-origin',
            'Origin': 'null'
    }, {
            'Sec-Fetch-Site': 'none'
    }, {
            'Origin': f'http://127.0.0.1:{port}'
    }):
        assert program.generate(port, jpeg(), headers = headers).status == 200


@pytest.mark.parametrize('fields', [[('seed', '1' * 600_000)], [('seed', '')] * 1100])
def test_forms_of_too_many_or_too_long_fields_are_not_called_a_large_photo(tmp_path, fields):
    with serve(tmp_path) as port:
        refused(program.generate(port, jpeg(), fields), 400, 'bad_request')


def test_a_refused_client_that_stays_silent_is_let_go(port):
    with socket.create_connection(('127.0.0.1', port), timeout = 10) as client:
        client.sendall(b'BAD\r\n\r\n')
        everything(client)
        # our side stays open and says nothing; the server's side must be gone all the same
        time.sleep(LINGER_SECONDS + 1.5)
        with pytest.raises(ConnectionError):
            for _ in range(3):
                client.sendall(b'x')
                time.sleep(0.2)


def test_running_out_of_memory_while_a_photo_is_checked_leaves_nothing(tmp_path):
    content = io.BytesIO()
    Image.new('RGB', (9000, 9000)).save(content, 'PNG')
    with serve(tmp_path) as port:
        sandbox = program.last_app.extensions['services'].sandbox
        # those that are at rest have more
        sandbox.close()
        sandbox.memory = 250 << 20
        refused(program.generate(port, content.getvalue()), 503, 'out_of_memory')
        assert left(tmp_path) == []


def test_the_home_may_be_tidied_away_while_nobody_comes(tmp_path):
    home = tmp_path / 'home'
    home.mkdir()
    with serve(home) as port:
        shutil.rmtree(home)
        made = program.generate(port, jpeg())
        assert made.status == 200
        assert left(home) == [made.headers['X-Job-Id']]
