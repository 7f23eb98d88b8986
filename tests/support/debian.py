#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A Debian that is no more than some packages: apt finds and fetches them with all they depend on, dpkg-deb unpacks them.
None of them is configured, but for users and certificates.

Libraries: none but the standard one.
"""

import functools
import platform
import shutil
import subprocess
from pathlib import Path

TOOLS = ('apt-get', 'dpkg', 'dpkg-deb')

#: who may sign packages
KEYS = Path('/usr/share/keyrings/debian-archive-keyring.gpg')


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


def lacks():
    """What a machine has to have and this one has not."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    return missing or ([] if KEYS.exists() and _mirror() else ['Debian'])


@functools.cache
def _mirror():
    """Where this machine's own packages come from, if it is a Debian."""
    if platform.freedesktop_os_release().get('ID') != 'debian':
        return None
    listed = run('apt-get', 'indextargets', '--format', '$(REPO_URI) $(RELEASE)')
    places = [line.split() for line in listed.splitlines()]
    # those of updates are called after the release, with a word more
    return next((place for place, release in places if '-' not in release), None)


class Packages:
    """
    Packages with all they depend on, as files.

    :param folder: where they and apt's own lists go
    :param suite: the release
    :param names: of the packages
    """

    def __init__(self, folder, suite, *names):
        self.folder = folder
        for name in ('state/lists/partial', 'cache/archives/partial'):
            (folder / name).mkdir(parents = True)
        (folder / 'status').touch()
        kind = run('dpkg', '--print-architecture').strip()
        (folder /
         'sources').write_text(f'deb [arch={kind} signed-by={KEYS}] {_mirror()} {suite} main\n')
        self._apt('update')
        self._apt('--no-install-recommends', '--download-only', 'install', *names)

    def _apt(self, *arguments):
        """apt, which knows nothing of what this machine has."""
        own = {
            'Dir::State': self.folder / 'state',
            'Dir::State::status': self.folder / 'status',
            'Dir::Cache': self.folder / 'cache',
            'Dir::Etc::SourceList': self.folder / 'sources',
            'Dir::Etc::SourceParts': '-',
            'Dir::Etc::PreferencesParts': '-',
            'Acquire::Languages': 'none',
            'Acquire::Retries': 3,
            'APT::Sandbox::User': 'root',
        }
        options = [f'--option={name}={value}' for name, value in own.items()]
        run('apt-get', '--quiet', '--yes', *options, *arguments)

    def unpack(self, root, pattern = '*', without = ''):
        """
        Unpack packages.

        :param root: into this folder
        :param pattern: those whose names fit
        :param without: the name of one that is left out
        """
        for path in sorted((self.folder / 'cache' / 'archives').glob(f'{pattern}_*.deb')):
            if path.name.partition('_')[0] != without:
                run('dpkg-deb', '--extract', path, root)


def configure(root):
    """Know the users that every Debian has, and trust whom it trusts."""
    for name in ('passwd', 'group'):
        (root / 'etc' / name).write_bytes(
            (root / f'usr/share/base-passwd/{name}.master').read_bytes())
    trusted = sorted((root / 'usr/share/ca-certificates').rglob('*.crt'))
    (root / 'etc/ssl/certs/ca-certificates.crt').write_bytes(b''.join(path.read_bytes()
                                                                      for path in trusted))
