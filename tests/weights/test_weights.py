#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The model's files: found only when whole, fetched through the real huggingface_hub from a hub on this machine.

Libraries: pytest, huggingface_hub, filelock.
"""

import contextlib
import dataclasses
import http.server
import json
import logging
import multiprocessing
import os
import random
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
from pathlib import Path

import hub
import pytest
from hub import HASTE, NEEDED
from repository import ROOT

from modules import errors, i18n, weights
from modules.commands import download as shell
from modules.configuration import Configuration, InstallationOptions, ModelOptions, StoreOptions
from modules.engines.stable_video.files import VIDEO
from modules.weights import sources, web
from modules.weights.download import Observer, download, is_being_fetched
from modules.weights.fetcher import Fetcher
from modules.weights.plan import Terms, make_plan
from modules.weights.sources import Hub, ModelScope
from modules.weights.web import Patience


@pytest.fixture
def configuration(tmp_path):
    return Configuration(
        model = ModelOptions(model_name = hub.NAME),
        store = StoreOptions(models_home = tmp_path / 'models'))


@pytest.fixture
def server():
    with hub.Hub(hub.model()).serving() as running:
        yield running


def write(folder, files):
    for path, content in files.items():
        (folder / path).parent.mkdir(parents = True, exist_ok = True)
        (folder / path).write_bytes(content)
    return folder


def terms(*servers, reserve = 0):
    return Terms(tuple(Hub(server.url) for server in servers), HASTE, reserve)


def fetch(configuration, terms, calls = None):
    return download(configuration, VIDEO, Observer((calls if calls is not None else []).append),
                    terms)


def refusal(configuration, terms):
    with pytest.raises(weights.WeightsError) as caught:
        fetch(configuration, terms)
    assert weights.find(configuration, VIDEO) is None
    assert all(caught.value.text.in_(language) for language in i18n.LANGUAGES)
    return caught.value.text


def files_of(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file())


def total(server):
    return sum(len(server.files[path]) for path in NEEDED)


def closed_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return f'http://127.0.0.1:{probe.getsockname()[1]}'


# finding


@pytest.mark.parametrize('place', [hub.NAME, 'tiny-video'])
def test_finds_a_whole_model_where_new_and_old_scripts_put_it(configuration, place):
    folder = write(configuration.store.models_home / place, hub.model())
    assert weights.find(configuration, VIDEO) == folder


def test_finds_a_model_by_its_absolute_folder(configuration, tmp_path):
    folder = write(tmp_path / 'elsewhere', hub.model(100, '.fp16'))
    named = dataclasses.replace(configuration, model = ModelOptions(model_name = str(folder)))
    assert weights.find(named, VIDEO) == folder


def test_finds_a_model_by_a_folder_relative_to_the_working_one(configuration, tmp_path,
                                                               monkeypatch):
    folder = write(tmp_path / 'checkpoints' / 'mine', hub.model(100, ''))
    monkeypatch.chdir(tmp_path)
    named = dataclasses.replace(
        configuration, model = ModelOptions(model_name = 'checkpoints/mine'))
    assert weights.find(named, VIDEO) == folder


@pytest.mark.parametrize('variables', [{}, {
    'XDG_CACHE_HOME': 'caches'
}, {
    'HF_HOME': 'hugging face'
}, {
    'HF_HOME': 'elsewhere',
    'HF_HUB_CACHE': '~/shared'
}])
def test_finds_a_model_that_the_hubs_own_library_has_fetched(configuration, server, tmp_path,
                                                             monkeypatch, variables):
    for name in ('XDG_CACHE_HOME', 'HF_HOME', 'HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE'):
        monkeypatch.delenv(name, raising = False)
    monkeypatch.setenv('HOME', str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value if value.startswith('~') else str(tmp_path / value))
    assert weights.find(configuration, VIDEO) is None
    script = ('import sys, huggingface_hub\nfor path in sys.argv[2:]:\n'
              '    print(huggingface_hub.hf_hub_download(sys.argv[1], path))')
    done = subprocess.run([sys.executable, '-c', script, hub.NAME, *NEEDED],
                          env = {
                              **os.environ, 'HF_ENDPOINT': server.url,
                              'no_proxy': '*'
                          },
                          capture_output = True,
                          text = True,
                          check = False)
    assert done.returncode == 0, done.stderr
    folder = weights.find(configuration, VIDEO)
    assert [str(folder / path) for path in NEEDED] == done.stdout.splitlines()


def test_a_home_that_nobody_knows_is_no_reason_to_stop(configuration, monkeypatch):
    monkeypatch.delenv('HOME')
    monkeypatch.setattr('pwd.getpwuid', {}.__getitem__)
    assert weights.find(configuration, VIDEO) is None


def test_a_cache_that_cannot_be_looked_at_is_no_reason_to_stop(configuration, monkeypatch):
    # nobody refuses root a look, but a name can be too long
    monkeypatch.setenv('HF_HUB_CACHE', '/' + 300 * 'x')
    assert weights.find(configuration, VIDEO) is None


UNET = 'unet/diffusion_pytorch_model.fp16.safetensors'
POINTER = b'version https://git-lfs.github.com/spec/v1\noid sha256:' + b'0' * 64 + b'\nsize 3050000\n'


@pytest.mark.parametrize(('path', 'content'), [
    (UNET, None),
    (UNET, b''),
    (UNET, POINTER),
    (UNET, hub.tensors(100)[:-1]),
    (UNET, hub.tensors(100) + b'x'),
    (UNET, b'\xff' * 300),
    ('unet/config.json', None),
    ('vae/config.json', b'{"_class'),
    ('model_index.json', POINTER),
    ('scheduler/scheduler_config.json', b''),
    ('feature_extractor/preprocessor_config.json', b'[]'),
])
def test_takes_no_damaged_folder_for_a_model(configuration, path, content):
    files = hub.model(100, '.fp16') | {path: content}
    files = {path: content for path, content in files.items() if content is not None}
    write(configuration.store.models_home / hub.NAME, files)
    assert weights.find(configuration, VIDEO) is None


def test_takes_no_empty_and_no_missing_folder_for_a_model(configuration):
    assert weights.find(configuration, VIDEO) is None
    (configuration.store.models_home / hub.NAME).mkdir(parents = True)
    assert weights.find(configuration, VIDEO) is None


def test_notices_at_once_that_a_file_has_been_cut(configuration):
    folder = write(configuration.store.models_home / hub.NAME, hub.model(100, '.fp16'))
    assert weights.find(configuration, VIDEO)
    os.truncate(folder / UNET, 120)
    assert weights.find(configuration, VIDEO) is None


def test_notices_at_once_that_a_file_has_become_whole(configuration):
    folder = write(configuration.store.models_home / hub.NAME, hub.model(100, '.fp16'))
    (folder / UNET).write_bytes(POINTER)
    assert weights.find(configuration, VIDEO) is None
    (folder / UNET).write_bytes(hub.tensors(100))
    assert weights.find(configuration, VIDEO) == folder


def sharded(variant, missing = ''):
    """A model whose UNet comes in two pieces, named as diffusers names them."""
    stem, dot = 'diffusion_pytorch_model', f'.{variant}' if variant else ''
    names = [f'{stem}{dot}-0000{n}-of-00002.safetensors' for n in (1, 2)]
    index = json.dumps({'weight_map': dict(zip('ab', names, strict = True))}).encode()
    files = hub.model(100, dot)
    del files[f'unet/{stem}{dot}.safetensors']
    files[f'unet/{stem}.safetensors.index{dot}.json'] = index
    return files | {f'unet/{name}': hub.tensors(50) for name in names if name != missing}


@pytest.mark.parametrize('variant', ['fp16', ''])
def test_needs_every_shard(tmp_path, variant):
    stem = f'diffusion_pytorch_model{variant and "."}{variant}'
    whole = write(tmp_path / 'whole', sharded(variant))
    broken = write(tmp_path / 'broken', sharded(variant, f'{stem}-00002-of-00002.safetensors'))
    assert weights.variants(whole, VIDEO) == (variant or None, )
    assert weights.is_whole(whole, VIDEO)
    assert not weights.is_whole(broken, VIDEO)


def test_offers_the_variants_that_diffusers_could_load(tmp_path):
    both = write(tmp_path / 'both', hub.model(100))
    assert weights.variants(both, VIDEO) == ('fp16', None)
    os.truncate(both / UNET, 100)
    assert weights.variants(both, VIDEO) == (None, )


@pytest.mark.parametrize('half', [True, False])
def test_finds_what_diffusers_saves(configuration, half):
    tiny_checkpoint = pytest.importorskip('tiny_checkpoint')
    folder = tiny_checkpoint.make(configuration.store.models_home / hub.NAME, half = half)
    assert weights.find(configuration, VIDEO) == folder
    assert weights.variants(folder, VIDEO) == (('fp16', ) if half else (None, ))


# planning


def test_plans_the_needed_files_and_tells_the_licence(configuration, server):
    planned = make_plan(configuration, VIDEO, terms = terms(server))
    assert sorted(file.path for file in planned.files) == NEEDED
    assert planned.bytes_total == total(server)
    assert planned.licence == 'tiny-community'
    assert planned.licence_url == f'{server.url}/{hub.NAME}/blob/main/LICENSE.md'
    assert planned.bytes_free == pytest.approx(shutil.disk_usage('/').free, rel = 0.5)
    assert not configuration.store.models_home.exists()


def test_takes_plain_files_for_parts_that_have_no_others(configuration, server):
    del server.listed[UNET]
    server.listed.pop('vae/diffusion_pytorch_model.fp16.safetensors')
    folder = fetch(configuration, terms(server))
    assert 'unet/diffusion_pytorch_model.safetensors' in files_of(folder)
    assert 'image_encoder/model.fp16.safetensors' in files_of(folder)
    assert weights.variants(folder, VIDEO) == ('fp16', )


def test_fetches_all_shards(configuration):
    with hub.Hub(sharded('fp16')).serving() as server:
        folder = fetch(configuration, terms(server))
    assert [path for path in files_of(folder) if path.startswith('unet/')] == [
        'unet/config.json',
        'unet/diffusion_pytorch_model.fp16-00001-of-00002.safetensors',
        'unet/diffusion_pytorch_model.fp16-00002-of-00002.safetensors',
        'unet/diffusion_pytorch_model.safetensors.index.fp16.json',
    ]


def test_says_when_a_repository_is_no_pipeline(configuration, server):
    server.listed = {'README.md': b'words', 'svd_xt.safetensors': b'one file'}
    assert refusal(configuration, terms(server)).key == 'weights.no_pipeline'
    assert server.paths() == []


# fetching


def test_fetches_exactly_the_needed_files(configuration, server):
    states = []
    folder = fetch(configuration, terms(server), states)
    assert weights.find(configuration,
                        VIDEO) == folder == configuration.store.models_home / hub.NAME
    assert files_of(folder) == server.paths() == NEEDED
    assert all((folder / path).read_bytes() == server.files[path] for path in NEEDED)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert states[-1].bytes_done == states[-1].bytes_total == server.bytes_sent == total(server)
    assert {state.source for state in states} == {server.url.partition('://')[2]}


def test_asks_nobody_once_the_model_is_here(configuration, server):
    write(configuration.store.models_home / hub.NAME, hub.model(100))
    fetch(configuration, terms(server))
    assert shell.fetch(configuration, 'en', terms(server)) == 0
    assert server.requests == []


def test_tells_speed_and_time_left(configuration, server):
    server.speed, states = 40_000, []
    fetch(configuration, terms(server), states)
    half = min(states, key = lambda state: abs(state.bytes_done - total(server) * 0.6))
    assert 15_000 < max(state.speed for state in states) < 60_000
    assert half.eta == pytest.approx((half.bytes_total - half.bytes_done) / half.speed)
    assert half.file.endswith('.safetensors')


@pytest.mark.parametrize(('length', 'cut'), [(60, 7), (20_000, 4097), (20_000, 20_000)])
def test_goes_on_wherever_the_connection_breaks(configuration, length, cut):
    with hub.Hub(hub.model(length)).serving() as server:
        server.cut = cut
        folder = fetch(configuration, terms(server))
        assert all((folder / path).read_bytes() == server.files[path] for path in NEEDED)
        assert server.bytes_sent == total(server)


def test_starts_a_file_over_when_the_server_knows_no_ranges(configuration, server):
    part = configuration.store.models_home / f'{hub.NAME}.part' / UNET
    file = next(
        file for file in make_plan(configuration, VIDEO, terms = terms(server)).files
        if file.path == UNET)
    write(part.parent, {file.part(part).name: server.files[UNET][:5000]})
    server.whole_only = True
    assert (fetch(configuration, terms(server)) / UNET).read_bytes() == server.files[UNET]
    assert server.bytes_sent == total(server)


KILLED = """
import sys
from pathlib import Path
from modules.configuration import Configuration, ModelOptions, StoreOptions
from modules.engines.stable_video.files import VIDEO
from modules.weights.download import Observer, download, is_being_fetched
from modules.weights.plan import Terms
from modules.weights.sources import Hub
download(
    Configuration(model = ModelOptions(model_name = sys.argv[2]),
                  store = StoreOptions(models_home = Path(sys.argv[3]))),
    VIDEO, Observer(), Terms((Hub(sys.argv[1]), ), reserve = 0))
"""


def test_continues_after_being_killed_five_times(configuration, tmp_path):
    with hub.Hub(hub.model(150_000)).serving() as server:
        server.speed = 1_500_000
        home = {'HF_HOME': str(tmp_path / 'home'), 'PYTHONPATH': str(ROOT)}
        command = [
            sys.executable, '-c', KILLED, server.url, hub.NAME,
            str(configuration.store.models_home)
        ]
        for moment in sorted(random.sample(range(1000, total(server) * 9 // 10), 5)):
            process = subprocess.Popen(command, env = os.environ | home)
            while server.bytes_sent < moment and process.poll() is None:
                time.sleep(0.002)
            process.kill()
            assert process.wait() != 0
            assert weights.find(configuration, VIDEO) is None
        subprocess.run(command, env = os.environ | home, check = True)
        folder = weights.find(configuration, VIDEO)
        assert all((folder / path).read_bytes() == server.files[path] for path in NEEDED)
        assert files_of(folder) == NEEDED
        assert server.bytes_sent < total(server) * 1.25


def test_uses_whole_files_of_a_folder_that_is_not_whole(configuration, server, caplog):
    folder = configuration.store.models_home / hub.NAME
    write(folder, {UNET: server.files[UNET], 'notes.txt': b'mine', 'vae/config.json': POINTER})
    fetch(configuration, terms(server))
    assert files_of(weights.find(configuration, VIDEO)) == NEEDED
    assert server.bytes_sent == total(server) - len(server.files[UNET])
    aside = next(folder.parent.glob('*.old'))
    assert (aside / 'notes.txt').read_bytes() == b'mine'
    assert aside.name in caplog.text


@pytest.mark.parametrize('path', [UNET, 'unet/config.json'])
def test_refuses_wrong_content(configuration, server, path):
    content = server.files[path]
    server.files[path] = content[:-1] + bytes([content[-1] ^ 1])
    assert refusal(configuration, terms(server)).key == 'weights.wrong_content'
    server.files[path] = content
    assert fetch(configuration, terms(server))


def test_refuses_a_wrong_size_before_taking_it(configuration, server):
    server.files[UNET] += b'more'
    assert refusal(configuration, terms(server)).key == 'weights.wrong_size'
    assert UNET not in files_of(configuration.store.models_home)


def test_stops_when_told_to_and_continues_later(configuration, server):
    server.speed = 200_000

    def stop_if_cancelled():
        if server.bytes_sent > total(server) // 2:
            raise errors.Cancelled

    with pytest.raises(errors.Cancelled):
        download(configuration, VIDEO, Observer(stop_if_cancelled = stop_if_cancelled),
                 terms(server))
    assert weights.find(configuration, VIDEO) is None
    server.speed, states = 30_000, []
    assert fetch(configuration, terms(server), states)
    assert server.bytes_sent < total(server) * 1.5
    assert 0 < max(state.speed for state in states) < 60_000, 'what was here already is no speed'


def test_leaves_nothing_of_an_outdated_attempt(configuration, server):
    growing = configuration.store.models_home / f'{hub.NAME}.part'
    write(growing, {f'{UNET}.0123456789abcdef.part': b'of an older revision'})
    assert files_of(fetch(configuration, terms(server))) == NEEDED


def test_tries_again_when_a_server_is_busy_for_a_moment(configuration, server):
    server.troubles = 1
    assert fetch(configuration, terms(server))


def test_two_programs_do_not_fetch_the_same_model_at_once(configuration, server):
    import filelock
    lock = configuration.store.models_home / f'{hub.NAME}.lock'
    lock.parent.mkdir(parents = True)
    with filelock.FileLock(lock):
        assert refusal(configuration, terms(server)).key == 'weights.another_download'


@pytest.mark.skipif(sys.platform == 'win32', reason = 'has no fork')
def test_a_model_is_no_longer_coming_once_what_fetches_it_was_killed(configuration, server):
    server.speed = 10_000
    assert not is_being_fetched(configuration, VIDEO)
    fetching = multiprocessing.get_context('fork').Process(
        target = fetch, args = (configuration, terms(server)))
    fetching.start()
    patience = time.monotonic() + 20
    while not is_being_fetched(configuration, VIDEO):
        assert time.monotonic() < patience
        time.sleep(0.01)
    fetching.kill()
    fetching.join()
    assert (configuration.store.models_home / f'{hub.NAME}.lock').exists()
    assert not is_being_fetched(configuration, VIDEO)
    server.speed = None
    assert fetch(configuration, terms(server))


# refusals


@pytest.mark.parametrize(('status', 'file_status', 'code', 'key'), [
    (401, None, 'RepoNotFound', 'unauthorised'),
    (403, None, 'GatedRepo', 'forbidden'),
    (None, 401, 'GatedRepo', 'unauthorised'),
    (None, 403, 'GatedRepo', 'forbidden'),
    (404, None, 'RepoNotFound', 'not_found'),
    (None, 404, 'EntryNotFound', 'not_found'),
    (429, None, '', 'too_many'),
    (500, None, '', 'server_error'),
    (None, 503, '', 'server_error'),
])
def test_says_what_a_refusal_means(configuration, server, status, file_status, code, key):
    server.status, server.file_status, server.error_code = status, file_status, code
    words = refusal(configuration, terms(server))
    assert words.key == f'weights.{key}'
    if key in ('unauthorised', 'forbidden'):
        assert all(f'{server.url}/{hub.NAME}' in words.in_(language) for language in i18n.LANGUAGES)


def test_says_when_nobody_listens(configuration):
    words = refusal(configuration, Terms((Hub(closed_port()), ), HASTE))
    assert words.key == 'weights.unreachable'


def test_says_when_names_cannot_be_resolved():
    error = urllib.error.URLError(socket.gaierror(-2, 'Name or service not known'))
    assert web.explain_error(error, 'hub').key == 'weights.no_network'


@pytest.mark.parametrize('make', [Hub, ModelScope])
def test_says_when_a_server_keeps_silent(configuration, server, make):
    server.silent = True
    impatient = Terms((make(server.url), ), Patience(timeout = 0.3, attempts = 1, pause = 0))
    assert refusal(configuration, impatient).key == 'weights.timeout'


@pytest.mark.parametrize('make', [Hub, ModelScope])
def test_says_when_a_certificate_is_not_trusted(configuration, tmp_path, make):
    if not shutil.which('openssl'):
        pytest.skip('openssl is not installed')
    pem = tmp_path / 'server.pem'
    subprocess.run([
        'openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=127.0.0.1',
        '-keyout', pem, '-out', tmp_path / 'certificate.pem'
    ],
                   check = True,
                   capture_output = True)
    pem.write_bytes(pem.read_bytes() + (tmp_path / 'certificate.pem').read_bytes())
    with hub.Hub(hub.model(100)).serving(pem) as server:
        words = refusal(configuration, Terms((make(server.url), ), HASTE))
    assert words.key == 'weights.certificate'


@pytest.mark.parametrize('make', [Hub, ModelScope])
def test_says_when_a_login_page_answers(configuration, server, make):
    server.info = server.scope = lambda: ['welcome to our hotel']
    assert refusal(configuration, Terms((make(server.url), ), HASTE)).key == 'weights.no_hub'


@pytest.mark.parametrize('make', [Hub, ModelScope])
def test_a_list_of_files_without_end_is_given_up(configuration, make):
    sent = []

    class Endless(http.server.BaseHTTPRequestHandler):

        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(b'{"Success": true, "siblings": [""')
                while len(sent) < 400:
                    self.wfile.write(b', "x"' * 200_000)
                    sent.append(1_000_000)

        def log_message(self, *_words):
            """Say nothing."""

    with socketserver.TCPServer(('127.0.0.1', 0), Endless) as server:
        threading.Thread(target = server.serve_forever, args = (0.02, ), daemon = True).start()
        try:
            url = f'http://127.0.0.1:{server.server_address[1]}'
            assert refusal(configuration, Terms((make(url), ), HASTE)).key == 'weights.no_hub'
        finally:
            server.shutdown()
    assert sum(sent) < 40_000_000


@pytest.mark.parametrize('make', [Hub, ModelScope])
@pytest.mark.parametrize('damage', [
    {
        'rfilename': 7,
        'Path': 7
    },
    {
        'rfilename': 'a\033[2Jb',
        'Path': 'a\033[2Jb'
    },
    {
        'size': 10**400,
        'Size': 10**400
    },
    {
        'size': -1,
        'Size': -1
    },
    {
        'size': '5',
        'Size': '5'
    },
    {
        'lfs': [],
        'blobId': {},
        'Sha256': []
    },
    {
        'lfs': {
            'sha256': ['x']
        },
        'Sha256': {}
    },
])
def test_a_list_of_files_that_makes_no_sense_is_none(configuration, server, make, damage):
    info, scope = server.info(), server.scope()
    info['siblings'][0] |= damage
    scope['Data']['Files'][-1] |= damage
    server.info, server.scope = lambda: info, lambda: scope
    assert refusal(configuration, Terms((make(server.url), ), HASTE)).key == 'weights.no_hub'


@pytest.mark.parametrize('make', [Hub, ModelScope])
def test_a_list_that_is_nested_without_end_is_none(configuration, server, make):
    server.answer = b'[' * 1_000_000
    assert refusal(configuration, Terms((make(server.url), ), HASTE)).key == 'weights.no_hub'


@pytest.mark.parametrize('index', [
    b'[' * 1_000_000,
    b'{"weight_map": ' + b'[' * 1_000_000,
    b'{"weight_map": []}',
    b'{"weight_map": {"a": {}}}',
    b'{"weight_map": {"a": ["b"]}}',
    b'{"weight_map": {"a": "../../b"}}',
    b'{"weight_map": {"a": "/b"}}',
    b'{"weight_map": {"a": ""}}',
    b'{"weight_map": {"a": "b\\u0000"}}',
])
def test_an_index_that_makes_no_sense_is_of_no_model(configuration, index):
    files = hub.model(60)
    folder = write(configuration.store.models_home / hub.NAME, files)
    for path in folder.glob('unet/*.safetensors'):
        path.unlink()
    (folder / 'unet/diffusion_pytorch_model.safetensors.index.json').write_bytes(index)
    assert weights.find(configuration, VIDEO) is None


def test_a_header_of_weights_that_is_nested_without_end_is_none(configuration):
    folder = write(configuration.store.models_home / hub.NAME, hub.model(60))
    nested = b'[' * 1_000_000
    for path in folder.glob('unet/*.safetensors'):
        path.write_bytes(len(nested).to_bytes(8, 'little') + nested)
    assert weights.find(configuration, VIDEO) is None


def test_says_beforehand_that_the_disk_is_too_small_and_asks_nobody_else(configuration, server):
    with hub.Hub(hub.model(100)).serving() as mirror:
        words = refusal(configuration, terms(server, mirror, reserve = 2**60))
        assert words.key == 'weights.disk_full'
        assert server.paths() == mirror.requests == []


@pytest.mark.skipif(not Path('/dev/full').exists(), reason = 'no /dev/full here')
def test_says_when_the_disk_becomes_full(configuration, server):
    planned = make_plan(configuration, VIDEO, terms = terms(server))
    file = next(file for file in planned.files if file.path == UNET)
    part = file.part(planned.partial_folder / UNET)
    part.parent.mkdir(parents = True)
    part.symlink_to('/dev/full')
    assert refusal(configuration, terms(server)).key == 'weights.disk_full_now'
    part.unlink()
    assert fetch(configuration, terms(server))


def test_says_when_models_home_is_a_file(configuration, server):
    configuration.store.models_home.write_text('not a folder')
    assert refusal(configuration, terms(server)).key == 'weights.cannot_write'


def test_says_that_a_folder_cannot_be_fetched(configuration, server):
    named = dataclasses.replace(configuration, model = ModelOptions(model_name = './nowhere'))
    assert refusal(named, terms(server)).key == 'weights.no_hub_name'


def test_respects_offline_mode_and_asks_no_mirror(configuration, server, tmp_path):
    result = subprocess.run([sys.executable, '-c', KILLED, server.url, hub.NAME,
                             str(tmp_path)],
                            env = os.environ | {
                                'HF_HUB_OFFLINE': '1',
                                'PYTHONPATH': str(ROOT)
                            },
                            capture_output = True,
                            text = True,
                            check = False)
    assert 'HF_HUB_OFFLINE' in result.stderr.splitlines()[-1]
    assert server.requests == []


# mirrors


def test_asks_the_mirror_when_the_hub_fails(configuration, server, caplog):
    states, dead = [], closed_port()
    assert fetch(configuration, Terms((Hub(dead), Hub(server.url)), HASTE, 0), states)
    assert states[0].error.key == 'weights.unreachable'
    assert [record.getMessage().count(dead[7:]) for record in caplog.records] == [1]


def test_a_mirror_continues_what_the_hub_began(configuration, server):
    with hub.Hub(hub.model()).serving() as broken:
        broken.files[UNET] = broken.files[UNET][:9000] + b'x' * 12_000
        broken.listed = server.listed
        fetch(configuration, terms(broken, server))
    assert server.bytes_sent < total(server) - len(
        server.files['image_encoder/model.fp16.safetensors'])


def test_asks_modelscope_and_the_copy_its_people_keep(configuration):
    with hub.Hub(hub.model(), 'AI-ModelScope/tiny-video').serving() as server:
        folder = fetch(configuration, Terms((Hub(closed_port()), ModelScope(server.url)), HASTE, 0))
        assert server.paths() == NEEDED
    assert folder == weights.find(configuration, VIDEO)


def test_modelscope_continues_what_the_hub_began(configuration, server):
    with hub.Hub(hub.model()).serving() as failing:
        failing.cut, failing.speed = 9000, 1_000_000
        impatient = Patience(timeout = 3, attempts = 0, pause = 0)
        fetch(configuration, Terms((Hub(failing.url), ModelScope(server.url)), impatient, 0))
        assert failing.bytes_sent > 9000
    assert failing.bytes_sent + server.bytes_sent == total(server)


def test_says_that_all_failed_and_why_the_first_did(configuration, server):
    server.status, server.error_code = 403, 'GatedRepo'
    words = refusal(configuration, Terms((Hub(server.url), Hub(closed_port())), HASTE))
    assert words.key == 'weights.all_failed'
    assert '/somebody/tiny-video' in words.in_('en')


def endpoints(configuration):
    return [(type(source), source.endpoint, getattr(source, 'token', None))
            for source in sources.list_sources(configuration, VIDEO)]


def with_url(configuration, url):
    return dataclasses.replace(
        configuration, installation = InstallationOptions(model_repository_url = url))


def test_tries_hub_mirror_and_modelscope_in_turn(configuration, monkeypatch):
    monkeypatch.setenv('HF_TOKEN', 'hf_secret')
    monkeypatch.delenv('HF_ENDPOINT', raising = False)
    assert endpoints(configuration) == [
        (Hub, 'https://huggingface.co', 'hf_secret'),
        (Hub, 'https://hf-mirror.com', None),
        (ModelScope, 'https://www.modelscope.cn', None),
    ]


@pytest.mark.parametrize('rest', ['', '/', f'/{hub.NAME}', f'/{hub.NAME}.git'])
def test_the_named_host_comes_first_and_gets_the_token(configuration, monkeypatch, rest):
    monkeypatch.setenv('HF_TOKEN', 'hf_secret')
    named = endpoints(with_url(configuration, f'https://mirror.example:8080{rest}'))
    assert named[0] == (Hub, 'https://mirror.example:8080', 'hf_secret')
    assert len(named) == 4


def test_no_token_goes_where_everybody_on_the_way_reads_it(configuration, monkeypatch, caplog):
    monkeypatch.setenv('HF_TOKEN', 'hf_secret')
    for host, token in (('mirror.example:8080', None), ('10.0.0.7', None), ('localhost:8080',
                                                                            'hf_secret')):
        monkeypatch.setenv('HF_ENDPOINT', f'http://{host}')
        assert endpoints(configuration)[0] == (Hub, f'http://{host}', token)
        named = with_url(configuration, f'http://{host}')
        assert endpoints(named)[0] == (Hub, f'http://{host}', token)
    assert 'mirror.example:8080' in caplog.text
    assert 'hf_secret' not in caplog.text


def test_understands_an_address_at_modelscope(configuration):
    url = 'https://www.modelscope.cn/models/AI-ModelScope/tiny-video'
    assert endpoints(with_url(configuration,
                              url))[0] == (ModelScope, 'https://www.modelscope.cn', None)


@pytest.mark.parametrize(
    ('url', 'key'), [('https://hf-mirror.com/somebody/else', 'weights.other_model'),
                     ('ftp://hf-mirror.com', 'weights.no_url'), ('https:///x', 'weights.no_url')])
def test_refuses_an_address_of_another_model(configuration, url, key):
    with pytest.raises(weights.WeightsError) as caught:
        sources.list_sources(with_url(configuration, url), VIDEO)
    assert caught.value.text.key == key


def test_the_token_opens_the_hub_and_goes_nowhere_else(configuration, server, caplog):
    caplog.set_level(logging.DEBUG)
    with hub.Hub(hub.model()).serving() as storage:
        server.token, server.storage = 'hf_secret', storage.url
        assert refusal(configuration, terms(server)).key == 'weights.unauthorised'
        known = Hub(server.url, 'hf_secret')
        assert fetch(configuration, Terms((known, ), HASTE, 0))
        assert len(storage.requests) == len(hub.WEIGHTS)
        assert not any('Authorization' in headers for _, _, headers in storage.requests)
    assert 'hf_secret' not in caplog.text + repr(known) + repr(
        make_plan(configuration, VIDEO, terms = Terms((known, ))))


def test_modelscope_gets_no_token(configuration, server, monkeypatch):
    monkeypatch.setenv('HF_TOKEN', 'hf_secret')
    fetch(configuration, Terms((ModelScope(server.url), ), HASTE, 0))
    assert not any('hf_secret' in str(headers) for _, _, headers in server.requests)


# in the background


def wait_for(fetcher, *states):
    end = time.monotonic() + 20
    while fetcher.state().state not in states and time.monotonic() < end:
        time.sleep(0.01)
    return fetcher.state()


def test_fetches_in_the_background_once(configuration, server):
    server.speed = 200_000
    fetcher = Fetcher(configuration, VIDEO, terms(server))
    assert fetcher.state().state == 'idle'
    fetcher.start()
    fetcher.start()
    assert [thread.name for thread in threading.enumerate()].count('weights') == 1
    state = wait_for(fetcher, 'done')
    assert (state.state, state.bytes_done, state.error) == ('done', total(server), None)
    assert weights.find(configuration, VIDEO)
    fetcher.close()


def test_a_failure_in_the_background_is_told_and_can_be_mended(configuration, server):
    server.status = 500
    fetcher = Fetcher(configuration, VIDEO, terms(server))
    fetcher.start()
    state = wait_for(fetcher, 'failed')
    assert state.error.key == 'weights.server_error'
    server.status = None
    fetcher.start()
    assert wait_for(fetcher, 'done').state == 'done'


def test_the_terminal_is_told_what_comes_its_licence_and_how_far_it_is(
        configuration, server, caplog, monkeypatch):
    monkeypatch.setattr('modules.weights.fetcher.INTERVAL', 0.3)
    monkeypatch.setattr(i18n, 'of_this_machine', lambda: 'en')
    caplog.set_level(logging.INFO)
    server.speed = 50_000
    fetcher = Fetcher(configuration, VIDEO, terms(server))
    fetcher.start()
    assert wait_for(fetcher, 'done').state == 'done'
    lines = [record.getMessage() for record in caplog.records if 'weights' in record.name]
    assert f'{len(NEEDED)} files' in lines[0] and 'GB free' in lines[0]
    assert lines[1].startswith('Licence of the model: tiny-community, http')
    assert 'MB/s, about 1 min left' in lines[2]


def test_closing_ends_the_download_and_keeps_what_came(configuration, server):
    server.speed = 20_000
    fetcher = Fetcher(configuration, VIDEO, terms(server))
    fetcher.start()
    while not server.bytes_sent > 8000:
        time.sleep(0.01)
    fetcher.close()
    assert fetcher.state().state == 'idle'
    assert list(configuration.store.models_home.rglob('*.safetensors.*.part'))
    fetcher.start()
    assert fetcher.state().state == 'idle'


class SlowToStop(Fetcher):
    """It takes a while from being told to stop until it has."""

    begun = 0

    def _fetch(self):
        self.begun += 1
        while self.begun == 1 and not self._cancelled.is_set():
            time.sleep(0.01)
        if self.begun == 1:
            self.stopping.set()
            self.go.wait(20)
            raise errors.Cancelled


def test_what_is_begun_again_before_it_has_stopped_goes_on(configuration):
    fetcher = SlowToStop(configuration, VIDEO)
    fetcher.stopping, fetcher.go = threading.Event(), threading.Event()
    fetcher.start()
    fetcher.cancel()
    assert fetcher.stopping.wait(20)
    fetcher.start()
    assert fetcher.state().state == 'running' and fetcher.begun == 1
    fetcher.go.set()
    assert wait_for(fetcher, 'done').state == 'done' and fetcher.begun == 2


# in the shell


@pytest.mark.parametrize('language', i18n.LANGUAGES)
def test_the_shell_says_what_will_come_and_where_it_is(configuration, server, capsys, language):
    assert shell.fetch(configuration, language, terms(server)) == 0
    out, bar = capsys.readouterr()
    assert 'tiny-community' in out
    assert f'{server.url}/{hub.NAME}/blob/main/LICENSE.md' in out
    assert str(weights.find(configuration, VIDEO)) in out
    assert '100%' in bar


def test_the_shell_says_in_one_sentence_why_not(configuration, server, capsys):
    server.status = 404
    assert shell.fetch(configuration, 'zh', terms(server)) == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith('如果改过 ModelName，请检查是否正确')
