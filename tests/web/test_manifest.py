#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The page can be installed: its manifest, and every icon of the size that is told.

Libraries: Pillow, pytest.
"""

import io
import json
import re
from urllib.parse import urljoin

import program
import pytest
from PIL import Image
from serving import serve

from modules.option import parse_network


@pytest.fixture(scope = 'module', params = ['', '/moving'])
def found(request, tmp_path_factory):
    """The address of the page behind a proxy or not, and a way to get what it names."""
    who = {'X-Forwarded-Prefix': request.param} if request.param else {}
    here = (parse_network('127.0.0.1'), )
    with serve(tmp_path_factory.mktemp('manifest'), trusted_proxies = here) as port:

        def get(path):
            # the proxy takes the prefix off
            return program.call(port, 'GET', path.removeprefix(request.param), headers = who)

        yield f'{request.param}/', get


def _linked(page, relation):
    return re.search(rf'<link rel="{relation}" href="([^"]+)"', page)[1]


def test_the_manifest_leads_to_the_page_and_its_icons(found):
    home, get = found
    address = _linked(get(home).body.decode(), 'manifest')
    answer = get(address)
    assert answer.headers['Content-Type'].startswith('application/manifest+json')
    manifest = json.loads(answer.body)
    assert (manifest['name'], manifest['display']) == ('turn-live-photos', 'standalone')
    assert urljoin(address, manifest['start_url']) == urljoin(address, manifest['scope']) == home
    sizes = set()
    for icon in manifest['icons']:
        picture = Image.open(io.BytesIO(get(urljoin(address, icon['src'])).body))
        assert f'{picture.width}x{picture.height}' == icon['sizes'] and picture.format == 'PNG'
        sizes.add((icon['sizes'], icon.get('purpose', 'any')))
        if icon.get('purpose') == 'maskable':
            assert 'transparency' not in picture.info and picture.mode != 'RGBA'
    assert {('192x192', 'any'), ('512x512', 'any'), ('512x512', 'maskable')} <= sizes


def test_phones_of_apple_find_an_icon_without_holes(found):
    home, get = found
    picture = Image.open(io.BytesIO(get(_linked(get(home).body.decode(), 'apple-touch-icon')).body))
    assert picture.size == (180, 180)
    assert picture.convert('RGBA').getextrema()[3] == (255, 255)
