#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The image, built and run without Docker: debootstrap makes the base, buildah builds by the Dockerfile, runc runs what
comes of it as an engine would, in namespaces of its own.

Libraries: none but the standard one, pytest.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ('buildah', 'debootstrap', 'runc', 'nsenter', 'curl')

#: the release that python:3.13-slim is made of; docker-compose is there to judge compose.yaml
SUITE, PACKAGES = 'trixie', 'python3,python3-venv,ca-certificates,docker-compose'

#: options of pip that say where an index is and how to get there
REACHING = ('index-url', 'extra-index-url', 'trusted-host', 'proxy', 'cert')


def require():
    """Left out where it cannot be done."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing or os.getuid():
        pytest.skip(f'needs root and {" ".join(missing or TOOLS)}')


def run(*command, **options):
    """A command that has to work; what it writes."""
    done = subprocess.run(
        list(map(str, command)),
        stdin = subprocess.DEVNULL,
        capture_output = True,
        text = True,
        check = False,
        **options)
    assert done.returncode == 0, f'{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}'
    return done.stdout


def pip_settings(folder):
    """
    How this machine's pip reaches its index, for the build to do the same.

    :param folder: where that is written to
    :return: arguments of buildah, which show the build that file, and the certificates named in it
    """
    found = {}
    for line in run(sys.executable, '-m', 'pip', 'config', 'list').splitlines():
        name, _equals, value = line.partition('=')
        words = [word for word in shlex.split(value)[0].split() if not word.startswith('file:')]
        # what the environment says comes first there, and goes first
        if words and name.rpartition('.')[2] in REACHING:
            found.setdefault(name.rpartition('.')[2], words)
    config = folder / 'pip.conf'
    lines = [f'{name} = ' + '\n    '.join(words) for name, words in found.items()]
    config.write_text('\n'.join(['[global]', *lines, '']))
    shown = [f'--volume={config}:/etc/pip.conf:ro']
    return shown + [f'--volume={path}:{path}:ro' for path in found.get('cert', ())]


class Builder:
    """
    Images in a store of their own.

    :param folder: everything lies there
    """

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / 'root'
        self._buildah = ('buildah', f'--root={folder}/store', f'--runroot={folder}/run')

    def buildah(self, *arguments):
        environment = {**os.environ, 'BUILDAH_ISOLATION': 'chroot'}
        return run(*self._buildah, *arguments, env = environment).strip()

    def make_base(self):
        """A small Debian with Python, as an image."""
        run('debootstrap', '--variant=minbase', f'--include={PACKAGES}', SUITE, self.root)
        empty = self.buildah('from', 'scratch')
        self.buildah('add', '--quiet', empty, self.root, '/')
        self.buildah('commit', '--quiet', '--rm', empty, 'base')

    def build(self, context, *arguments):
        """What the build has written."""
        return self.buildah('bud', '--format=docker', '--pull-never', '--layers', '--tag=product',
                            '--build-arg=BASE=localhost/base', *pip_settings(self.folder),
                            *arguments, context)

    def settings(self):
        """What the image says about how to run it."""
        return json.loads(self.buildah('inspect', '--type=image', 'product'))['Docker']['config']

    def files(self):
        """A new container's files."""
        return Path(self.buildah('mount', self.buildah('from', '--pull-never', 'product')))

    def close(self):
        self.buildah('rm', '--all')
        self.buildah('rmi', '--all', '--force')
