#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the launcher says and asks in the terminal, in the person's language.

Libraries: none but the standard one, because nothing is installed yet.
"""

import sys
from dataclasses import dataclass

from modules.i18n import Text, text

ANSWERS = {'y': True, 'yes': True, '是': True, 'n': False, 'no': False, '否': False}


@dataclass(frozen = True)
class Terminal:
    """The terminal the launcher was started in."""

    language: str
    #: whether questions are asked, or each is answered by its default
    asks: bool

    def say(self, words: Text) -> None:
        """
        Print to standard error, because standard output is the program's.

        :param words: what to print
        :type words: Text
        """
        print(words.in_(self.language), file = sys.stderr, flush = True)

    def ask(self, key: str, default: bool) -> bool:
        """
        Ask a question.

        :param key: of the question in the locale files
        :type key: str
        :param default: the answer when only Enter is pressed, and when nobody is asked
        :type default: bool
        :return: the answer
        :rtype: bool
        """
        while self.asks:
            choices = 'Y/n' if default else 'y/N'
            try:
                answer = input(f'{text(key).in_(self.language)} [{choices}] ').strip().lower()
            except EOFError:
                break
            if not answer or answer in ANSWERS:
                return ANSWERS.get(answer, default)
        return default


def is_interactive() -> bool:
    """
    Check whether a person can be asked.

    :return: True when both standard input and output are a terminal
    :rtype: bool
    """
    return all(stream and stream.isatty() for stream in (sys.stdin, sys.stdout))
