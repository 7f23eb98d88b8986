#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
From a bare Python to the running program: version, virtual environment, libraries, and then the program itself, or
the tests. Down to the version check it is written so that a Python as old as 3.6 reads it and says what is wrong.

Libraries: none but the standard one, because nothing is installed yet.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: the oldest Python that can run the program, and the newest it was tried with
FLOOR, NEWEST = (3, 10), (3, 13)


def _too_old() -> str:
    """In both languages, because choosing one takes modules that need a newer Python."""
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
import shlex  # noqa: E402
import signal  # noqa: E402
import subprocess  # noqa: E402
from dataclasses import dataclass  # noqa: E402

from modules import configuration, i18n, weights  # noqa: E402
from modules.i18n import Text, text  # noqa: E402
from modules.install import dependencies, environment, pip_settings, repairs  # noqa: E402
from modules.install.environment import Failure  # noqa: E402

#: what there is to check
SOURCES = ('__main__.py', 'app.py', 'modules', 'tests', 'bench')

#: what ``START test`` runs: a name, and what stands after ``python``. None of them is called by its script, because a
#: script holds the path of its environment and breaks when the folder is moved.
CHECKS = (
    ('pytest', ('-m', 'pytest', '-n', 'auto', '--dist', 'loadfile', '--no-loadscope-reorder')),
    ('ruff', ('-m', 'ruff', 'check', *SOURCES)),
    ('yapf', ('-m', 'yapf', '--diff', '--recursive', *SOURCES)),
    ('pydoclint', ('-m', 'pydoclint.main', *SOURCES)),
    ('vermin', ('-c', 'import vermin; vermin.main()', '--target=3.10-', '--no-tips', '--violations',
                *SOURCES)),
)

#: the requirements files: for serving with camera motion, with Stable Video Diffusion too, with the tests too
CORE, SVD, DEVELOPMENT = 'requirements-core.txt', 'requirements.txt', 'requirements-dev.txt'

#: the requirements file of the tunnel
TUNNEL = 'requirements-tunnel.txt'

#: the option that tells the tunnel's token, and the variable that tells it unseen
TOKEN_OPTION, TOKEN_VARIABLE = '--ngrok-authtoken', 'NGROK_AUTHTOKEN'

#: options after which no value stands, so that the word behind them may be the sub-command
FLAGS = ('-h', '--help', '--version', '--progress-bar', '--output-temp', '--fetch-libraries',
         '--fetch-model', '--depth', '--ngrok', '--public')

#: options that only tell something
TELLING = ('-h', '--help', '--version')


@dataclass(frozen = True)
class Orders:
    """What the command line asks of the launcher, and what is left for the program."""

    #: whether every question is answered by its default
    yes: bool
    #: whether Stable Video Diffusion is wanted without a GPU too
    svd: bool
    #: the INI named by ``--config``
    config: Path | None
    #: everything else, in its order; the program's own
    rest: tuple[str, ...]

    @property
    def command(self) -> str:
        """The sub-command: the first word that is neither an option nor an option's value; empty where none is."""
        is_value = False
        for word in self.rest:
            if not is_value and not word.startswith('-'):
                return word
            is_value = word.startswith('-') and '=' not in word and word not in FLAGS
        return ''


def understand(arguments: list[str]) -> Orders:
    """
    Part the launcher's own options from the program's arguments.

    :param arguments: the command line
    :type arguments: list[str]
    :return: both
    :rtype: Orders
    """
    end = arguments.index('--') if '--' in arguments else len(arguments)
    own = [argument for argument in arguments[:end] if argument in ('--yes', '--svd')]
    rest = [argument for argument in arguments[:end] if argument not in own] + arguments[end:]
    config = None
    for argument, following in zip(rest, [*rest[1:], None]):  # noqa: B905
        if argument.startswith('--config='):
            config = Path(argument.partition('=')[2])
        elif argument == '--config' and following:
            config = Path(following)
    return Orders('--yes' in own, '--svd' in own, config, tuple(rest))


def run_arguments(words: str, windows: bool = environment.WINDOWS) -> list[str]:
    """
    Part ``RunArguments`` as a shell would; on Windows a backslash is a letter like others.

    :param words: what the INI says
    :type words: str
    :param windows: whether paths are written with backslashes
    :type windows: bool
    :return: the arguments
    :rtype: list[str]
    :raises Failure: when a quote is left open
    """
    lexer = shlex.shlex(words, posix = True, punctuation_chars = False)
    lexer.whitespace_split, lexer.commenters = True, ''
    lexer.escape = '' if windows else lexer.escape
    try:
        return list(lexer)
    except ValueError as error:
        raise Failure(text('launch.run_arguments', words = words), 2) from error


def without_token(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """
    Part the tunnel's token from the arguments, because every user of a machine sees the arguments of its programs.

    :param arguments: for the program
    :type arguments: list[str]
    :return: the others, and what to add to the environment
    :rtype: tuple[list[str], dict[str, str]]
    """
    end = arguments.index('--') if '--' in arguments else len(arguments)
    words, rest, found = arguments[:end], [], {}
    while words:
        word = words.pop(0)
        option, _equals, value = word.partition('=')
        if word == TOKEN_OPTION and words and not words[0].startswith('-'):
            value = words.pop(0)
        if option == TOKEN_OPTION and value:
            found = {TOKEN_VARIABLE: value}
        else:
            rest.append(word)
    return rest + arguments[end:], found


def program_variables(options: configuration.LaunchOptions) -> dict[str, str]:
    """
    The environment of the program.

    :param options: how it is launched
    :type options: configuration.LaunchOptions
    :return: that of this process; for the program's own Python without what leads it to other libraries
    :rtype: dict[str, str]
    """
    return pip_settings.python_variables() if options.use_venv else dict(os.environ)


def at_terminal() -> bool:
    """
    Whether somebody is there to be asked.

    :return: True when both standard input and output are a terminal
    :rtype: bool
    """
    return all(stream and stream.isatty() for stream in (sys.stdin, sys.stdout))


class Launcher:
    """
    One start.

    :param orders: the command line
    :type orders: Orders
    :param options: the INI
    :type options: configuration.Configuration
    """

    def __init__(self, orders: Orders, options: configuration.Configuration):
        self.orders = orders
        self.options = options
        self.language = i18n.of_this_machine()
        self.asks = at_terminal() and not orders.yes
        is_telling = any(argument in TELLING for argument in orders.rest)
        self.serves = orders.command in ('', 'serve') and not is_telling
        #: the program's arguments
        self.given = list(orders.rest)
        if self.serves:
            self.given = run_arguments(options.launch.run_arguments) + self.given
        #: what the program is told to fetch while it serves
        self.later: list[str] = []
        self._settled: dependencies.SettledOptions | None = None

    def say(self, words: Text) -> None:
        """
        Tell the person something, on standard error because standard output is the program's.

        :param words: what
        :type words: Text
        """
        print(words.in_(self.language), file = sys.stderr, flush = True)

    def ask(self, key: str, default: bool) -> bool:
        """
        Ask a question; Enter, and everything unattended, is the default.

        :param key: of the question in the locale files
        :type key: str
        :param default: the answer of Enter
        :type default: bool
        :return: the answer
        :rtype: bool
        """
        answers = {
            '': default,
            'y': True,
            'yes': True,
            '是': True,
            'n': False,
            'no': False,
            '否': False
        }
        while self.asks:
            choices = 'Y/n' if default else 'y/N'
            try:
                answer = input(f'{text(key).in_(self.language)} [{choices}] ').strip().lower()
            except EOFError:
                break
            if answer in answers:
                return answers[answer]
        return default

    def python(self) -> Path:
        """
        The Python that runs the program, with everything installed.

        :return: the interpreter
        :rtype: Path
        :raises Failure: when there can be no environment or pip fails
        """
        if not self.options.launch.use_venv:
            return self._python_in_use()
        home = self.options.store.venv_home
        note = repairs.check(home, FLOOR, self.say)
        python, wanted = environment.interpreter(home), self._wanted(note.installed)
        lacking = [file for file in wanted if not self._is_installed(file, note)]
        if ROOT / SVD in lacking and environment.is_too_deep(home):
            self.say(text('launch.too_deep', home = home))
        if lacking and self.ask('launch.ask_dependencies', True):
            for file in map(self._now, lacking):
                if not self._is_installed(file, note):
                    indexes = self._indexes(file, note)
                    self._install(python, file, indexes, pip_settings.pip_variables(python))
                    note = repairs.remember(home, note, file, indexes)
        self._ask_for_the_model(SVD in note.installed)
        return python

    def _now(self, requirements: Path) -> Path:
        """What to install before the program starts."""
        if requirements.name == CORE and self.ask('launch.ask_svd', False):
            requirements = ROOT / SVD
        if requirements.name == SVD and self.serves:
            # nobody waits for gigabytes before the first picture: the program fetches them while it serves
            self.later.append('--fetch-libraries')
            requirements = ROOT / CORE
        return requirements

    def _ask_for_the_model(self, has_libraries: bool) -> None:
        """Only where it could be used, and only while it is not here."""
        is_coming = has_libraries or '--fetch-libraries' in self.later
        is_lacking = self.serves and is_coming and not weights.find(self.options)
        if is_lacking and self.ask('launch.ask_model', dependencies.sees_gpu()):
            self.later.append('--fetch-model')

    def _python_in_use(self) -> Path:
        """It belongs to somebody, so nothing is installed unless that somebody says so."""
        python = Path(sys.executable)
        # START has this Python look past a variable by which the program will find libraries
        sys.path += filter(None, os.environ.get('PYTHONPATH', '').split(os.pathsep))
        lacking = {file: dependencies.missing(file) for file in self._wanted({})}
        names = sum(lacking.values(), [])
        if names:
            self.say(text('launch.missing', names = ', '.join(names), python = python))
            if self.orders.yes or self.ask('launch.ask_install_here', False):
                for file in filter(lacking.get, lacking):
                    # a PyTorch that is there stays as it is
                    has_torch = 'torch' not in lacking[file]
                    self._install(python, file,
                                  self.options.installation if has_torch else self._indexes(file))
        return python

    def _wanted(self, installed: dict) -> list[Path]:
        """The requirements files this start needs; what was once installed is kept up to date."""
        if self.orders.command == 'test':
            return [ROOT / DEVELOPMENT]
        svd = self.orders.svd or SVD in installed or dependencies.sees_gpu()
        tunnel = [TUNNEL] if self.serves and '--ngrok' in self.given else []
        fleet = [dependencies.FLEET] if self.options.queue.broker else []
        return [ROOT / name for name in (SVD if svd else CORE, *tunnel, *fleet)]

    def _is_installed(self, requirements: Path, note: environment.Note) -> bool:
        done = dependencies.fingerprints(requirements, self._indexes(requirements, note))
        return done.items() <= note.installed.items()

    def _indexes(self,
                 requirements: Path,
                 note: environment.Note | None = None) -> configuration.InstallationOptions:
        """Where its libraries come from; of the GPU nobody asks before PyTorch is to be had."""
        if 'torch' not in dependencies.names(requirements):
            return self.options.installation
        if self._settled is None:
            remembered = note.torch_index if note else ''
            self._settled = dependencies.settle(self.options.installation, remembered)
        return self._settled

    def _install(self,
                 python: Path,
                 requirements: Path,
                 indexes: configuration.InstallationOptions,
                 variables: dict[str, str] | None = None) -> None:
        self.say(text('launch.installing', file = requirements.name))
        if isinstance(indexes, dependencies.SettledOptions):
            index = indexes.pytorch_index_url or text('launch.usual_index')
            self.say(text('launch.torch_index', index = index, reason = indexes.reason))
        dependencies.install(python, requirements, indexes, self.asks, variables)

    def program(self, python: Path) -> int:
        """
        Become the program; on Windows, where nothing can become another, wait for it.

        :param python: the interpreter
        :type python: Path
        :return: its exit code
        :rtype: int
        """
        given, token = without_token(self.later + self.given)
        command = [str(python), str(ROOT / '__main__.py'), *given]
        variables = {**program_variables(self.options.launch), **token}
        sys.stdout.flush()
        if not environment.WINDOWS:
            os.execve(command[0], command, variables)  # noqa: S606
        with subprocess.Popen(command, env = variables) as process:
            while True:
                try:
                    return process.wait()
                except KeyboardInterrupt:
                    continue

    def checks(self, python: Path) -> int:
        """
        Run every check, whatever the others say.

        :param python: the interpreter
        :type python: Path
        :return: 0 when all passed, else 1
        :rtype: int
        """
        os.chdir(ROOT)
        results = {}
        for name, command in CHECKS:
            self.say(text('launch.check', name = name))
            there = [word for word in command if word not in SOURCES or (ROOT / word).exists()]
            more = self.orders.rest[self.orders.rest.index('test') + 1:] if name == 'pytest' else ()
            results[name] = environment.run([str(python), *there, *more],
                                            program_variables(self.options.launch))
        for name, status in results.items():
            self.say(
                text(
                    'launch.check_failed' if status else 'launch.check_passed',
                    name = name,
                    status = status))
        return int(any(results.values()))


def main(arguments: list[str]) -> int:
    """
    Start.

    :param arguments: the command line
    :type arguments: list[str]
    :return: the exit code
    :rtype: int
    """
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors = 'replace')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    language = i18n.of_this_machine()
    orders = understand(arguments)
    default = ROOT / 'configuration.ini'
    path = orders.config or (default if default.is_file() else None)
    try:
        return _start(orders, configuration.read(path))
    except configuration.ConfigurationError as error:
        title = text('configuration.title', count = len(error.problems))
        print(
            path,
            *(words.in_(language) for words in [title, *error.problems]),
            sep = '\n',
            file = sys.stderr)
        return 2
    except Failure as failure:
        print(failure.words.in_(language), file = sys.stderr)
        return failure.status
    except KeyboardInterrupt:
        return 130


def _start(orders: Orders, options: configuration.Configuration) -> int:
    launcher = Launcher(orders, options)
    if sys.version_info[:2] > NEWEST and not options.launch.skip_python_checking:
        launcher.say(text('launch.newer', version = '.'.join(map(str, sys.version_info[:2]))))
    python = launcher.python()
    return launcher.checks(python) if orders.command == 'test' else launcher.program(python)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
