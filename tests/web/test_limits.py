#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How much one client may ask for, and who that is when proxies stand in between; through real HTTP.

Every test calls from this machine. A stranger is somebody for whom a proxy on this machine asks, and the INI names it.

Libraries: hypothesis, Pillow, pytest.
"""

import contextlib
import ipaddress
import re
import threading
import time

import browser
import program
import pytest
import stand_ins
from hypothesis import given
from hypothesis import strategies as some

from app import create_app
from modules.configuration import Configuration, QueueOptions, WebOptions
from modules.engines.registry import Engines
from modules.option import parse_network
from modules.web.access import quotas
from modules.web.access.proxies import address, sender

HERE = (parse_network('127.0.0.0/8'), )
CHAIN = (*HERE, parse_network('10.0.0.0/8'), parse_network('fd00::/8'))
ANNA, BERT = {'X-Forwarded-For': '203.0.113.1'}, {'X-Forwarded-For': '203.0.113.2'}


def serve(home, engine = 'Instant', queue = None, **web):
    """The server behind a proxy on this machine."""
    options = Configuration(
        web = WebOptions(port = 0, **{
            'trusted_proxies': HERE,
            **web
        }),
        queue = queue or QueueOptions())
    engines = Engines(options, stand_ins.table(svd = 'Unavailable', camera = engine))
    return program.served(create_app(options, home, engines = engines), options.web)


def submit(port, who):
    body, headers = program.form([], [('file', 'a.jpg', browser.photo(size = (64, 48)))])
    return program.call(port, 'POST', '/jobs', body, {**headers, **who})


def until(port, identity, state):
    """Until a job is in a state."""
    patience = time.monotonic() + 20
    while time.monotonic() < patience:
        job = program.call(port, 'GET', f'/jobs/{identity}').json
        if job['state'] == state:
            return
        time.sleep(0.02)
    raise AssertionError(job)


@pytest.fixture
def held(tmp_path):
    """One job runs; two of each client's may wait."""
    stand_ins.Held.go.clear()
    with serve(tmp_path, 'Held', QueueOptions(max_waiting = 6, max_waiting_per_client = 2)) as port:
        program.ready(port)
        until(port, submit(port, {'X-Forwarded-For': '198.51.100.9'}).json['id'], 'running')
        yield port
        stand_ins.Held.go.set()


def refused(answer, code = 'too_many_waiting'):
    assert (answer.status, answer.json['code']) == (429, code)
    assert int(answer.headers['Retry-After']) >= 1


def test_one_client_cannot_take_the_whole_line(held):
    assert [submit(held, ANNA).status for _ in range(2)] == [202, 202]
    refused(submit(held, ANNA))
    refused(program.generate(held, browser.photo(), headers = ANNA))
    assert submit(held, BERT).status == 202


def test_the_whole_line_is_still_limited(held):
    for number in range(6):
        assert submit(held, {'X-Forwarded-For': f'203.0.113.{number}'}).status == 202
    answer = submit(held, {'X-Forwarded-For': '203.0.113.99'})
    assert (answer.status, answer.json['code']) == (503, 'queue_full')


@pytest.mark.parametrize('way', ['cancel', 'delete'])
def test_what_left_the_line_is_not_counted(held, way):
    first, _second = (submit(held, ANNA).json['id'] for _ in range(2))
    for _again in range(3):
        refused(submit(held, ANNA))
        if way == 'cancel':
            assert program.call(held, 'POST', f'/jobs/{first}/cancel').status == 200
        else:
            assert program.call(held, 'DELETE', f'/jobs/{first}').status == 204
        first = submit(held, ANNA).json['id']


def test_what_runs_or_is_done_is_not_counted(held):
    made = [submit(held, ANNA).json['id'] for _ in range(2)]
    refused(submit(held, ANNA))
    stand_ins.Held.go.set()
    for identity in made:
        until(held, identity, 'done')
    assert submit(held, ANNA).status == 202


def test_what_failed_is_not_counted(tmp_path):
    queue = QueueOptions(max_waiting_per_client = 1)
    with serve(tmp_path, 'Failing', queue) as port:
        for _again in range(4):
            until(port, submit(port, ANNA).json['id'], 'failed')


def test_what_was_refused_is_not_counted(held):
    body, headers = program.form([], [('file', 'a.jpg', b'no photo')])
    for _again in range(4):
        assert program.call(held, 'POST', '/jobs', body, {**headers, **ANNA}).status == 415
    assert [submit(held, ANNA).status for _ in range(2)] == [202, 202]


def test_a_restart_forgets_who_waits_and_writes_nobody_down(tmp_path):
    stand_ins.Held.go.clear()
    queue = QueueOptions(max_waiting_per_client = 1)
    with serve(tmp_path, 'Held', queue) as port:
        program.ready(port)
        running = submit(port, BERT).json['id']
        until(port, running, 'running')
        kept = submit(port, ANNA).json['id']
        refused(submit(port, ANNA))
    for path in tmp_path.iterdir():
        assert path.is_dir() or b'203.0.113.' not in path.read_bytes()
    with serve(tmp_path, 'Held', queue) as port:
        until(port, running, 'running')
        assert program.call(port, 'GET', f'/jobs/{kept}').json['position'] == 1
        # nobody's jobs are held against anybody
        assert submit(port, ANNA).status == 202
        refused(submit(port, ANNA))
        stand_ins.Held.go.set()
        until(port, kept, 'done')


def test_the_person_at_this_machine_is_not_limited(tmp_path):
    stand_ins.Held.go.clear()
    queue = QueueOptions(max_waiting = 30, max_waiting_per_client = 1)
    with serve(tmp_path, 'Held', queue, trusted_proxies = (), requests_per_minute = 5) as port:
        program.ready(port)
        assert {submit(port, {}).status for _ in range(20)} == {202}
        stand_ins.Held.go.set()


def test_zero_is_no_limit(tmp_path):
    stand_ins.Held.go.clear()
    queue = QueueOptions(max_waiting_per_client = 0)
    with serve(tmp_path, 'Held', queue, requests_per_minute = 0) as port:
        program.ready(port)
        assert {submit(port, ANNA).status for _ in range(10)} == {202}
        stand_ins.Held.go.set()


def heavy(port, job, who):
    """What is said to all that takes long: a photo for a clip, one to be shown, another format."""
    body, headers = program.form([], [('file', 'a.jpg', browser.photo(size = (64, 48)))])
    headers.update(who)
    return [
        program.call(port, 'POST', '/jobs', body, headers),
        program.call(port, 'POST', '/upright', body, headers),
        program.call(port, 'GET', f'/jobs/{job}/result?format=webp', headers = who)
    ]


@pytest.fixture
def busy(tmp_path):
    """The server, a job that is done, and what counts those who have something done."""
    options = Configuration(web = WebOptions(port = 0, trusted_proxies = HERE))
    engines = Engines(options, stand_ins.table(camera = 'Drifting'))
    app = create_app(options, tmp_path, engines = engines)
    with program.served(app, options.web) as port:
        program.ready(port)
        job = submit(port, BERT).json['id']
        until(port, job, 'done')
        yield port, job, app.extensions['limits']


def test_one_clients_photos_are_read_one_after_the_other_and_only_few_wait(busy):
    port, job, limits = busy
    answers = []
    waiting = [
        threading.Thread(target = lambda: answers.append(submit(port, ANNA)))
        for _number in range(quotas.MAX_HEAVY_REQUESTS_OF_ONE - 1)
    ]
    with limits.heavy_work_slot('203.0.113.1'):
        for thread in waiting:
            thread.start()
        patience = time.monotonic() + 20
        while limits._at_work['203.0.113.1'] < quotas.MAX_HEAVY_REQUESTS_OF_ONE:
            assert time.monotonic() < patience
            time.sleep(0.02)
        for answer in heavy(port, job, ANNA):
            refused(answer, 'too_many_requests')
        assert submit(port, BERT).status == 202
        assert answers == []
    for thread in waiting:
        thread.join(20)
    assert [answer.status for answer in answers] == [202] * len(waiting)


def test_so_many_photos_are_read_at_once_that_pages_are_served_beside(busy):
    port, job, limits = busy
    with contextlib.ExitStack() as others:
        for number in range(quotas.MAX_HEAVY_REQUESTS):
            others.enter_context(limits.heavy_work_slot(f'198.51.100.{number}'))
        for answer in heavy(port, job, BERT):
            assert (answer.status, answer.json['code']) == (503, 'queue_full')
            assert int(answer.headers['Retry-After']) >= 1
        for path in ('/', f'/jobs/{job}/result'):
            assert program.call(port, 'GET', path, headers = BERT).status == 200
    assert [answer.status for answer in heavy(port, job, ANNA)] == [202, 200, 200]
    assert not limits._at_work and not limits._locks


@pytest.fixture(scope = 'module')
def few(tmp_path_factory):
    with serve(tmp_path_factory.mktemp('few'), requests_per_minute = 5) as port:
        program.ready(port)
        yield port


def ask(port, who, count = 1, path = '/nothing'):
    return [
        program.call(port, 'GET', path, headers = {
            'X-Forwarded-For': who
        }).status for _ in range(count)
    ]


def test_more_requests_than_a_minute_allows_are_429(few):
    program.early_in_a_minute()
    assert ask(few, '192.0.2.1', 7) == [404] * 5 + [429] * 2
    answer = program.call(few, 'GET', '/nothing', headers = {'X-Forwarded-For': '192.0.2.1'})
    refused(answer, 'too_many_requests')
    assert 1 <= int(answer.headers['Retry-After']) <= 60
    assert ask(few, '192.0.2.2') == [404]


@pytest.mark.parametrize(
    'path', ['/health', '/static/js/main.js', '/jobs/%s', '/jobs/%s/events', '/jobs/%s/preview'])
def test_following_jobs_never_is(few, path):
    job = submit(few, {}).json['id']
    until(few, job, 'done')
    who = f'192.0.2.{10 + len(path)}'
    assert set(ask(few, who, 30, path.replace('%s', job))) == {200}
    program.early_in_a_minute()
    assert ask(few, who, 6) == [404] * 5 + [429]


@pytest.mark.parametrize('spoofed', [
    '127.0.0.1',
    '192.0.2.77',
    'unknown',
    '',
    'x' * 8000,
    ', ' * 500,
    '::1',
    '"',
    '192.0.2.9:1',
])
def test_what_a_stranger_claims_changes_nothing(tmp_path, spoofed):
    with serve(tmp_path, requests_per_minute = 2) as port:
        program.early_in_a_minute()
        # the proxy appends who it heard from
        statuses = [ask(port, f'{spoofed}{number}, 198.51.100.1')[0] for number in range(3)]
    assert statuses == [404, 404, 429]


@pytest.mark.parametrize('header', ['X-Forwarded-For', 'Forwarded', 'X-Real-IP', 'Via'])
def test_a_proxy_nobody_named_speaks_for_itself(tmp_path, header):
    with serve(
            tmp_path, trusted_proxies = (parse_network('10.0.0.0/8'), ),
            requests_per_minute = 2) as port:
        program.early_in_a_minute()
        statuses = [
            program.call(port, 'GET', '/nothing', headers = {
                header: f'192.0.2.{number}'
            }).status for number in range(3)
        ]
    assert statuses == [404, 404, 429]


def test_neighbours_in_one_ipv6_network_are_one_client(few):
    program.early_in_a_minute()
    statuses = [ask(few, f'2001:db8:1:2::{number}')[0] for number in range(6)]
    assert statuses == [404] * 5 + [429]
    assert ask(few, '2001:db8:1:3::1') == [404]


@pytest.mark.parametrize(('peer', 'hops', 'found'), [
    ('198.51.100.1', '192.0.2.1', '198.51.100.1'),
    ('127.0.0.1', '192.0.2.1', '192.0.2.1'),
    ('127.0.0.1', '6.6.6.6, 192.0.2.1', '192.0.2.1'),
    ('127.0.0.1', '6.6.6.6, 192.0.2.1, 10.1.1.1', '192.0.2.1'),
    ('127.0.0.1', '10.2.2.2, 10.1.1.1', '10.2.2.2'),
    ('127.0.0.1', '192.0.2.1, nonsense', '127.0.0.1'),
    ('127.0.0.1', '192.0.2.1, , 10.1.1.1', '10.1.1.1'),
    ('127.0.0.1', '192.0.2.1:4711', '192.0.2.1'),
    ('127.0.0.1', '[2001:db8::1]:4711', '2001:db8::1'),
    ('fd00::5', '::ffff:192.0.2.1', '192.0.2.1'),
    ('127.0.0.1', '', '127.0.0.1'),
])
def test_the_last_that_is_no_proxy_has_sent_it(peer, hops, found):
    assert sender(address(peer), hops.split(','), CHAIN) == ipaddress.ip_address(found)


@given(some.text())
def test_words_that_are_no_address_break_nothing(words):
    assert address(words) is None or ipaddress.ip_address(str(address(words)))
    sender(address('127.0.0.1'), words.split(','), CHAIN)


def located(port, **headers):
    body, own = program.form([], [('file', 'a.jpg', browser.photo(size = (64, 48)))])
    return program.call(port, 'POST', '/jobs', body, {
        **own,
        **{
            name.replace('_', '-'): value
            for name, value in headers.items()
        }
    })


def test_a_proxy_that_is_named_tells_how_the_page_was_asked_for(tmp_path):
    with serve(tmp_path, allowed_hosts = ('photos.example', )) as port:
        program.ready(port)
        answer = located(
            port,
            X_Forwarded_For = '192.0.2.1',
            X_Forwarded_Host = 'photos.example',
            X_Forwarded_Proto = 'https',
            X_Forwarded_Prefix = '/alive',
            Origin = 'https://photos.example')
        assert answer.status == 202
        assert answer.headers['Location'] == f'/alive/jobs/{answer.json["id"]}'
        page = program.call(port, 'GET', '/', headers = {'X-Forwarded-Prefix': '/alive'}).body
        assert re.search(rb'src="/alive/static/[^"]*/js/main.js"', page)
        evil = program.call(port, 'GET', '/', headers = {'X-Forwarded-Host': 'evil.example'})
        assert (evil.status, evil.json['code']) == (403, 'host_not_served')


@pytest.mark.parametrize('prefix',
                         ['//evil.example', '/a//b', 'a', '/a"b', '/<b>', '/a/', '/ü', '/a b'])
def test_a_prefix_that_is_none_is_not_believed(few, prefix):
    who = {
        'X-Forwarded-For': '192.0.2.200',
        'X-Forwarded-Prefix': prefix.encode().decode('latin-1')
    }
    page = program.call(few, 'GET', '/static/js/main.js', headers = who)
    assert page.status == 200
    answer = program.call(
        few, 'GET', '/', headers = {'X-Forwarded-Prefix': who['X-Forwarded-Prefix']})
    assert re.search(rb'src="/static/[^"]*/js/main.js"', answer.body)


def test_strangers_tell_nothing_of_the_kind(tmp_path):
    with serve(tmp_path, trusted_proxies = ()) as port:
        program.ready(port)
        answer = located(port, X_Forwarded_Prefix = '/evil', X_Forwarded_Host = 'evil.example')
        assert (answer.status, answer.headers['Location']) == (202, f'/jobs/{answer.json["id"]}')
        # as if the page of evil.example were this one's own
        answer = located(port, X_Forwarded_Host = 'evil.example', Origin = 'http://evil.example')
        assert (answer.status, answer.json['code']) == (403, 'cross_site')


def test_a_name_pointed_here_cannot_hide_behind_a_header(few):
    headers = {'Host': 'evil.example', 'X-Forwarded-Host': 'localhost'}
    answer = program.call(few, 'GET', '/', headers = headers)
    assert (answer.status, answer.json['code']) == (403, 'host_not_served')


def test_a_proxy_on_this_machine_is_not_the_person_at_it(few):
    answer = program.call(few, 'POST', '/model/download', b'', {'X-Forwarded-For': '127.0.0.1'})
    assert (answer.status, answer.json['code']) == (403, 'not_from_here')
