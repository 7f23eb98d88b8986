#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The tunnel: the whole program, with a stand-in for the ngrok package, with the real package and a wrong token, and with
the real flask-ngrok2 and a stand-in for the agent.

Libraries: ngrok, flask-ngrok2, Pillow, pytest.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import browser
import program
import pytest
from stand_in_agent import URL as AGENT_URL
from stand_in_ngrok.ngrok import GOOD_TOKEN, HOST, URL, VISITOR

from modules.web import tunnel

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = 'open sesame'
KEY = {'Authorization': 'Basic ' + base64.b64encode(f'me:{PASSWORD}'.encode()).decode()}
INI = f'[WebOptions]\nPassword = {PASSWORD}\n{{more}}[ModelOptions]\nEngine = camera\n' \
      'ImagePromptWidth = 128\nImagePromptHeight = 64\nSeconds = 1\nOutputFPS = 4\n'

#: makes a package invisible
HIDE = 'import sys\nsys.modules.update(dict.fromkeys({names}))\n'


class Place:
    """A folder for a program with a tunnel, and what the tunnel's stand-in wrote there."""

    def __init__(self, folder):
        self.folder = folder

    def variables(self, path = ROOT / 'tests' / 'support' / 'stand_in_ngrok', token = GOOD_TOKEN):
        return {
            'PYTHONPATH': str(path),
            'STAND_IN_NGROK': str(self.folder / 'ngrok'),
            'NGROK_AUTHTOKEN': token
        }

    def hide(self, *names):
        """A folder that, on the path, makes packages invisible."""
        (self.folder / 'hiding').mkdir()
        (self.folder / 'hiding' / 'sitecustomize.py').write_text(HIDE.format(names = names))
        return self.folder / 'hiding'

    @property
    def notes(self):
        path = self.folder / 'ngrok'
        return path.read_text().splitlines() if path.exists() else []

    def noted(self, first):
        """What stands behind a word."""
        return [note.split(' ', 1)[1] for note in self.notes if note.split()[0] == first]

    @property
    def log(self):
        return (self.folder / 'log').read_text(encoding = 'utf-8')

    def run(self, *arguments, ini = INI, **variables):
        """A start that is expected to end by itself: exit code, all that was said, and the seconds it took."""
        (self.folder / 'test.ini').write_text(ini.format(more = ''))
        before = time.monotonic()
        command = [sys.executable, ROOT / '__main__.py', '--config', 'test.ini', '--port', '0']
        done = subprocess.run([*command, '--output-temp', *arguments],
                              cwd = self.folder,
                              env = {
                                  **os.environ, 'LC_ALL': 'C.UTF-8',
                                  **self.variables(),
                                  **variables
                              },
                              stdin = subprocess.DEVNULL,
                              capture_output = True,
                              encoding = 'utf-8',
                              timeout = 100,
                              check = False)
        return done.returncode, done.stdout + done.stderr, time.monotonic() - before


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@contextmanager
def opened(folder, *arguments, more = '', ini = INI):
    """A program with a tunnel: the place, its process, its own port, the edge's port."""
    place = Place(folder)
    with program.started(
            folder, ini.format(more = more), ['--ngrok', *arguments],
            environment = place.variables()) as (process, port):
        program.ready(port)
        yield place, process, port, int(place.noted('edge')[0])


@pytest.fixture(scope = 'module')
def open_one(tmp_path_factory):
    with opened(tmp_path_factory.mktemp('tunnel')) as found:
        yield found


def visit(edge, path = '/', method = 'GET', body = None, headers = (), key = KEY, host = HOST):
    """As somebody on the internet."""
    return program.call(edge, method, path, body, {'Host': host, **key, **dict(headers)})


def test_the_public_address_is_told_and_leads_to_the_page(open_one):
    place, _process, _port, edge = open_one
    assert f'The public address is {URL}\n' in place.log
    assert 'turn-live-photos' in visit(edge).body.decode()
    assert visit(edge, '/health', key = {}).json['status'] == 'READY'


def test_it_leads_to_a_door_of_this_machine_alone_that_is_not_the_pages_own(open_one):
    place, _process, port, _edge = open_one
    door, = place.noted('forward')
    assert door.startswith('127.0.0.1:') and door != f'127.0.0.1:{port}'


def test_a_photo_comes_back_moving(open_one):
    body, headers = program.form([], [('file', 'a.jpg', browser.photo())])
    own = {**headers, 'Origin': URL, 'Sec-Fetch-Site': 'same-origin'}
    answer = visit(open_one[3], '/generate', 'POST', body, own)
    assert (answer.status, answer.body[:4]) == (200, b'GIF8')


def test_the_password_is_asked_for(open_one):
    assert visit(open_one[3], key = {}).status == 401


def test_other_sites_may_not_send_forms_through_it(open_one):
    body, headers = program.form([], [('file', 'a.jpg', browser.photo())])
    for origin in ('https://evil.example', 'http://localhost'):
        answer = visit(open_one[3], '/jobs', 'POST', body, {**headers, 'Origin': origin})
        assert (answer.status, answer.json['code']) == (403, 'cross_site')


def test_its_name_is_served_through_it_alone_and_it_serves_no_other(open_one):
    _place, _process, port, edge = open_one
    assert visit(edge, '/health').status == 200
    assert visit(port, '/health').json['code'] == 'host_not_served'
    for host in ('evil.example', f'evil.{HOST}', ''):
        assert visit(edge, '/health', host = host).json['code'] == 'host_not_served'


#: what a visitor may say to be taken for the person at this machine
CLAIMS = [
    {},
    {
        'X-Forwarded-For': '127.0.0.1'
    },
    {
        'X-Forwarded-For': '::1',
        'X-Forwarded-Host': 'localhost'
    },
    {
        'X-Forwarded-Host': 'localhost',
        'X-Forwarded-Prefix': '/evil',
        'X-Forwarded-Proto': 'http'
    },
    {
        'X-Real-IP': '127.0.0.1',
        'Forwarded': 'for=127.0.0.1'
    },
    {
        VISITOR: '127.0.0.1'
    },
]


@pytest.fixture(scope = 'module')
def public(tmp_path_factory):
    """A program without a password, where only a person at this machine may fetch the model."""
    with opened(
            tmp_path_factory.mktemp('tunnel'), '--public', ini = INI.replace(PASSWORD,
                                                                             '')) as found:
        yield found


@pytest.fixture(scope = 'module')
def trusting(tmp_path_factory):
    """The same behind a proxy of this machine, which it believes."""
    with opened(
            tmp_path_factory.mktemp('tunnel'),
            '--public',
            more = 'TrustedProxies = 127.0.0.1\n',
            ini = INI.replace(PASSWORD, '')) as found:
        yield found


@pytest.mark.parametrize('claim', CLAIMS)
@pytest.mark.parametrize('kind', ['public', 'trusting'])
def test_nobody_who_comes_through_it_is_at_this_machine(request, kind, claim):
    _place, _process, port, edge = request.getfixturevalue(kind)
    answer = visit(edge, '/model/download', 'POST', b'', claim)
    assert (answer.status, answer.json['code']) == (403, 'not_from_here')
    location = visit(edge, '/jobs', 'POST', *photo_form(claim)).headers['Location']
    assert location.startswith('/jobs/')
    assert program.call(port, 'GET', '/health').json['download']['state'] == 'idle'


def photo_form(more):
    body, headers = program.form([], [('file', 'a.jpg', browser.photo(size = (64, 48)))])
    return body, {**headers, **more}


def test_not_even_when_it_says_nothing_of_them(public):
    door = int(public[0].noted('forward')[0].rpartition(':')[2])
    answer = program.call(door, 'POST', '/model/download', b'', {'Host': HOST, **KEY})
    assert (answer.status, answer.json['code']) == (403, 'not_from_here')


@pytest.mark.parametrize('more', ['', 'TrustedProxies = 127.0.0.1\n'])
def test_each_visitor_is_one_client_whatever_they_claim(tmp_path, more):
    with opened(
            tmp_path, more = f'RequestsPerMinute = 4\n{more}') as (_place, _process, port, edge):

        def ask(visitor, count):
            return [
                visit(
                    edge,
                    '/nothing',
                    headers = {
                        VISITOR: visitor,
                        'X-Forwarded-For': f'198.51.100.{number}'
                    }).status for number in range(count)
            ]

        program.early_in_a_minute()
        assert ask('203.0.113.5', 6) == [404] * 4 + [429] * 2
        assert ask('203.0.113.6', 1) == [404]
        assert ask('2001:db8::1', 3) + ask('2001:db8::2', 3) == [404] * 4 + [429] * 2
        # one that looks like this machine is counted like others
        assert ask('127.0.0.1', 6) == [404] * 4 + [429] * 2
        assert [program.call(port, 'GET', '/nothing', headers = KEY).status
                for _ in range(9)] == [404] * 9


def test_progress_is_seen_through_it_as_it_is_made(open_one):
    edge = open_one[3]
    job = visit(edge, '/jobs', 'POST', *photo_form({})).json
    news = visit(edge, f'/jobs/{job["id"]}/events').body.decode()
    assert '"state": "done"' in news


@pytest.mark.parametrize('signals', [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_it_is_closed_with_the_program(tmp_path, signals):
    with opened(tmp_path) as (place, process, _port, _edge):
        for number in signals:
            process.send_signal(number)
            time.sleep(0.05)
        assert process.wait(20) == 0
        assert place.noted('disconnect') == [URL]
        assert 'Traceback' not in place.log


def test_it_is_closed_when_serving_fails(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / 'tests' / 'support' / 'stand_in_ngrok')
    monkeypatch.setenv('STAND_IN_NGROK', str(tmp_path / 'ngrok'))
    monkeypatch.delitem(sys.modules, 'ngrok', raising = False)
    with pytest.raises(ZeroDivisionError), tunnel.opened(9, GOOD_TOKEN):
        _fails = 1 / 0
    assert Place(tmp_path).noted('disconnect') == [URL]


def test_the_token_is_in_no_process_that_opens_strangers_pictures(open_one):
    place, process, _port, edge = open_one
    # one of them has been started
    assert visit(edge, '/jobs', 'POST', *photo_form({})).status == 202
    children = [
        int(path.name) for path in Path('/proc').iterdir()
        if path.name.isdecimal() and parent(path) == process.pid
    ]
    assert children
    for child in children:
        assert GOOD_TOKEN.encode() not in Path(f'/proc/{child}/environ').read_bytes()
        assert not is_in_memory(child, GOOD_TOKEN.encode())
    assert is_in_memory(process.pid, GOOD_TOKEN.encode())
    assert GOOD_TOKEN not in place.log


def parent(path):
    try:
        return int((path / 'stat').read_text().rpartition(')')[2].split()[1])
    except OSError:
        return 0


def is_in_memory(pid, words):
    """Whether a process holds some bytes in memory of its own."""
    with open(f'/proc/{pid}/mem', 'rb') as memory:  # noqa: PTH123
        for line in Path(f'/proc/{pid}/maps').read_text().splitlines():
            span, rights = line.split()[:2]
            start, end = (int(each, 16) for each in span.split('-'))
            if rights.startswith('rw'):
                memory.seek(start)
                try:
                    if words in memory.read(end - start):
                        return True
                except OSError:
                    continue
    return False


def test_a_token_on_the_command_line_reaches_no_child_either(tmp_path):
    place = Place(tmp_path)
    arguments = ['--ngrok', '--ngrok-authtoken', GOOD_TOKEN, '--logging-level', 'debug']
    with program.started(
            tmp_path, INI.format(more = ''), arguments,
            environment = place.variables(token = 'wrong')) as (process, port):
        program.ready(port)
        assert program.generate(port, browser.photo(), headers = KEY).status == 200
        for path in Path('/proc').iterdir():
            if path.name.isdecimal() and parent(path) == process.pid:
                assert not is_in_memory(path.name, GOOD_TOKEN.encode())
    assert GOOD_TOKEN not in place.log


# Doors that stay shut


def test_there_is_none_without_a_password(place):
    status, said, _seconds = place.run('--ngrok', ini = INI.replace(PASSWORD, ''))
    assert status == 2 and 'no Password is set' in said and '--public' in said
    assert place.notes == []


def test_there_is_one_without_a_password_when_that_is_meant(tmp_path):
    with opened(tmp_path, '--public', ini = INI.replace(PASSWORD, '')) as (place, _, _, edge):
        assert visit(edge, key = {}).status == 200
        assert 'Warning: whoever knows this address' in place.log


def test_there_is_none_unless_asked_for(tmp_path):
    place = Place(tmp_path)
    with program.started(
            tmp_path, INI.format(more = ''), ['--public'], environment = place.variables()):
        assert place.notes == []


def test_a_wrong_token_is_one_sentence_without_the_token(place):
    status, said, seconds = place.run(
        '--ngrok', '--logging-level', 'debug', NGROK_AUTHTOKEN = 'wrong-secret')
    assert status == 1 and seconds < 30
    last = said.splitlines()[-1]
    assert 'ERR_NGROK_105' in last and 'Check the token and the network' in last
    assert 'wrong-secret' not in said and 'Traceback' not in said


def test_the_real_package_with_a_wrong_token_is_one_sentence_too(place):
    status, said, seconds = place.run(
        '--ngrok', '--logging-level=debug', NGROK_AUTHTOKEN = '2wrongSecret_9', PYTHONPATH = '')
    assert status == 1 and seconds < 60
    assert said.splitlines()[-1].startswith(
        ('ngrok could not open the tunnel: ', 'ngrok has not opened the tunnel'))
    assert '2wrongSecret_9' not in said and 'Traceback' not in said


def test_the_real_package_has_what_is_called():
    code = 'import ngrok; print(' \
           'callable(ngrok.forward), callable(ngrok.disconnect), ngrok.Listener.url)'
    done = subprocess.run([sys.executable, '-c', code],
                          cwd = '/',
                          capture_output = True,
                          check = True)
    assert done.stdout.startswith(b'True True <method')


def test_no_token_is_one_sentence(place):
    status, said, _seconds = place.run('--ngrok', NGROK_AUTHTOKEN = '')
    assert status == 1 and 'NGROK_AUTHTOKEN' in said.splitlines()[-1]
    assert place.notes == []


def test_silence_ends(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / 'tests' / 'support' / 'stand_in_ngrok')
    monkeypatch.setenv('STAND_IN_NGROK', str(tmp_path / 'ngrok'))
    monkeypatch.delitem(sys.modules, 'ngrok', raising = False)
    monkeypatch.setattr(tunnel, 'MAX_OPENING_SECONDS', 0.2)
    with pytest.raises(tunnel.TunnelError) as refused, tunnel.opened(9, 'silence'):
        pass
    assert 'within 0.2 seconds' in refused.value.text.in_('en')


def test_silence_can_be_ended_by_hand(place):
    with program.started(
            place.folder,
            INI.format(more = ''), ['--ngrok'],
            environment = place.variables(token = 'silence'),
            wait = False) as (process, _port):
        patience = time.monotonic() + 30
        while not place.notes and time.monotonic() < patience:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert 'Traceback' not in place.log


def test_what_is_missing_is_named(place):
    path = place.hide('ngrok', 'flask_ngrok2')
    status, said, _seconds = place.run('--ngrok', PYTHONPATH = str(path))
    assert status == 1 and f'{sys.executable} -m pip install ngrok' in said


# flask-ngrok2


def agent(folder):
    """A PATH with an agent."""
    (folder / 'bin').mkdir()
    script = folder / 'bin' / 'ngrok'
    script.write_text(
        f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/support/stand_in_agent.py "$@"\n')
    script.chmod(0o755)
    return f'{folder / "bin"}{os.pathsep}{os.environ["PATH"]}'


def test_flask_ngrok2_serves_where_the_official_package_is_not_there(place):
    variables = {**place.variables(place.hide('ngrok'), 'the-token'), 'PATH': agent(place.folder)}
    with program.started(
            place.folder, INI.format(more = ''), ['--ngrok'],
            environment = variables) as (process, port):
        said = [json.loads(note) for note in place.notes]
        assert said[0]['token'] == 'the-token'
        assert said[0]['arguments'][0] == 'http' and len(said) == 1
        door = int(said[0]['arguments'][1])
        assert door != port
        assert f'The public address is {AGENT_URL}\n' in place.log
        served = program.call(door, 'GET', '/', headers = {'Host': 'agent.ngrok-free.app', **KEY})
        assert served.status == 200
        process.terminate()
        assert process.wait(20) == 0
    # flask-ngrok2 tells of an address that is not the public one, and the agent draws over the terminal
    assert 'Running on' not in place.log and 'TERMINAL' not in place.log
    assert 'the-token' not in place.log
    patience = time.monotonic() + 10
    while 'ended' not in place.notes[-1] and time.monotonic() < patience:
        time.sleep(0.05)
    assert [json.loads(note) for note in place.notes[1:]] == [{
        'deleted': '/api/tunnels/command_line'
    }, {
        'ended': True
    }]


@pytest.mark.parametrize('there', [('ngrok', ), ('which', )])
def test_flask_ngrok2_never_fetches_an_agent(place, there):
    bin_ = place.folder / 'only'
    bin_.mkdir()
    for name in there:
        (bin_ / name).write_text(f'#!/bin/sh\necho {name} >> "$STAND_IN_NGROK"\nexit 1\n')
        (bin_ / name).chmod(0o755)
    status, said, _seconds = place.run(
        '--ngrok', PYTHONPATH = str(place.hide('ngrok')), PATH = str(bin_))
    assert status == 1 and 'pip install ngrok' in said
    assert place.notes == []


def test_the_tokens_place_is_left_empty(monkeypatch):
    monkeypatch.setenv('NGROK_AUTHTOKEN', 'a')
    assert tunnel.take_token('b') == 'b'
    assert 'NGROK_AUTHTOKEN' not in os.environ
    monkeypatch.setenv('NGROK_AUTHTOKEN', 'a')
    assert tunnel.take_token('') == 'a'
    assert tunnel.take_token('') == ''
