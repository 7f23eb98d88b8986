#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
From a bare Python to the running program: version, virtual environment, libraries, and then the program itself, or
the checks. Down to the version check it is written so that a Python as old as 3.6 can run it and print what is wrong.

Libraries: none but the standard one, because nothing is installed yet.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: the oldest Python that can run the program, and the newest it was tried with
FLOOR, NEWEST = (3, 10), (3, 13)


def _too_old() -> str:
    """Return the sentence in both languages, because choosing one takes modules that need a newer Python."""
    version = '%d.%d.%d' % sys.version_info[:3]  # noqa: UP031
    sentences = []
    for language in ('zh', 'en'):
        path = ROOT / 'static' / 'locales' / (language + '.json')
        words = json.loads(path.read_text(encoding = 'utf-8'))['launch']['too_old']
        sentences.append(words.format(version = version, python = sys.executable))
    return '\n'.join(sentences)


if sys.version_info < FLOOR:
    sys.exit(_too_old())
if not __package__:
    # Run as a file: the modules beside it are found from the program's folder.
    sys.path[0] = str(ROOT)

import os  # noqa: E402
import signal  # noqa: E402
import subprocess  # noqa: E402

from modules import configuration, i18n, weights  # noqa: E402
from modules.engines.models import MAIN, MODELS  # noqa: E402
from modules.i18n import text  # noqa: E402
from modules.install import command_line, dependencies, environment, repairs  # noqa: E402
from modules.install.checks import run_checks  # noqa: E402
from modules.install.command_line import LaunchArguments  # noqa: E402
from modules.install.environment import Failure  # noqa: E402
from modules.install.pip_settings import pip_variables, python_variables  # noqa: E402
from modules.install.questions import Terminal, is_interactive  # noqa: E402

#: the requirements files: for serving with camera motion, with Stable Video Diffusion too, with the tests too
CORE, SVD, DEVELOPMENT = 'requirements-core.txt', 'requirements.txt', 'requirements-dev.txt'

#: the requirements file of the tunnel
TUNNEL = 'requirements-tunnel.txt'


class Launcher:
    """
    One start.

    :param arguments: the command line
    :type arguments: LaunchArguments
    :param options: the INI
    :type options: configuration.Configuration
    """

    def __init__(self, arguments: LaunchArguments, options: configuration.Configuration):
        self.arguments = arguments
        self.options = options
        self.terminal = Terminal(i18n.of_this_machine(), is_interactive() and not arguments.yes)
        #: the program's arguments
        self.given = list(arguments.rest)
        if arguments.serves:
            words = options.launch.run_arguments
            self.given = command_line.split_run_arguments(words) + self.given
        #: options by which the program fetches something while it serves
        self.later: list[str] = []
        self._indexes: dependencies.ChosenIndexes | None = None

    @property
    def variables(self) -> dict[str, str]:
        """The program's environment; with an environment of its own, without what leads to other libraries."""
        own = self.options.launch.use_venv
        return python_variables() if own else dict(os.environ)

    def prepare_python(self) -> Path:
        """
        Find or make the Python that runs the program, and install what it lacks.

        :return: the interpreter
        :rtype: Path
        :raises Failure: when there can be no environment or pip fails
        """
        self._fetch_small_models()
        if not self.options.launch.use_venv:
            return self._prepare_current_python()
        home, say = self.options.store.venv_home, self.terminal.say
        note = repairs.repair(home, FLOOR, say)
        python = environment.find_interpreter(home)
        lacking = [
            file for file in self._required_files(note.installed)
            if not self._is_installed(file, note)
        ]
        if ROOT / SVD in lacking and environment.is_too_deep(home):
            say(text('launch.too_deep', home = home))
        if lacking and self.terminal.ask('launch.ask_dependencies', True):
            for file in map(self._choose_file, lacking):
                if not self._is_installed(file, note):
                    indexes = self._choose_indexes(file, note.torch_index)
                    self._install(python, file, indexes, pip_variables(python))
                    note = repairs.remember(home, note, file, indexes)
        self._ask_for_model(SVD in note.installed)
        return python

    def _choose_file(self, requirements: Path) -> Path:
        """Return what to install before the program starts; the rest is fetched while it serves."""
        if requirements.name == CORE and self.terminal.ask('launch.ask_svd', False):
            requirements = ROOT / SVD
        if requirements.name == SVD and self.arguments.serves:
            # nobody waits for gigabytes before the first picture
            self.later.append('--fetch-libraries')
            requirements = ROOT / CORE
        return requirements

    def _ask_for_model(self, has_libraries: bool) -> None:
        """Ask whether to fetch the model, where it could be used and is not here."""
        is_coming = has_libraries or '--fetch-libraries' in self.later
        is_lacking = self.arguments.serves and is_coming and not weights.find(self.options, MAIN)
        if is_lacking and self.terminal.ask('launch.ask_model', dependencies.sees_gpu()):
            self.later.append('--fetch-model')

    def _fetch_small_models(self) -> None:
        """Have those models fetched without a question that are small, not here and not refused."""
        for key, model in MODELS.items():
            is_lacking = self.arguments.serves and not weights.find(self.options, model)
            if is_lacking and model.announce and model.announce(self.options):
                self.later += ['--fetch', key]

    def _prepare_current_python(self) -> Path:
        """Return this Python; it is somebody's own, so nothing is installed unless a person agrees."""
        python = Path(sys.executable)
        # START has this Python ignore the variable by which the program will find libraries
        sys.path += filter(None, os.environ.get('PYTHONPATH', '').split(os.pathsep))
        lacking = {file: dependencies.find_missing(file) for file in self._required_files({})}
        names = [name for found in lacking.values() for name in found]
        if names:
            self.terminal.say(text('launch.missing', names = ', '.join(names), python = python))
            if self.arguments.yes or self.terminal.ask('launch.ask_install_here', False):
                for file in filter(lacking.get, lacking):
                    # a PyTorch that is there stays as it is
                    has_torch = 'torch' not in lacking[file]
                    self._install(
                        python, file,
                        self.options.installation if has_torch else self._choose_indexes(file))
        return python

    def _required_files(self, installed: dict[str, str]) -> list[Path]:
        """Return the requirements files of this start; what was once installed is kept up to date."""
        if self.arguments.command == 'test':
            return [ROOT / DEVELOPMENT]
        svd = self.arguments.svd or SVD in installed or dependencies.sees_gpu()
        tunnel = [TUNNEL] if self.arguments.serves and '--ngrok' in self.given else []
        fleet = [dependencies.FLEET] if self.options.queue.broker else []
        return [ROOT / name for name in (SVD if svd else CORE, *tunnel, *fleet)]

    def _is_installed(self, requirements: Path, note: environment.Note) -> bool:
        indexes = self._choose_indexes(requirements, note.torch_index)
        fingerprints = dependencies.compute_fingerprints(requirements, indexes)
        return fingerprints.items() <= note.installed.items()

    def _choose_indexes(self,
                        requirements: Path,
                        remembered: str = '') -> configuration.InstallationOptions:
        """Return where libraries come from; the GPU matters only where PyTorch is among them."""
        if 'torch' not in dependencies.read_names(requirements):
            return self.options.installation
        if self._indexes is None:
            self._indexes = dependencies.choose_indexes(self.options.installation, remembered)
        return self._indexes

    def _install(self,
                 python: Path,
                 requirements: Path,
                 indexes: configuration.InstallationOptions,
                 variables: dict[str, str] | None = None) -> None:
        self.terminal.say(text('launch.installing', file = requirements.name))
        if isinstance(indexes, dependencies.ChosenIndexes):
            index = indexes.pytorch_index_url or text('launch.usual_index')
            self.terminal.say(text('launch.torch_index', index = index, reason = indexes.reason))
        dependencies.install(python, requirements, indexes, self.terminal.asks, variables)

    def run_program(self, python: Path) -> int:
        """
        Become the program; on Windows, where a process cannot become another, wait for it.

        :param python: the interpreter
        :type python: Path
        :return: its exit code
        :rtype: int
        """
        given, token = command_line.extract_token(self.later + self.given)
        command = [str(python), str(ROOT / '__main__.py'), *given]
        variables = {**self.variables, **token}
        sys.stdout.flush()
        if not environment.WINDOWS:
            os.execve(command[0], command, variables)  # noqa: S606
        with subprocess.Popen(command, env = variables) as process:
            while True:
                try:
                    return process.wait()
                except KeyboardInterrupt:
                    continue


def main(arguments: list[str]) -> int:
    """
    Start the program, or the checks.

    :param arguments: the command line
    :type arguments: list[str]
    :return: the exit code
    :rtype: int
    """
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors = 'replace')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    language = i18n.of_this_machine()
    given = command_line.parse_arguments(arguments)
    default = ROOT / 'configuration.ini'
    path = given.config or (default if default.is_file() else None)
    try:
        return _start(given, configuration.read(path))
    except configuration.ConfigurationError as error:
        title = text('configuration.title', count = len(error.problems))
        problems = (words.in_(language) for words in [title, *error.problems])
        print(path, *problems, sep = '\n', file = sys.stderr)
        return 2
    except Failure as failure:
        print(failure.words.in_(language), file = sys.stderr)
        return failure.status
    except KeyboardInterrupt:
        return 130


def _start(arguments: LaunchArguments, options: configuration.Configuration) -> int:
    launcher = Launcher(arguments, options)
    if sys.version_info[:2] > NEWEST and not options.launch.skip_python_checking:
        version = '.'.join(map(str, sys.version_info[:2]))
        launcher.terminal.say(text('launch.newer', version = version))
    python = launcher.prepare_python()
    if arguments.command != 'test':
        return launcher.run_program(python)
    more = arguments.rest[arguments.rest.index('test') + 1:]
    return run_checks(python, more, launcher.variables, launcher.terminal.say)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
