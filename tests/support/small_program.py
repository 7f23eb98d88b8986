#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A folder that starts like the real program but is small: the real START and launcher, a stand-in ``__main__.py`` that
tells what it was given, and requirements that a wheel made here fulfils without a network.

Libraries: none but the standard one.
"""

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: what the launcher is made of
FILES = ('__init__.py', 'choices.py', 'i18n.py', 'option.py')
FOLDERS = ('configuration', 'engines', 'install', 'weights')

#: where the model lies that is fetched unasked, and the fewest bytes that are a whole one
DEPTH_MODEL = 'models/onnx-community/depth-anything-v2-small/onnx/model.onnx'
NO_GRAPH = bytes([8, 9, 58, 0, 66, 0])

#: what another Python is just compiling, which may have gone the next moment
UNFINISHED = shutil.ignore_patterns('*.pyc.*')

#: tells its arguments and its Python, then ends as the environment says
STAND_IN = '''
import json, os, sys
print(json.dumps({'arguments': sys.argv[1:], 'prefix': sys.prefix, 'cwd': os.getcwd()}))
sys.exit(int(os.environ.get('EXIT', '0')))
'''


@dataclass
class SmallProgram:
    """
    The folder and how it is started.

    :param home: the folder
    :type home: Path
    :param environment: variables besides those every start has
    :type environment: dict
    """

    home: Path
    environment: dict = field(default_factory = dict)

    def variables(self, **more: str) -> dict:
        """English, no settings of this machine's pip, no index but the wheels."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith('PIP_')}
        own = {
            'LC_ALL': 'C.UTF-8',
            'PIP_CONFIG_FILE': os.devnull,
            'PIP_NO_INDEX': '1',
            'PIP_FIND_LINKS': (self.home / 'wheels').as_uri(),
            'PIP_DISABLE_PIP_VERSION_CHECK': '1',
        }
        return {**kept, **own, **self.environment, **more}

    def command(self, *arguments: str) -> list[str]:
        """The launcher under the Python of the tests."""
        return [sys.executable, str(self.home / 'modules' / 'install' / 'launch.py'), *arguments]

    def start(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        """A start with nobody at the terminal."""
        return subprocess.run(
            self.command(*arguments),
            env = self.variables(**variables),
            stdin = subprocess.DEVNULL,
            capture_output = True,
            text = True,
            encoding = 'utf-8',
            check = False,
            timeout = 120)

    def start_at_terminal(self, answers: str, *arguments: str) -> tuple[int, str]:
        """A start at a terminal where somebody types ``answers``: exit code, and all that was shown."""
        ours, theirs = pty.openpty()
        with subprocess.Popen(
                self.command(*arguments),
                env = self.variables(),
                stdin = theirs,
                stdout = theirs,
                stderr = theirs,
                start_new_session = True) as process:
            os.close(theirs)
            os.write(ours, answers.encode())
            shown = b''.join(iter(lambda: _read(ours), b''))
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        os.close(ours)
        return process.returncode, shown.decode(errors = 'replace')

    def set_options(self, ini: str) -> None:
        """Write the INI."""
        (self.home / 'configuration.ini').write_text(ini, encoding = 'utf-8')

    def require(self,
                core: str,
                svd: str = '',
                development: str = '',
                *,
                tunnel: str = '',
                fleet: str = '') -> None:
        """Write what each requirements file asks for."""
        files = {
            'requirements-core.txt': core,
            'requirements.txt': f'-r requirements-core.txt\n{svd}',
            'requirements-dev.txt': f'-r requirements.txt\n{development}',
            'requirements-tunnel.txt': tunnel,
            'requirements-fleet.txt': fleet,
        }
        for name, content in files.items():
            (self.home / name).write_text(f'{content}\n', encoding = 'utf-8')


def build(home: Path) -> SmallProgram:
    """Lay the folder out; it lacks no model and no library and uses no virtual environment until told otherwise."""
    (home / 'modules').mkdir(parents = True)
    for name in FILES:
        shutil.copy(ROOT / 'modules' / name, home / 'modules')
    for name in FOLDERS:
        shutil.copytree(ROOT / 'modules' / name, home / 'modules' / name, ignore = UNFINISHED)
    for name in ('START', 'START.bat'):
        shutil.copy(ROOT / name, home)
    shutil.copytree(ROOT / 'static' / 'locales', home / 'static' / 'locales')
    (home / '__main__.py').write_text(STAND_IN, encoding = 'utf-8')
    (home / 'wheels').mkdir()
    for name in ('tiny', 'torch'):
        make_wheel(home / 'wheels', name)
    (home / DEPTH_MODEL).parent.mkdir(parents = True)
    (home / DEPTH_MODEL).write_bytes(NO_GRAPH)
    program = SmallProgram(home)
    program.require('')
    program.set_options('[LaunchOptions]\nUseVenv = False\n')
    return program


def copy_environment(home: Path, copy: Path) -> Path:
    """A copy of a virtual environment, with links to what is large and never changed; it may be moved."""
    libraries = find_libraries(home)
    large = [
        each for each in libraries.iterdir()
        if each.is_dir() and each.suffix != '.dist-info' and each.name != '__pycache__'
    ]
    names = {each.name for each in large}
    shutil.copytree(
        home,
        copy,
        symlinks = True,
        ignore = lambda folder, _names: names if Path(folder) == libraries else ())
    for each in large:
        (find_libraries(copy) / each.name).symlink_to(each.resolve())
    return copy


def copy(home: Path, new: Path) -> SmallProgram:
    """A copy of a program that has an environment."""
    at_top = str(home)
    shutil.copytree(
        home,
        new,
        symlinks = True,
        ignore = lambda folder, _names: ['.venv'] if folder == at_top else [])
    copy_environment(home / '.venv', new / '.venv')
    return SmallProgram(new)


def find_libraries(home: Path) -> Path:
    """Where a virtual environment has its libraries."""
    return next(home.glob('lib/python*/site-packages'))


def make_wheel(folder: Path,
               name: str,
               version: str = '1',
               requires: str = '',
               file: str = '') -> Path:
    """A library of one module that knows its name and version; or of another file that holds them."""
    folder.mkdir(parents = True, exist_ok = True)
    info = f'{name}-{version}.dist-info'
    facts = f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n'
    needs = f'Requires-Dist: {requires}\n' if requires else ''
    path = folder / f'{name}-{version}-py3-none-any.whl'
    with zipfile.ZipFile(path, 'w') as wheel:
        wheel.writestr(file or f'{name}.py', f'__version__ = "{name} {version}"\n')
        wheel.writestr(f'{info}/METADATA', facts + needs)
        wheel.writestr(f'{info}/WHEEL',
                       'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
        wheel.writestr(f'{info}/RECORD', '')
    return path


def make_index(folder: Path, *wheels: dict) -> str:
    """A package index of wheels as :func:`make_wheel` makes them; its address."""
    for wheel in wheels:
        project = folder / wheel['name'].replace('_', '-')
        made = make_wheel(project, **wheel)
        (project / 'index.html').write_text(f'<a href="{made.name}">{made.name}</a>')
    return folder.as_uri()


def parse_output(output: str) -> dict:
    """What the stand-in said, whatever stands before it."""
    return json.loads(output.strip().splitlines()[-1])


def _read(descriptor: int) -> bytes:
    """What a terminal shows; nothing once its last program has gone, or waits for an answer nobody gives."""
    if not select.select([descriptor], [], [], 30)[0]:
        return b''
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b''
