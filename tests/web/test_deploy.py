#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
docs/deploy.md: its files are taken out of the page and tried. nginx runs with them in front of the real server.

Libraries: Pillow, pytest.
"""

import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import browser
import program
import pytest
import stand_ins

from app import create_app
from modules import configuration
from modules.engines.registry import Engines

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / 'docs' / 'deploy.md').read_text(encoding = 'utf-8')
FILES = dict(re.findall(r'^```\w+\n# (/etc/\S+)\n(.*?)^```$', PAGE, re.M | re.S))
INI, UNIT, SITE, SNIPPET = (
    FILES[f'/etc/{name}']
    for name in ('turn-live-photos.ini', 'systemd/system/turn-live-photos.service',
                 'nginx/conf.d/turn-live-photos.conf', 'nginx/snippets/turn-live-photos.conf'))
HOST = 'photos.example'
KEY = {'Authorization': 'Basic ' + base64.b64encode(b':a long password').decode()}


def needs(*commands):
    """Left out where a tool is not installed."""
    there = all(shutil.which(command) for command in commands)
    return pytest.mark.skipif(not there, reason = f'needs {" ".join(commands)}')


def options(home):
    """The INI of the page, on a free port."""
    path = home / 'test.ini'
    path.write_text(INI, encoding = 'utf-8')
    return configuration.read(path, {('WebOptions', 'Port'): '0'})


def test_every_file_of_the_page_is_found():
    assert len(FILES) == PAGE.count('# /etc/') == 4


# The service


@needs('systemd-analyze')
def test_the_unit_pleases_systemd(tmp_path):
    # a user and a program that are there; everything else as it stands on the page
    unit = UNIT.replace('User = turn-live-photos', 'User = daemon')
    unit = unit.replace('/opt/turn-live-photos/START', str(shutil.copy(ROOT / 'START', tmp_path)))
    path = tmp_path / 'turn-live-photos.service'
    path.write_text(unit, encoding = 'utf-8')
    done = subprocess.run(['systemd-analyze', 'verify', path],
                          capture_output = True,
                          text = True,
                          check = False)
    assert (done.returncode, [line for line in done.stderr.splitlines()
                              if path.name in line]) == (0, [])


def test_the_unit_lets_the_program_write_where_the_ini_says(tmp_path):
    store = options(tmp_path).store
    state = re.search(r'^StateDirectory = (\S+)$', UNIT, re.M)[1]
    for home in (store.venv_home, store.models_home, store.outputs_home):
        assert home.is_relative_to(f'/var/lib/{state}')
    assert f'--config {next(iter(FILES))}\n' in UNIT


# nginx


@pytest.fixture(scope = 'module')
def behind(tmp_path_factory):
    """The program behind nginx, by the files of the page."""
    with served(tmp_path_factory.mktemp('deploy')) as front:
        yield front


@contextmanager
def served(home, **web):
    """The program behind nginx, by the files of the page but for some options of the web."""
    for command in ('nginx', 'openssl'):
        if not shutil.which(command):
            pytest.skip(f'needs {command}')
    subprocess.run([
        'openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj',
        f'/CN={HOST}', '-addext', f'subjectAltName=DNS:{HOST}', '-keyout', home / 'privkey.pem',
        '-out', home / 'fullchain.pem'
    ],
                   check = True,
                   capture_output = True)
    given = options(home)
    given = replace(given, web = replace(given.web, **web))
    engines = Engines(given, stand_ins.table(camera = 'Slow'))
    app = create_app(given, home / 'outputs', engines = engines)
    trust = ssl.create_default_context(cafile = home / 'fullchain.pem')
    with program.served(app, given.web) as port, nginx(home, port) as (secure, plain):
        yield Front(secure, plain, trust, home)


class Front:
    """
    nginx, as visitors see it.

    :param secure: its port for TLS
    :param plain: its port without
    :param trust: knows the certificate
    :param home: where it runs
    """

    def __init__(self, secure, plain, trust, home):
        self.secure, self.plain, self.trust, self.home = secure, plain, trust, home

    def connect(self, visitor = '127.0.0.1'):
        """A connection of a visitor with an address of this machine's own network."""
        raw = socket.create_connection(('127.0.0.1', self.secure), 30, (visitor, 0))
        return self.trust.wrap_socket(raw, server_hostname = HOST)

    def ask(self, path, method = 'GET', body = None, headers = (), visitor = '127.0.0.1'):
        """One request, as a person with the password."""
        connection = http.client.HTTPConnection(HOST)
        connection.sock = self.connect(visitor)
        try:
            connection.request(method, path, body, {
                'Host': f'{HOST}:{self.secure}',
                **KEY,
                **dict(headers)
            })
            return program.Answer(connection.getresponse())
        finally:
            connection.close()


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as found:
        return found.getsockname()[1]


@contextmanager
def nginx(home, port):
    """
    nginx, by the files of the page: its port for TLS and its port without.

    :param home: where it runs
    :param port: of the program
    """
    secure, plain = free_port(), free_port()
    site = re.sub(r'^ *listen \[::\].*\n', '', SITE, flags = re.M)
    # both ways in at once: at the root and below a path
    site = site.replace('    location / {', f'{SNIPPET}\n    location / {{')
    for old, new in ((' 80;', f' 127.0.0.1:{plain};'), (' 443 ssl', f' 127.0.0.1:{secure} ssl'),
                     ('127.0.0.1:5000', f'127.0.0.1:{port}'), (f'/etc/letsencrypt/live/{HOST}',
                                                               str(home))):
        assert old in site
        site = site.replace(old, new)
    temporary = ' '.join(f'{kind}_temp_path {home}/{kind};'
                         for kind in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
    (home / 'nginx.conf').write_text(
        f'daemon off; pid {home}/nginx.pid; error_log {home}/nginx.log; events {{}}\n'
        f'http {{ access_log off; {temporary}\n{site} }}')
    as_root = ['-g', 'user root;'] if os.getuid() == 0 else []
    command = ['nginx', '-p', home, '-c', home / 'nginx.conf', *as_root]
    with subprocess.Popen(command, stderr = subprocess.DEVNULL) as process:
        try:
            until_open(secure, process)
            yield secure, plain
        finally:
            process.terminate()


def until_open(port, process):
    """Wait until something listens."""
    patience = time.monotonic() + 20
    while time.monotonic() < patience and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(('127.0.0.1', port)).close()
            return
        time.sleep(0.05)
    raise AssertionError('nginx did not start')


def form(photo = None, **more):
    body, headers = program.form([], [('file', 'a.jpg', photo or browser.photo(size = (64, 48)))])
    return {'method': 'POST', 'body': body, 'headers': {**headers, **more}}


def test_the_page_comes_over_tls_alone(behind):
    assert 'turn-live-photos' in behind.ask('/').body.decode()
    answer = program.call(behind.plain, 'GET', '/a?b', headers = {'Host': HOST})
    assert (answer.status, answer.headers['Location']) == (301, f'https://{HOST}/a?b')


def test_a_large_photo_comes_through(behind):
    photo = browser.photo() + bytes(20_000_000)
    answer = behind.ask('/generate', **form(photo))
    assert (answer.status, answer.body[:4]) == (200, b'GIF8')


def test_one_that_is_too_large_is_refused_in_json_while_it_is_still_being_sent(behind):
    with behind.connect() as client:
        head = (f'POST /generate HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 99000000\r\n'
                f'Authorization: {KEY["Authorization"]}\r\nAccept-Language: zh\r\n'
                'Content-Type: multipart/form-data; boundary=x\r\n\r\n')
        client.sendall(head.encode() + bytes(100_000))
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert answer.status == 413
        found = json.loads(answer.read())
    assert found['code'] == 'upload_too_large' and '太大' in found['message']


def test_progress_comes_as_it_is_made(behind):
    job = behind.ask('/jobs', **form()).json['id']
    connection = http.client.HTTPConnection(HOST)
    connection.sock = behind.connect()
    connection.request('GET', f'/jobs/{job}/events', headers = {'Host': HOST, **KEY})
    answer, seen = connection.getresponse(), []
    while line := answer.readline():
        if line.startswith(b'data: '):
            seen.append((time.monotonic(), json.loads(line[6:])['state']))
    connection.close()
    assert seen[-1][1] == 'done' and len(seen) > 5
    # the engine works for two seconds
    assert seen[-1][0] - seen[0][0] > 1


def test_a_part_of_a_clip_can_be_asked_for(behind):
    job = behind.ask('/generate', **form()).headers['X-Job-Id']
    path = f'/jobs/{job}/result?format=mp4'
    whole = behind.ask(path)
    part = behind.ask(path, headers = {'Range': 'bytes=10-19'})
    assert (part.status, part.body) == (206, whole.body[10:20])
    assert part.headers['Content-Range'] == f'bytes 10-19/{len(whole.body)}'


@pytest.fixture(scope = 'module')
def without_password(tmp_path_factory):
    """Where only a person at this machine may fetch the model."""
    with served(tmp_path_factory.mktemp('open'), password = '') as front:
        yield front


@pytest.mark.parametrize('claim', [{}, {
    'X-Forwarded-For': '127.0.0.1'
}, {
    'X-Forwarded-Host': 'localhost',
    'X-Forwarded-Prefix': '/evil',
    'Forwarded': 'for=127.0.0.1'
}])
def test_nobody_is_taken_for_a_person_at_this_machine(behind, without_password, claim):
    answer = without_password.ask('/model/download', 'POST', b'', claim)
    assert (answer.status, answer.json['code']) == (403, 'not_from_here')
    assert '/evil' not in behind.ask('/', headers = claim).body.decode()


def test_each_visitor_is_a_client_of_their_own_whatever_they_claim(behind):
    wrong = {'Authorization': 'Basic eDp4'}

    def guess(visitor, count):
        return [
            behind.ask(
                '/', headers = {
                    **wrong, 'X-Forwarded-For': f'192.0.2.{number}'
                }, visitor = visitor).status for number in range(count)
        ]

    program.early_in_a_minute()
    assert guess('127.0.0.7', 22) == [401] * 20 + [429] * 2
    assert guess('127.0.0.8', 1) == [401]


def test_forms_of_the_page_are_taken_and_those_of_other_sites_are_not(behind):
    own = f'https://{HOST}:{behind.secure}'
    assert behind.ask('/jobs', **form(Origin = own)).status == 202
    for origin in ('https://evil.example', 'null'):
        answer = behind.ask('/jobs', **form(Origin = origin))
        assert (answer.status, answer.json['code']) == (403, 'cross_site')


def test_names_that_are_not_served_are_refused(behind):
    for host in ('evil.example', f'evil.{HOST}'):
        answer = behind.ask('/health', headers = {'Host': host})
        assert (answer.status, answer.json['code']) == (403, 'host_not_served')


def test_whoever_leaves_costs_no_more_work(behind):
    body, headers = program.form([], [('file', 'a.jpg', browser.photo(size = (64, 48)))])
    first = behind.ask('/jobs', **form()).json['id']
    with behind.connect() as client:
        head = ''.join(f'{name}: {value}\r\n' for name, value in {**headers, **KEY}.items())
        client.sendall(f'POST /generate HTTP/1.1\r\nHost: {HOST}\r\n{head}'
                       f'Content-Length: {len(body)}\r\n\r\n'.encode() + body)
        time.sleep(0.5)
        assert behind.ask('/health').json['waiting'] >= 1
    patience = time.monotonic() + 15
    while behind.ask('/health').json['waiting'] and time.monotonic() < patience:
        time.sleep(0.05)
    # it left the line, and did not get its turn
    assert behind.ask(f'/jobs/{first}').json['state'] == 'running'


def test_below_a_path_every_address_has_the_path(behind):
    answer = program.call(behind.plain, 'GET', '/moving', headers = {'Host': HOST})
    assert answer.status == 301
    page = behind.ask('/moving/').body.decode()
    links = re.findall(r'(?:src|href|action)="(/[^/"][^"]*)"', page)
    assert links and all(link.startswith('/moving/') for link in links)
    assert all(behind.ask(link).status == 200 for link in links if '/static/' in link)
    made = behind.ask('/moving/jobs', **form())
    assert made.headers['Location'].startswith('/moving/jobs/')
    assert behind.ask(made.headers['Location']).status == 200
    assert all(result['url'].startswith('/moving/') for result in made.json['results'])
