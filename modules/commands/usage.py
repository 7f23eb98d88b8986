#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Refuses a bad command line in one sentence, in the reader's language, with the nearest known name; argparse would bury
it under fifteen lines of usage.

Libraries: none but the standard one.
"""

import argparse
from collections.abc import Iterable
from itertools import takewhile
from typing import Any, NoReturn

from modules import configuration, i18n


class Parser(argparse.ArgumentParser):
    """
    The parser of a command line and of its sub-commands, which know the same options.

    :param language: of the messages
    :type language: str
    :param more: as ``argparse`` takes it
    :type more: Any
    """

    def __init__(self, *, language: str, **more: Any):
        super().__init__(allow_abbrev = False, **more)
        self.language = language

    def parse_known_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> Any:
        # an unknown option is refused first: the word behind it would be taken for the command
        words = list(args or ())
        for argument in takewhile(lambda each: each != '--', words):
            name = argument.partition('=')[0]
            if name.startswith('--') and name not in self._option_string_actions:
                self.refuse(
                    configuration.suggest_name('cli.unknown_option', name,
                                               self._option_string_actions))
        return super().parse_known_args(words, namespace)

    def list_options(self) -> list[tuple[str, str]]:
        """
        List the options that hold for every sub-command.

        :return: name with its value's, as ``--port PORT``, and what it does
        :rtype: list[tuple[str, str]]
        """
        return [(f'{action.option_strings[-1]} {action.metavar or ""}'.strip(), action.help or '')
                for action in self._optionals._group_actions]

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices and value not in action.choices:
            where = '/'.join(action.option_strings) or action.metavar
            choices = ', '.join(action.choices)
            self.refuse(
                configuration.suggest_name(
                    'cli.unknown_word', value, action.choices, where = where, choices = choices))

    def refuse(self, words: i18n.Text) -> NoReturn:
        """
        End the program with a sentence.

        :param words: the sentence
        :type words: i18n.Text
        """
        self.error(words.in_(self.language))

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'{message}\n{i18n.text("cli.see_help").in_(self.language)}\n')
