#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A Hugging Face Space: the front matter as the hub's own library reads it, and the program as it finds itself there.

Libraries: huggingface_hub, pytest, PyYAML.
"""

import ipaddress
import re

import huggingface_hub
import program
import pytest
import stand_ins
import yaml
from hub import NEEDED
from repository import ROOT

from app import create_app
from modules.configuration import Configuration, WebOptions, spaces
from modules.engines.registry import Engines

NAME = 'somebody-turn-live-photos.hf.space'
SPACE = {'SPACE_HOST': NAME}

#: the colours that Spaces know
COLOURS = ('red', 'yellow', 'green', 'blue', 'indigo', 'purple', 'pink', 'gray')


@pytest.fixture
def space(tmp_path):
    """Asks the app as the proxy of a Space does, for the visitor at an address."""
    options = spaces.with_space_names(
        Configuration(web = WebOptions(requests_per_minute = 2)), SPACE)
    engines = Engines(options, stand_ins.table(camera = 'Instant'))
    app = create_app(options, tmp_path, engines = engines)

    def ask(visitor, peer = '10.16.3.80'):
        headers = {'Host': NAME, 'X-Forwarded-Proto': 'https', 'X-Forwarded-For': visitor}
        answer = app.test_client().get('/', headers = headers, environ_base = {'REMOTE_ADDR': peer})
        answer.close()
        return answer.status_code

    yield ask
    app.extensions['services'].close()


def test_the_front_matter_is_that_of_a_docker_space():
    card = huggingface_hub.SpaceCard.load(ROOT / 'README.md').data
    assert (card.sdk, card.license, card.title) == ('docker', 'mit', 'turn-live-photos')
    assert {card.colorFrom, card.colorTo} <= set(COLOURS)
    assert len(card.short_description) <= 60
    exposed = re.search(r'^EXPOSE (\d+)$', (ROOT / 'Dockerfile').read_text(), re.MULTILINE)
    assert card.app_port == Configuration().web.port == int(exposed[1])


@pytest.mark.parametrize('readme', ['README.md', 'README.zh-CN.md'])
def test_what_a_space_is_told_to_fetch_is_what_the_pipeline_needs(readme):
    words = (ROOT / readme).read_text(encoding = 'utf-8')
    blocks = re.findall(r'^```yaml\n(.*?)^```', words, re.MULTILINE | re.DOTALL)
    (entry, ), = (yaml.safe_load(block)['preload_from_hub'] for block in blocks)
    name, files = entry.split(' ')
    assert name == Configuration().model.model_name
    assert sorted(files.split(',')) == NEEDED


def test_a_space_is_served_under_its_own_name_and_no_other(tmp_path):
    with program.started(tmp_path, environment = SPACE) as (_process, port):
        for host, status in ((NAME, 200), (f'{NAME}:443', 200), ('other.hf.space', 403)):
            assert program.call(port, 'GET', '/', headers = {'Host': host}).status == status


def test_elsewhere_that_name_is_nobodys(tmp_path):
    with program.started(tmp_path, environment = {'SPACE_HOST': ''}) as (_process, port):
        assert program.call(port, 'GET', '/', headers = {'Host': NAME}).status == 403


def test_visitors_of_a_space_are_told_apart(space):
    assert [space('203.0.113.1') for _ in range(3)] == [200, 200, 429]
    assert space('203.0.113.2') == 200
    # what a visitor claims himself stands before what the proxies have seen
    assert space('198.51.100.7, 203.0.113.1') == 429


def test_who_is_no_proxy_of_a_space_is_not_believed(space):
    seen = [space(f'203.0.113.{number}', peer = '192.0.2.1') for number in range(3)]
    assert seen == [200, 200, 429]


def test_what_the_owner_has_named_stays():
    own = WebOptions(
        allowed_hosts = ('photos.example', ),
        trusted_proxies = (ipaddress.ip_network('fd00::/8'), ))
    web = spaces.with_space_names(
        Configuration(web = own), {
            'SPACE_HOST': f'{NAME},Pictures.example'
        }).web
    assert web.allowed_hosts == ('photos.example', NAME, 'pictures.example')
    assert web.trusted_proxies == own.trusted_proxies


@pytest.mark.parametrize('host', ['', ' ', f'https://{NAME}/', '*.'])
def test_what_is_no_name_changes_nothing(host):
    assert spaces.with_space_names(Configuration(), {'SPACE_HOST': host}) == Configuration()
