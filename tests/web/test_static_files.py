#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The page's own files: kept for good under addresses that change with them, and compressed where that is worth it.

Libraries: brotli, pytest.
"""

import gzip
import mimetypes
import re
import shutil
from urllib.parse import urljoin

import brotli
import program
import pytest
from serving import jpeg, serve

from modules.configuration import ROOT
from modules.web import static_files

UNPACK = {'br': brotli.decompress, 'gzip': gzip.decompress}


@pytest.fixture(scope = 'module')
def port(tmp_path_factory):
    with serve(tmp_path_factory.mktemp('static')) as port:
        program.ready(port)
        yield port


def _get(port, path, encoding = None, **headers):
    asked = {name.replace('_', '-'): value for name, value in headers.items()}
    return program.call(
        port, 'GET', path, headers = asked | ({
            'Accept-Encoding': encoding
        } if encoding else {}))


@pytest.fixture(scope = 'module')
def script(port):
    """The address of the page's first module."""
    return re.search(r'src="([^"]+/js/main\.js)"', _get(port, '/').body.decode())[1]


def test_what_the_page_names_is_kept_for_good(port):
    page = _get(port, '/').body.decode()
    links = {
        link.partition('#')[0]
        for link in re.findall(r'(?:src|href|poster)="(/static/[^"]+)"', page)
    }
    assert len(links) > 30
    for link in links:
        answer = _get(port, link)
        assert (answer.status,
                answer.headers['Cache-Control']) == (200, 'max-age=31536000, immutable'), link


def test_modules_import_each_other_and_fetch_words_in_the_same_version(script):
    for path in (ROOT / 'static' / 'js').rglob('*.js'):
        text = path.read_text('utf-8')
        names = re.findall(r"(?:from |import\()'([^']+)'", text)
        assert all(name.startswith(('./', '../')) for name in names), path.name
        assert not re.search(r"['`\"]/?static/", text), path.name


def test_every_module_is_fetched_at_once(port, script):
    """A module that is found only when another has come waits one more round trip."""
    page = _get(port, '/').body.decode()
    # what an empty page needs comes before the rest
    first, later = (
        re.findall(r'rel="modulepreload" href="([^"]+)"', part)
        for part in page.split('<template id="later">'))
    preloaded = [script, *first, *later]
    assert len(preloaded) == len(set(preloaded))
    assert {script, *first} == _imported(port, script)
    assert set(preloaded) == {script, *first} | _imported(port, script.replace(
        'main.js', 'rest.js'))


def _imported(port, script):
    """A module and all that it imports."""
    found, wanted = set(), {script}
    while new := wanted - found:
        found |= new
        for path in new:
            body = _get(port, path).body.decode()
            wanted |= {urljoin(path, name) for name in re.findall(r"from '([^']+)'", body)}
    return found


def test_an_address_without_the_version_or_with_another_is_asked_for_again(port, script):
    for path in ('/static/js/main.js', re.sub('v-[0-9a-f]{12}', 'v-000000000000', script)):
        answer = _get(port, path)
        assert (answer.status, answer.headers['Cache-Control']) == (200, 'no-cache')
        assert _get(port, path, If_None_Match = answer.headers['ETag']).status == 304
    assert _get(port, script.replace('v-', 'w-')).status == 404
    assert _get(port, script.replace('/js/main.js', '/../app.py')).status in (400, 404)


def test_the_version_changes_with_any_file(tmp_path):
    folder = tmp_path / 'static'
    shutil.copytree(ROOT / 'static' / 'js', folder)
    before = static_files.compute_version(folder)
    assert before == static_files.compute_version(folder)
    (folder / 'main.js').write_text('// other', 'utf-8')
    changed = static_files.compute_version(folder)
    (folder / 'main.js').rename(folder / 'again.js')
    assert len({before, changed, static_files.compute_version(folder)}) == 3


@pytest.mark.parametrize('encoding', ['br', 'gzip'])
def test_text_is_compressed_and_its_etag_holds(port, script, encoding):
    for path in ('/', script, script.replace('js/main.js', 'css/base.css'),
                 script.replace('js/main.js', 'locales/zh.json')):
        answer = _get(port, path, f'deflate, {encoding}')
        plain = _get(port, path)
        assert answer.headers[
            'Content-Encoding'] == encoding and 'Content-Encoding' not in plain.headers
        assert 'Accept-Encoding' in answer.headers['Vary'] and 'Accept-Encoding' in plain.headers[
            'Vary']
        assert UNPACK[encoding](answer.body) == plain.body
        assert int(answer.headers['Content-Length']) == len(answer.body) < 0.6 * len(plain.body)
    assert _get(port, script, encoding).body == _get(port, script, encoding).body
    etag = _get(port, script, encoding).headers['ETag']
    assert _get(port, script, encoding, If_None_Match = etag).status == 304
    assert _get(port, script).headers['ETag'] != etag


@pytest.mark.parametrize('kind', ['text/javascript', 'application/javascript'])
def test_modules_are_compressed_whichever_type_the_machine_names(port, script, kind, monkeypatch):
    monkeypatch.setitem(mimetypes.types_map, '.js', kind)
    answer = _get(port, script.replace('main.js', 'words.js'), 'gzip')
    assert answer.headers['Content-Type'].partition(';')[0] == kind
    assert answer.headers['Content-Encoding'] == 'gzip'


def test_only_files_under_their_own_address_are_kept_compressed():
    kept = static_files.CompressedFiles({'/static/v-0/js/main.js'})
    for address in ('/static/v-0/js/main.js', '/static/v-0/js/./main.js', '/'):
        kept.set(f'br;{address}', b'compressed')
    found = [
        kept.get(f'br;{address}')
        for address in ('/static/v-0/js/main.js', '/static/v-0/js/./main.js', '/')
    ]
    assert found == [b'compressed', None, None]


def test_parts_pictures_events_and_answers_are_sent_as_they_are(port, script):
    part = _get(port, script, 'gzip', Range = 'bytes=0-9')
    assert (part.status, 'Content-Encoding' in part.headers, len(part.body)) == (206, False, 10)
    body, headers = program.form((), [('file', 'photo.jpg', jpeg())])
    job = program.call(port, 'POST', '/jobs', body, headers).json
    program.until(lambda: _get(port, f'/jobs/{job["id"]}').json['state'] == 'done')
    for path in ('', '/events', '/result?format=gif', '/photo'):
        answer = _get(port, f'/jobs/{job["id"]}{path}', 'gzip, br')
        assert (answer.status, 'Content-Encoding' in answer.headers) == (200, False), path
