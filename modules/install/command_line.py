#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The command line as the launcher reads it: its own options, and what is left for the program.

Libraries: none but the standard one, because nothing is installed yet.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

from modules.i18n import text
from modules.install import environment
from modules.install.environment import Failure

#: the option with the tunnel's token, and the variable that keeps it out of the list of processes
TOKEN_OPTION, TOKEN_VARIABLE = '--ngrok-authtoken', 'NGROK_AUTHTOKEN'

#: options after which no value stands, so that the word behind them may be the sub-command
FLAGS = ('-h', '--help', '--version', '--progress-bar', '--output-temp', '--fetch-libraries',
         '--fetch-model', '--depth', '--ngrok', '--public')

#: options that print something and end
INFORMATION = ('-h', '--help', '--version')


@dataclass(frozen = True)
class LaunchArguments:
    """The launcher's own options, and the arguments of the program."""

    #: whether every question is answered by its default
    yes: bool
    #: whether Stable Video Diffusion is wanted without a GPU too
    svd: bool
    #: the INI named by ``--config``
    config: Path | None
    #: everything else, in its order, for the program
    rest: tuple[str, ...]

    @property
    def is_information(self) -> bool:
        """Whether the program only prints something and ends."""
        return any(argument in INFORMATION for argument in self.rest)

    @property
    def serves(self) -> bool:
        """Whether the program is to serve the page."""
        return self.command in ('', 'serve') and not self.is_information

    @property
    def command(self) -> str:
        """Return the first word that is neither an option nor an option's value; empty where there is none."""
        is_value = False
        for word in self.rest:
            if not is_value and not word.startswith('-'):
                return word
            is_value = word.startswith('-') and '=' not in word and word not in FLAGS
        return ''


def parse_arguments(arguments: list[str]) -> LaunchArguments:
    """
    Separate the launcher's own options from the program's arguments.

    :param arguments: the command line
    :type arguments: list[str]
    :return: both
    :rtype: LaunchArguments
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
    return LaunchArguments('--yes' in own, '--svd' in own, config, tuple(rest))


def split_run_arguments(words: str, windows: bool = environment.WINDOWS) -> list[str]:
    """
    Split ``RunArguments`` as a shell would; on Windows a backslash escapes nothing.

    :param words: the value of the INI
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


def extract_token(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """
    Take the tunnel's token out of the arguments, because every user of a machine sees the arguments of its programs.

    :param arguments: for the program
    :type arguments: list[str]
    :return: the other arguments, and the variables to add to the environment
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
