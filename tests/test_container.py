#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Dockerfile and compose.yaml: built by buildah, run by runc, read by docker-compose.

Libraries: Pillow, pytest.
"""

import json
import os
import re
import shutil
import subprocess

import container
import pytest
from PIL import Image
from repository import ROOT

from modules import VERSION

PHOTO = ROOT / 'docs' / 'photo.jpg'
HERE = 'http://localhost:5000'
SECRET = 'a1b2c3'


@pytest.fixture(scope = 'module')
def image(tmp_path_factory):
    container.require()
    made = container.Image(tmp_path_factory.mktemp('container'))
    try:
        made.prepare()
        made.build(ROOT)
        yield made
    finally:
        made.close()


def folder(path, owner = 1000):
    path.mkdir()
    os.chown(path, owner, owner)
    return path


def is_clip(path):
    with Image.open(path) as picture:
        return picture.format == 'GIF' and picture.n_frames > 10


def test_a_gif_is_made_and_kept_where_nothing_but_volumes_may_be_written_to(image, tmp_path):
    volumes = {folder(tmp_path / name): f'/app/{name}' for name in ('models', 'outputs')}
    head, clip, kept = tmp_path / 'head', tmp_path / 'moving.gif', tmp_path / 'kept.gif'
    with image.container(volumes = volumes) as running:
        running.wait_until_healthy()
        assert 'no Password is set' in running.log
        running.curl('-D', head, '-o', clip, '-F', f'file=@{PHOTO}', f'{HERE}/generate')
        assert is_clip(clip)
        # a first process is ended by no signal that it does not care for
        assert running.stop() == 0, running.log
    job = re.search(r'^X-Job-Id: (\w+)', head.read_text(), re.MULTILINE)[1]
    with image.container(volumes = volumes) as running:
        running.wait_until_healthy()
        running.curl('-o', kept, f'{HERE}/jobs/{job}/result?format=gif')
    assert kept.read_bytes() == clip.read_bytes()


def status(running, *arguments):
    """What curl is answered within its network."""
    quiet = ('curl', '--noproxy', '*', '-sS', '-o', os.devnull, '-w', '%{http_code}')
    return int(container.run(*running.in_network(*quiet, *arguments)))


def test_its_door_is_shut_without_the_password_and_to_other_names(image, tmp_path):
    ini = tmp_path / 'configuration.ini'
    ini.write_text('[WebOptions]\nHost = 0.0.0.0\nPassword = open sesame\n')
    photo = ('-F', f'file=@{PHOTO}')
    volumes = {folder(tmp_path / name): f'/app/{name}' for name in ('models', 'outputs')}
    with image.container(volumes = {ini: '/app/configuration.ini', **volumes}) as running:
        running.wait_until_healthy()
        for path, more in (('/', ()), ('/generate', photo), ('/jobs', photo), ('/metrics', ())):
            assert status(running, *more, HERE + path) == 401
            assert status(running, '-u', ':open door', *more, HERE + path) == 401
        assert status(running, '-u', ':open sesame', HERE) == 200
        assert status(running, '-u', ':open sesame', '-H', 'Host: a.example', HERE) == 403


def test_an_ordinary_user_runs_it_and_may_change_nothing_of_it(image):
    settings = image.settings
    assert settings['User'] == '1000'
    assert set(settings['ExposedPorts']) == {'5000/tcp'}
    assert set(settings['Volumes']) == {'/app/models', '/app/outputs'}
    files = image.files()
    owners = {path: path.stat().st_uid for path in (files / 'app').rglob('*')}
    writable = {path.name for path, owner in owners.items() if owner == 1000}
    assert writable == {'models', 'outputs'} and set(owners.values()) == {0, 1000}
    assert all(path.stat().st_mode & 0o022 == 0 for path in owners)
    assert (files / 'home/user').stat().st_uid == 1000


def test_nothing_of_the_owners_comes_along_and_libraries_are_not_fetched_anew(image, tmp_path):
    changed = tmp_path / 'changed'
    shutil.copytree(ROOT, changed, ignore = shutil.ignore_patterns('.*', 'tests', '*.pyc.*'))
    shutil.copy(ROOT / '.dockerignore', changed)
    for name in ('models/secret', 'outputs/secret', '.git/secret', '.venv/secret', 'secret.ini'):
        (changed / name).parent.mkdir(exist_ok = True)
        (changed / name).write_text('secret')
    (changed / 'app.py').write_text('changed')
    (changed / 'app.py').chmod(0o600)
    steps = re.split(r'^STEP ', image.build(changed, 'changed'), flags = re.MULTILINE)
    built = {' '.join(step.split()[1:3]): 'Using cache' in step for step in steps[1:]}
    assert built['RUN python3'] and not built['COPY .']
    app = image.files('changed') / 'app'
    assert not list(app.rglob('*secret*')) and not list(app.rglob('__pycache__'))
    assert {path.name
            for path in app.iterdir()} == {
                'LICENSE', '__main__.py', 'app.py', 'configuration.ini', 'models', 'modules',
                'outputs', 'requirements-core.txt', 'requirements-fleet.txt', 'requirements.txt',
                'static', 'templates'
            }
    assert (app / 'app.py').stat().st_mode & 0o777 == 0o644


def test_it_is_not_healthy_where_nobody_answers(image):
    with image.container('serve', '--port', '5001') as running:
        running.wait_until(lambda: ':5001/' in running.log)
        assert not running.is_healthy()


@pytest.mark.parametrize('arguments, expected', [(['--version'], VERSION), (['doctor'], 'camera')])
def test_arguments_are_those_of_the_program(image, arguments, expected):
    with image.container(*arguments) as running:
        assert running.end() == 0 and expected in running.log


def test_photos_of_a_folder_are_animated_for_their_owner(image, tmp_path):
    photos = folder(tmp_path / 'photos', 1234)
    shutil.copy(PHOTO, photos)
    with image.container(
            'animate', '/photos', volumes = {photos: '/photos'}, user = 1234) as running:
        assert running.end() == 0, running.log
    assert is_clip(photos / 'photo.gif') and (photos / 'photo.gif').stat().st_uid == 1234


def has_worker(web):
    """Whether the page knows of one that makes clips."""
    return json.loads(web.curl(f'{HERE}/health'))['engine'] == 'camera'


@pytest.fixture(scope = 'module')
def composed(image):
    """What Docker Compose makes of compose.yaml."""
    shutil.copy(ROOT / 'compose.yaml', image.base)
    command = ('env', f'REDIS_PASSWORD={SECRET}', 'docker-compose', '-f', '/compose.yaml',
               '--profile', '*', 'config')
    return json.loads(container.run('chroot', image.base, *command, '--format', 'json'))


def test_compose_has_a_page_a_queue_and_workers(composed):
    services = composed['services']
    assert set(services) == {'web', 'redis', 'camera', 'gpu'}
    assert [port['host_ip'] for port in services['web']['ports']] == ['127.0.0.1']
    assert 'ports' not in services['redis']
    command = services['redis']['command']
    assert command[command.index('--requirepass') + 1] == SECRET
    assert f':{SECRET}@' in composed['configs']['settings']['content']
    assert all(services[name]['build']['args']['WITH_BROKER'] == '1' for name in ('web', 'gpu'))
    # of what is built here, nothing is asked of a registry
    assert all('image' not in services[name] for name in ('web', 'gpu'))
    assert services['camera']['image'] == f'{composed["name"]}-web'
    assert services['camera']['pull_policy'] == 'never'
    for name in ('camera', 'gpu'):
        assert services[name]['command'] == ['worker'] and services[name]['healthcheck']['disable']
    assert (ROOT / services['gpu']['build']['args']['REQUIREMENTS']).is_file()
    devices = services['gpu']['deploy']['resources']['reservations']['devices']
    assert [device['capabilities'] for device in devices] == [['gpu']]
    assert 'profiles' not in services['camera'] and services['gpu']['profiles'] == ['gpu']


def test_the_fleet_of_compose_makes_a_gif(image, composed, tmp_path):
    if not shutil.which('redis-server'):
        pytest.skip('redis-server is not installed')
    ini, hosts, clip = tmp_path / 'ini', tmp_path / 'hosts', tmp_path / 'moving.gif'
    ini.write_text(composed['configs']['settings']['content'])
    hosts.write_text('127.0.0.1 localhost redis\n')
    volumes = {ini: composed['services']['web']['configs'][0]['target'], hosts: '/etc/hosts'}
    stored = {**volumes, folder(tmp_path / 'outputs'): '/app/outputs'}
    redis = composed['services']['redis']['command']
    image.build(ROOT, 'fleet', composed['services']['web']['build']['args'])
    with image.container(
            tag = 'fleet', volumes = stored) as web, subprocess.Popen(
                web.in_network(*redis, '--dir', tmp_path), stdout = subprocess.DEVNULL) as queue:
        try:
            with image.container(
                    'worker', tag = 'fleet', volumes = volumes, beside = web) as worker:
                web.wait_until_healthy()
                web.wait_until(lambda: has_worker(web))
                web.curl('-o', clip, '-F', f'file=@{PHOTO}', f'{HERE}/generate')
                assert is_clip(clip)
                assert worker.stop() == 0, worker.log
        finally:
            queue.terminate()
