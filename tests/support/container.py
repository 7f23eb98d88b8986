#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The image, built and run without Docker: apt fetches what the base is made of, buildah builds on it by the Dockerfile,
and runc runs it as an engine would: with a network of its own, without privileges, with nothing to write to but its
volumes.

Libraries: none but the standard one, pytest.
"""

import ast
import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import debian
import pytest
from debian import run

TOOLS = ('buildah', 'runc', 'nsenter', 'curl')

#: the release that python:3.13-slim is made of, and what of it the Dockerfile and the libraries use
SUITE = 'trixie'
PACKAGES = ('base-files', 'base-passwd', 'ca-certificates', 'coreutils', 'dash', 'libstdc++6',
            'passwd', 'python3', 'python3-venv', 'sed')

#: judges compose.yaml, and is no part of the image
COMPOSE = 'docker-compose'

#: options of pip that say where an index is and how to get there
REACHING = ('index-url', 'extra-index-url', 'trusted-host', 'proxy', 'cert')


def require():
    """Left out where it cannot be done."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)] + debian.lacks()
    if missing or os.getuid():
        pytest.skip(f'needs root and {" ".join(missing or TOOLS)}')


def pip_settings(folder):
    """
    How this machine's pip reaches its index, for the build to do the same.

    :param folder: where that is written to
    :return: arguments of buildah, which show the build that file, and the certificates named in it
    """
    found = {}
    for line in _pip_config().splitlines():
        name, _equals, value = line.partition('=')
        words = [word for word in ast.literal_eval(value).split() if not word.startswith('file:')]
        # what the environment says comes first there, and goes first
        if words and name.rpartition('.')[2] in REACHING:
            found.setdefault(name.rpartition('.')[2], words)
    config = folder / 'pip.conf'
    lines = [f'{name} = ' + '\n    '.join(words) for name, words in found.items()]
    config.write_text('\n'.join(['[global]', *lines, '']))
    shown = [f'--volume={config}:/etc/pip.conf:ro']
    return shown + [f'--volume={path}:{path}:ro' for path in found.get('cert', ())]


@functools.cache
def _pip_config():
    return run(sys.executable, '-m', 'pip', 'config', 'list')


class Image:
    """
    The product's image, in a store of its own.

    :param folder: everything lies there
    """

    def __init__(self, folder):
        self.folder = folder
        #: the base's files
        self.base = None
        self._count = 0

    def buildah(self, *arguments):
        """What it writes."""
        places = (f'--root={self.folder}/store', f'--runroot={self.folder}/run')
        return run(
            'buildah', *places, *arguments, env = {
                **os.environ, 'BUILDAH_ISOLATION': 'chroot'
            }).strip()

    def prepare(self):
        """A small Debian with Python, as an image to build on."""
        container = self.buildah('from', 'scratch')
        self.base = Path(self.buildah('mount', container))
        packages = debian.Packages(self.folder / 'packages', SUITE, *PACKAGES, COMPOSE)
        packages.unpack(self.base, without = COMPOSE)
        debian.configure(self.base)
        for name in ('doc', 'locale', 'man'):
            shutil.rmtree(self.base / 'usr' / 'share' / name)
        self.buildah('commit', '--quiet', container, 'base')
        packages.unpack(self.base, COMPOSE)

    def build(self, context, tag = 'product', arguments = None):
        """
        Build it, of what is there already as far as possible.

        :param context: the repository
        :param tag: the image's name
        :param arguments: build arguments: name → value
        :return: what the build writes
        """
        given = [f'--build-arg={name}={value}' for name, value in (arguments or {}).items()]
        return self.buildah('bud', '--format=docker', '--pull-never', '--layers',
                            f'--tag={tag}', '--build-arg=BASE=localhost/base', *given,
                            *pip_settings(self.folder), context)

    @property
    def settings(self):
        """What the image says about how it is to be run."""
        return json.loads(self.buildah('inspect', '--type=image', 'product'))['Docker']['config']

    def container(self, *arguments, tag = 'product', **options):
        """See :class:`Container`."""
        self._count += 1
        home = self.folder / str(self._count)
        return Container(home, self.files(tag), self.settings, arguments, **options)

    def files(self, tag = 'product'):
        """The folder of a new container's files."""
        return Path(self.buildah('mount', self.buildah('from', '--pull-never', tag)))

    def close(self):
        """Leave nothing of some gigabytes."""
        self.buildah('rm', '--all')
        shutil.rmtree(self.folder)


class Container:
    """
    One container.

    :param home: its own folder
    :param files: its files
    :param settings: what the image says
    :param arguments: instead of the image's command
    :param volumes: what of this machine is seen → where in the container
    :param user: instead of the image's
    :param beside: a container whose network it shares
    """

    def __init__(self,
                 home,
                 files,
                 settings,
                 arguments,
                 *,
                 volumes = None,
                 user = 0,
                 beside = None):
        self.home = home
        self.settings = settings
        self.process = None
        home.mkdir()
        run('runc', 'spec', '--bundle', home)
        spec = json.loads((home / 'config.json').read_text())
        spec['root'] = {'path': str(files), 'readonly': True}
        user = user or int(settings['User'])
        spec['process'] |= {
            'terminal': False,
            'user': {
                'uid': user,
                'gid': user
            },
            'args': [*settings['Entrypoint'], *(arguments or settings['Cmd'])],
            'env': settings['Env'],
            'cwd': settings['WorkingDir'],
            'capabilities': {}
        }
        spec['mounts'].append({'destination': '/tmp', 'type': 'tmpfs'})  # noqa: S108
        for own, place in (volumes or {}).items():
            bound = {'source': str(own), 'type': 'bind', 'options': ['bind', 'rw']}
            spec['mounts'].append({'destination': place, **bound})
        if beside:
            shared = {'type': 'network', 'path': f'/proc/{beside.pid}/ns/net'}
            others = [each for each in spec['linux']['namespaces'] if each['type'] != 'network']
            spec['linux']['namespaces'] = [*others, shared]
        (home / 'config.json').write_text(json.dumps(spec))

    def runc(self, *arguments):
        """The command line of a call about this container, which ignores what a machine's cgroups do not allow."""
        return ('runc', '--rootless=true', f'--root={self.home}/runc', *arguments)

    def __enter__(self):
        with (self.home / 'log').open('w') as log:
            self.process = subprocess.Popen(
                self.runc('run', f'--bundle={self.home}', f'--pid-file={self.home}/pid', 'it'),
                stdin = subprocess.DEVNULL,
                stdout = log,
                stderr = subprocess.STDOUT)
        patience = time.monotonic() + 20
        while not (self.home / 'pid').exists():
            assert self.process.poll() is None and time.monotonic() < patience, self.log
            time.sleep(0.02)
        return self

    def __exit__(self, *_error):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0)
        subprocess.run(self.runc('delete', '--force', 'it'), capture_output = True, check = False)
        self.process.wait(10)

    @property
    def log(self):
        return (self.home / 'log').read_text()

    @property
    def pid(self):
        """Of its first process, as this machine counts."""
        return int((self.home / 'pid').read_text())

    def inside(self, *command):
        """Exit code of a command in it, as ``docker exec`` runs it."""
        return subprocess.run(
            self.runc('exec', 'it', *command), capture_output = True, check = False).returncode

    def in_network(self, *command):
        """The command line of a program of this machine that sees the container's network instead."""
        return ('nsenter', f'--target={self.pid}', '--net', *map(str, command))

    def curl(self, *arguments):
        """What curl writes within its network."""
        return run(*self.in_network('curl', '--noproxy', '*', '-sS', '--fail-with-body',
                                    '--max-time', '60', *arguments))

    def is_healthy(self):
        """What the image's own check finds."""
        kind, *check = self.settings['Healthcheck']['Test']
        assert kind == 'CMD'
        return self.inside(*check) == 0

    def wait_until(self, is_so, seconds = 120):
        """Wait for something."""
        patience = time.monotonic() + seconds
        while time.monotonic() < patience and self.process.poll() is None:
            if is_so():
                return
            time.sleep(0.2)
        raise AssertionError(self.log)

    def wait_until_healthy(self):
        """Wait until it serves, as the image's own check finds as well."""
        self.wait_until(lambda: ':5000/' in self.log)
        self.wait_until(self.is_healthy)

    def stop(self, seconds = 10):
        """What it ends with when an engine asks it to."""
        run(*self.runc('kill', 'it', 'TERM'))
        return self.process.wait(seconds)

    def end(self, seconds = 60):
        """What it ends with by itself."""
        return self.process.wait(seconds)
