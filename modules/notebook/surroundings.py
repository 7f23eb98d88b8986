#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Where the notebook runs, Google Colab or any Jupyter, and how it speaks to its reader.

Libraries: Colab's own, where they are there.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

from modules import errors, i18n
from modules.i18n import Text

#: the variable, and Colab's secret, that holds ngrok's token
TOKEN = 'NGROK_AUTHTOKEN'  # noqa: S105


class Stopped(Exception):
    """
    A cell cannot go on, for a reason in words, which stand where a traceback would.

    :param words: the reason, in the reader's language
    :type words: str
    """

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def colab() -> SimpleNamespace | None:
    """
    Import what Google Colab offers.

    :return: its modules by their names; None elsewhere
    :rtype: SimpleNamespace | None
    """
    try:
        from google.colab import drive, files, output, userdata
    except ImportError:
        return None
    return SimpleNamespace(drive = drive, files = files, output = output, userdata = userdata)


def find_language() -> str:
    """
    Find the reader's language: in Colab the browser's, for every machine there speaks English.

    :return: one of :data:`modules.i18n.LANGUAGES`
    :rtype: str
    """
    services = colab()
    found = services and services.output.eval_js('navigator.language', timeout_sec = 10)
    return ('zh' if found.startswith('zh') else 'en') if found else i18n.of_this_machine()


@dataclass(frozen = True)
class Reader:
    """The person in front of the notebook."""

    #: one of :data:`modules.i18n.LANGUAGES`
    language: str

    def say(self, words: Text) -> None:
        """
        Print something in the reader's language.

        :param words: what
        :type words: Text
        """
        print(words.in_(self.language), flush = True)  # noqa: T201

    def stop(self, words: Text) -> Stopped:
        """
        Make the exception that ends a cell.

        :param words: the reason
        :type words: Text
        :return: to be raised
        :rtype: Stopped
        """
        return Stopped(words.in_(self.language))

    @contextmanager
    def stopped_by_refusals(self) -> Iterator[None]:
        """
        Turn a refusal into words.

        :return: within it, a refusal ends the cell with its sentence
        :rtype: Iterator[None]
        :raises Stopped: with what was refused
        """
        try:
            yield
        except errors.Refusal as refusal:
            raise self.stop(refusal.text) from None


def find_token() -> str:
    """
    Find ngrok's token in the environment or among Colab's secrets.

    :return: the token; empty where there is none that this notebook may read
    :rtype: str
    """
    services = colab()
    if os.environ.get(TOKEN) or not services:
        return os.environ.get(TOKEN, '')
    secret = services.userdata
    try:
        return secret.get(TOKEN)
    except (secret.SecretNotFoundError, secret.NotebookAccessError, secret.TimeoutException):
        return ''
