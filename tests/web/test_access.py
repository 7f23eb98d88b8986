#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Who may come in, through real HTTP: the password, names and origins that are served, and the headers every answer has.

Libraries: hypothesis, Pillow, pytest.
"""

import base64
import socket

import browser
import program
import pytest
import stand_ins
from hypothesis import given, settings
from hypothesis import strategies as some

from app import create_app
from modules import configuration, option
from modules.configuration import Configuration, ConfigurationError, WebOptions
from modules.engines.registry import Engines
from modules.web.access.guards import frames
from modules.web.access.hosts import is_open_to_all
from modules.web.access.passwords import is_same

PASSWORD = 'schön & 安全: ja'
FRIEND = 'https://friend.example'


def serve(home, **web):
    """The server, with an engine that is quick."""
    options = Configuration(web = WebOptions(port = 0, **web))
    engines = Engines(options, stand_ins.table(svd = 'Unavailable', camera = 'Instant'))
    return program.served(create_app(options, home, engines = engines), options.web)


@pytest.fixture(scope = 'module')
def locked(tmp_path_factory):
    with serve(
            tmp_path_factory.mktemp('locked'), password = PASSWORD,
            allowed_origins = (FRIEND, )) as port:
        program.ready(port)
        yield port


@pytest.fixture(scope = 'module')
def plain(tmp_path_factory):
    with serve(tmp_path_factory.mktemp('plain')) as port:
        program.ready(port)
        yield port


def basic(password, user = 'anybody', encoding = 'utf-8'):
    credentials = f'{user}:{password}'.encode(encoding)
    return {'Authorization': 'Basic ' + base64.b64encode(credentials).decode()}


def raw(port, head):
    """An answer's first line, to a request written by hand."""
    with socket.create_connection(('127.0.0.1', port), timeout = 10) as client:
        client.sendall(head + b'\r\n\r\n')
        return client.makefile('rb').readline()


@pytest.mark.parametrize(('method', 'path'), [('GET', '/'), ('GET', '/static/js/main.js'),
                                              ('POST', '/generate'), ('POST', '/jobs'),
                                              ('GET', '/jobs/' + 'a' * 32), ('GET', '/metrics'),
                                              ('GET', '/nothing'), ('DELETE', '/'),
                                              ('OPTIONS', '/jobs')])
def test_everything_asks_for_the_password(locked, method, path):
    answer = program.call(locked, method, path)
    assert (answer.status, answer.json['code']) == (401, 'password_needed')
    assert answer.headers['WWW-Authenticate'] == 'Basic realm="turn-live-photos", charset="UTF-8"'


@pytest.mark.parametrize(('language', 'words'), [('en', 'in a new window'), ('zh', '在新窗口中打开')])
def test_a_frame_in_which_nobody_is_asked_says_where_to_go(locked, language, words):
    headers = {'Sec-Fetch-Dest': 'iframe', 'Accept-Language': language}
    answer = program.call(locked, 'GET', '/', headers = headers)
    assert (answer.status, answer.headers['Content-Type']) == (401, 'text/html; charset=utf-8')
    assert answer.headers['WWW-Authenticate'].startswith('Basic ')
    assert "default-src 'none'" in answer.headers['Content-Security-Policy']
    page = answer.body.decode()
    assert words in page and '<a href="/" target="_blank" rel="noopener">' in page


@pytest.mark.parametrize('purpose', ['document', 'empty', 'image', 'x'])
def test_everybody_else_is_told_in_json(locked, purpose):
    answer = program.call(locked, 'GET', '/', headers = {'Sec-Fetch-Dest': purpose})
    assert (answer.status, answer.json['code']) == (401, 'password_needed')


def test_health_never_does(locked):
    assert program.call(locked, 'GET', '/health').status == 200
    assert program.call(locked, 'GET', '/health', headers = basic('wrong')).status == 200


@pytest.mark.parametrize('user', ['', 'anybody', '用户'])
def test_the_password_lets_in_under_any_name(locked, user):
    assert program.call(locked, 'GET', '/', headers = basic(PASSWORD, user)).status == 200
    assert program.generate(locked, browser.photo(), headers = basic(PASSWORD, user)).status == 200


@pytest.mark.parametrize('header', [
    'Basic', 'Basic ', 'Basic !!!', 'Basic eA==', 'Bearer x', 'basic 8J8=', 'Basic ' + 'A' * 8000,
    'Basic eDp4, Basic eDp4', 'Digest username="x"', '\x80\xff', 'Basic ' + '=' * 99
])
def test_broken_credentials_are_none(locked, header):
    answer = program.call(locked, 'GET', '/', headers = {'Authorization': header})
    assert (answer.status, answer.json['code']) == (401, 'password_needed')


def test_older_clients_write_latin_1(tmp_path):
    with serve(tmp_path, password = 'größe') as port:
        for encoding in ('utf-8', 'latin-1'):
            assert program.call(
                port, 'GET', '/', headers = basic('größe', '', encoding)).status == 200
        assert program.call(port, 'GET', '/', headers = basic('gr??e')).status == 401


@given(some.text(min_size = 1), some.binary())
@settings(max_examples = 200)
def test_only_the_password_is_the_password(password, given):
    password = password.encode(errors = 'ignore').decode() or 'x'
    assert is_same(password.encode(), password)
    assert is_same(given, password) == (
        given in (password.encode(), password.encode('latin-1', 'ignore')
                  if password.isascii() or max(password) < 'Ā' else None))


def test_the_password_given_twice_is_none(locked):
    header = 'Authorization: ' + basic(PASSWORD)['Authorization']
    head = f'GET / HTTP/1.1\r\nHost: localhost\r\n{header}\r\n{header}'
    assert b' 401 ' in raw(locked, head.encode())


def test_a_huge_header_is_refused_in_order(locked):
    # waitress reads no longer head than this
    answer = raw(locked,
                 b'GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic ' + b'A' * 300_000)
    assert b' 431 ' in answer or b' 400 ' in answer


def test_guessing_ends(tmp_path, caplog):
    with serve(tmp_path, password = 'secret word') as port:
        program.early_in_a_minute()
        codes = [
            program.call(port, 'GET', '/', headers = basic(f'guess {number}')).json['code']
            for number in range(22)
        ]
        assert codes == ['password_needed'] * 20 + ['wrong_passwords'] * 2
        late = program.call(port, 'GET', '/', headers = basic('secret word'))
        assert (late.status, late.headers['Retry-After']) == (429, '60')
        # who says nothing has not guessed
        assert program.call(port, 'GET', '/').status == 401
        assert program.call(port, 'GET', '/health').status == 200
    assert 'guess 1' not in caplog.text
    assert 'secret word' not in caplog.text


@pytest.mark.parametrize(('allowed', 'host', 'status'), [
    ('*.example.com', 'a.example.com', 200),
    ('*.example.com', 'a.b.example.com:8080', 200),
    ('*.example.com', 'example.com', 403),
    ('*.example.com', 'badexample.com', 403),
    ('Photos.Example.', 'photos.example', 200),
    ('photos.example', 'photos.example.:80', 200),
    ('photos.example', 'www.photos.example', 403),
    ('bücher.example', 'xn--bcher-kva.example', 200),
])
def test_names_the_owner_allows(tmp_path, allowed, host, status):
    with serve(tmp_path, allowed_hosts = (option.parse_host_name(allowed), )) as port:
        assert program.call(port, 'GET', '/health', headers = {'Host': host}).status == status


@pytest.mark.parametrize('host', [
    'localhost, evil.example', 'evil.example, localhost', 'localhost@evil.example', '[::1', 'a b',
    'evil.example#localhost', '%6cocalhost'
])
def test_hosts_that_are_none_are_not_served(plain, host):
    assert program.call(plain, 'GET', '/health', headers = {'Host': host}).status == 403


def test_two_hosts_are_none(plain):
    head = b'GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example'
    assert b' 403 ' in raw(plain, head) or b' 400 ' in raw(plain, head)


@pytest.mark.parametrize('path', [b'/?\x80', b'/?lang=\x80', b'//?\x80', b'/nothing?\x80'])
@pytest.mark.parametrize('host', [b'localhost', b'evil.example', b''])
def test_an_address_in_no_alphabet_is_answered_in_order(plain, path, host):
    first = raw(plain, b'GET ' + path + b' HTTP/1.1\r\nHost: ' + host)
    assert first.split()[1] in (b'200', b'400', b'403', b'404', b'308')


@pytest.mark.parametrize('broken', [b'Content-Length: -5', b'Transfer-Encoding: gzip', b'nonsense'])
def test_a_broken_head_with_cookies_in_no_alphabet_is_answered_in_order(plain, broken):
    head = b'GET / HTTP/1.1\r\nHost: localhost\r\nCookie: lang=\x9f\r\n'
    assert raw(plain, head + broken).split()[1] in (b'200', b'400', b'501')


@pytest.mark.parametrize(('key', 'value'), [('AllowedHosts', 'https://photos.example'),
                                            ('AllowedHosts', 'photos.example:443'),
                                            ('AllowedHosts', 'photos.example/'),
                                            ('AllowedHosts', '.example.com'),
                                            ('AllowedHosts', 'a.*.example.com'),
                                            ('AllowedHosts', 'good.example a;b'),
                                            ('AllowedOrigins', 'photos.example'),
                                            ('AllowedOrigins', '*'), ('AllowedOrigins', 'null'),
                                            ('AllowedOrigins', 'https://*.example.com'),
                                            ('AllowedOrigins', 'https://a.example/path'),
                                            ('AllowedOrigins', "https://a.example;script-src"),
                                            ('AllowedOrigins', 'ftp://a.example'),
                                            ('TrustedProxies', '*'),
                                            ('TrustedProxies', 'proxy.example'),
                                            ('TrustedProxies', '10.0.0.0/99'),
                                            ('RequestsPerMinute', '-1')])
def test_what_could_never_match_is_a_problem(tmp_path, key, value):
    ini = tmp_path / 'a.ini'
    ini.write_text(f'[WebOptions]\n{key} = {value}\n')
    with pytest.raises(ConfigurationError) as caught:
        configuration.read(ini)
    problem, = caught.value.problems
    for language in ('en', 'zh'):
        assert key in problem.in_(language)


@pytest.mark.parametrize(('written', 'meant'), [
    ('https://A.example/', 'https://a.example'),
    ('https://a.example:443', 'https://a.example'),
    ('http://a.example:8080', 'http://a.example:8080'),
    ('http://[::1]:3000', 'http://[::1]:3000'),
    ('http://127.0.0.1:80', 'http://127.0.0.1'),
])
def test_origins_are_taken_as_browsers_name_them(written, meant):
    assert option.parse_origin(written) == meant


@pytest.mark.parametrize('path', ['/', '/health', '/nothing', '/static/js/main.js'])
def test_every_answer_keeps_others_off(plain, path):
    headers = program.call(plain, 'GET', path).headers
    assert headers['X-Content-Type-Options'] == 'nosniff'
    assert headers['Referrer-Policy'] == 'no-referrer'
    assert 'microphone=()' in headers['Permissions-Policy']
    assert headers['Cross-Origin-Resource-Policy'] == 'same-origin'
    assert 'Access-Control-Allow-Origin' not in headers


def test_the_page_runs_nothing_but_its_own(plain):
    headers = program.call(plain, 'GET', '/').headers
    policy = dict(part.split(' ', 1) for part in headers['Content-Security-Policy'].split('; '))
    assert policy['default-src'] == policy['base-uri'] == "'none'"
    assert policy['script-src'] == policy['style-src'] == policy['form-action'] == "'self'"
    assert policy['frame-ancestors'] == "'self' https://huggingface.co https://*.hf.space"


@pytest.mark.parametrize(('hosts', 'count'), [((), 0), (('photos.example', ), 0),
                                              (('a.example', '*.prod.colab.dev'), 2)])
def test_colab_frames_the_page_only_where_it_shows_it(hosts, count):
    sources = frames(WebOptions(allowed_hosts = hosts))
    assert len([source for source in sources if 'google' in source]) == count


def test_a_bare_picture_has_no_policy(plain):
    assert 'Content-Security-Policy' not in program.generate(plain, browser.photo()).headers


def test_a_listed_origin_may_ask_and_see(locked):
    made = program.generate(
        locked,
        browser.photo(),
        headers = {
            **basic(PASSWORD), 'Origin': FRIEND,
            'Sec-Fetch-Site': 'cross-site'
        })
    assert made.status == 200
    assert made.headers['Access-Control-Allow-Origin'] == FRIEND
    assert 'Access-Control-Allow-Credentials' not in made.headers
    seen = made.headers['Access-Control-Expose-Headers']
    for name in ('X-Job-Id', 'X-Seed', 'X-Engine', 'X-Note', 'Retry-After', 'Location'):
        assert name in seen
    assert 'Origin' in made.headers['Vary']
    assert made.headers['Cross-Origin-Resource-Policy'] == 'cross-origin'
    page = program.call(locked, 'GET', '/', headers = basic(PASSWORD))
    assert FRIEND in page.headers['Content-Security-Policy'].partition('frame-ancestors')[2]


def test_a_listed_origin_hears_why_not(locked):
    answer = program.call(locked, 'GET', '/', headers = {'Origin': FRIEND})
    assert (answer.status, answer.headers['Access-Control-Allow-Origin']) == (401, FRIEND)


def preflight(port, origin):
    return program.call(
        port,
        'OPTIONS',
        '/jobs',
        headers = {
            'Origin': origin,
            'Access-Control-Request-Method': 'POST',
            'Access-Control-Request-Headers': 'authorization'
        })


def test_a_listed_origins_browser_may_ask_first_without_the_password(locked):
    answer = preflight(locked, FRIEND)
    assert (answer.status, answer.body) == (204, b'')
    assert answer.headers['Access-Control-Allow-Origin'] == FRIEND
    assert answer.headers['Access-Control-Allow-Methods'] == 'GET, POST, DELETE'
    assert 'Authorization' in answer.headers['Access-Control-Allow-Headers']


@pytest.mark.parametrize('origin', [
    'https://evil.example', 'http://friend.example', 'https://friend.example:8443', 'null',
    'https://friend.example.evil.example', 'https://friend.example, https://evil.example'
])
def test_other_origins_may_neither_ask_nor_see(locked, origin):
    assert preflight(locked, origin).status == 401
    for path in ('/', '/jobs'):
        answer = program.call(
            locked,
            'POST' if path == '/jobs' else 'GET',
            path,
            headers = {
                **basic(PASSWORD), 'Origin': origin
            })
        assert 'Access-Control-Allow-Origin' not in answer.headers
        assert 'Origin' in answer.headers['Vary']
        assert answer.status == (403 if path == '/jobs' else 200)


@pytest.mark.parametrize(('host', 'password', 'warned'), [('127.0.0.1', '', False),
                                                          ('localhost', '', False),
                                                          ('::1', '', False),
                                                          ('127.1.2.3', '', False),
                                                          ('0.0.0.0', '', True), ('::', '', True),
                                                          ('192.168.1.5', '', True),
                                                          ('photos.example', '', True),
                                                          ('0.0.0.0', 'x', False)])
def test_listening_beyond_this_machine_without_a_password_is_open(host, password, warned):
    assert is_open_to_all(WebOptions(host = host, password = password)) == warned


@pytest.mark.parametrize(('language', 'words'), [('en_GB', 'no Password is set'),
                                                 ('zh_CN', '没有设置 Password')])
def test_the_program_warns_that_it_is_open(tmp_path, language, words):
    environment = {'LANG': f'{language}.UTF-8', 'LC_ALL': f'{language}.UTF-8', 'LANGUAGE': language}
    with program.started(tmp_path, '[WebOptions]\nHost = 0.0.0.0\n', ['--engine', 'camera'],
                         environment) as (_, port):
        program.ready(port)
        assert words in (tmp_path / 'log').read_text(encoding = 'utf-8')


def test_the_program_takes_its_password_from_the_ini(tmp_path):
    ini = '[WebOptions]\nHost = 0.0.0.0\nPassword = pass = word # 1 密\n'
    with program.started(tmp_path, ini, ['--engine', 'camera']) as (_, port):
        assert program.call(port, 'GET', '/').status == 401
        assert program.call(port, 'GET', '/', headers = basic('pass = word # 1 密')).status == 200
        log = (tmp_path / 'log').read_text(encoding = 'utf-8')
    assert 'Warning' not in log
    assert 'pass = word' not in log
