#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The button that fetches the model, and who may press it.

Libraries: pytest.
"""

import base64
import contextlib

import hub
import program
import pytest
import stand_ins

from app import create_app
from modules.configuration import Configuration, InstallationOptions, StoreOptions, WebOptions
from modules.engines.contract import EngineStatus
from modules.engines.registry import Engines
from modules.engines.wan.options import WanOptions
from modules.i18n import text


class LacksWan(stand_ins.Instant):
    """Waits for its model."""

    def status(self):
        return EngineStatus(text('engines.no_weights', model = 'a model'), fetchable = 'wan')


@pytest.fixture
def port(tmp_path):
    with serving(tmp_path) as found:
        yield found


@contextlib.contextmanager
def serving(tmp_path, **web):
    # a download that fails at once may have failed before anybody is told that it runs
    with hub.Hub({}).serving() as silent:
        silent.silent = True
        configuration = Configuration(
            web = WebOptions(port = 0, allowed_hosts = ('photos.example', ), **web),
            store = StoreOptions(models_home = tmp_path / 'models'),
            installation = InstallationOptions(
                model_repository_url = f'{silent.url}/stabilityai/stable-video-diffusion-img2vid-xt'
            ))
        engines = Engines(configuration, stand_ins.table(camera = 'Instant'))
        with program.served(
                create_app(configuration, tmp_path, engines = engines), configuration.web) as port:
            try:
                yield port
            finally:
                silent.closing.set()


def press(port, query = '', method = 'POST', **headers):
    return program.call(port, method, f'/model/download{query}', b'', {
        name.replace('_', '-'): value
        for name, value in headers.items()
    })


def test_health_tells_that_nothing_is_being_fetched(port):
    assert program.call(port, 'GET', '/health').json['download']['state'] == 'idle'


def test_a_person_at_this_machine_may_press_it(port):
    answer = press(port, Sec_Fetch_Site = 'same-origin', Origin = f'http://127.0.0.1:{port}')
    assert answer.status == 202
    assert answer.json['state'] == 'running'


@pytest.mark.parametrize(('query', 'started'), [('', 'video'), ('?model=', 'video'),
                                                ('?model=video', 'video'),
                                                ('?model=depth', 'depth')])
def test_a_model_is_named_by_the_query(port, query, started):
    answer = press(port, query)
    assert (answer.status, answer.json['state']) == (202, 'running')
    models = program.call(port, 'GET', '/health').json['models']
    states = {name: model['download']['state'] for name, model in models.items()}
    other = {'video': 'depth', 'depth': 'video'}[started]
    assert states[other] == 'idle' and states[started] != 'idle'


def test_a_download_can_be_stopped_and_begun_again_by_those_who_may_begin_it(port):

    def state():
        return program.call(port, 'GET', '/health').json['models']['video']['download']['state']

    press(port)
    assert press(port, method = 'DELETE', X_Forwarded_For = '203.0.113.5').status == 403
    assert press(port, '?model=../x', 'DELETE').status == 400
    assert press(port, '?model=depth', 'DELETE').status == 202
    assert state() == 'running'
    assert press(port, method = 'DELETE').status == 202
    assert state() == 'idle'
    assert press(port).json['state'] == state() == 'running'


def test_no_other_model_can_be_named(port):
    answer = press(port, '?model=../x')
    assert (answer.status, answer.json['code'], answer.json['field']) == (400, 'unknown_choice',
                                                                          'model')


def test_health_tells_what_could_be_fetched(port):
    models = program.call(port, 'GET', '/health').json['models']
    found = {name: (model['here'], model['licence']) for name, model in models.items()}
    free = (False, 'Apache-2.0')
    assert found == {'video': (False, None), 'depth': free, 'wan': free}


@pytest.mark.parametrize('headers', [
    {
        'X_Forwarded_For': '203.0.113.5'
    },
    {
        'Forwarded': 'for=203.0.113.5'
    },
    {
        'Sec_Fetch_Site': 'cross-site'
    },
    {
        'Sec_Fetch_Site': 'same-site'
    },
    {
        'Origin': 'http://evil.example'
    },
    {
        'Origin': 'null'
    },
])
def test_strangers_may_not(port, headers):
    answer = press(port, **headers)
    assert answer.status == 403
    is_proxied = any('Forwarded' in name for name in headers)
    assert answer.json['code'] == ('not_from_here' if is_proxied else 'cross_site')
    assert program.call(port, 'GET', '/health').json['download']['state'] == 'idle'


def test_whoever_has_the_password_may_press_it_from_anywhere_and_nobody_without(tmp_path):
    known = 'Basic ' + base64.b64encode(b'anybody:sesame').decode()
    with serving(tmp_path, password = 'sesame') as port:
        stranger = {'X_Forwarded_For': '203.0.113.5'}
        for headers in (stranger, {}, {**stranger, 'Authorization': known.swapcase()}):
            assert press(port, **headers).status == 401
        assert program.call(port, 'GET', '/health').json['download']['state'] == 'idle'
        elsewhere = {**stranger, 'Authorization': known, 'Origin': 'http://evil.example'}
        assert press(port, **elsewhere).status == 403
        assert press(port, **stranger, Authorization = known).status == 202


@pytest.mark.parametrize(('folder', 'is_offered'), [('somebody/loras/', True), ('/own/', False)])
def test_a_model_is_not_offered_where_files_of_ones_own_are_missing(tmp_path, folder, is_offered):
    lora = tuple(f'{folder}{noise}.safetensors' for noise in ('high', 'low'))
    configuration = Configuration(
        store = StoreOptions(models_home = tmp_path / 'models'),
        engines = (WanOptions(lora = lora), ))
    engines = Engines(configuration, {
        'wan': (__name__, 'LacksWan'),
        **stand_ins.table(camera = 'Instant')
    })
    client = create_app(configuration, tmp_path, engines = engines).test_client()
    card = client.get('/?lang=en').get_data(as_text = True)
    assert ('id="fetch-wan"' in card) == is_offered
    assert ('There is no complete model at Lora = /own' in card) == (not is_offered)
