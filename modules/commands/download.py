#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``download``: fetch a model from the shell.

Libraries: tqdm.
"""

import sys
from pathlib import Path

import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from modules import i18n, weights
from modules.commands.arguments import Arguments
from modules.configuration import Configuration
from modules.engines.models import MAIN, MODELS
from modules.i18n import text
from modules.weights import Model
from modules.weights.download import Observer, State, download
from modules.weights.plan import USUAL_TERMS, Terms, make_plan


def run(arguments: Arguments, options: Configuration, language: str) -> int:
    """
    Fetch the model that the command line asks for, and the one that the options name to go with it.

    :param arguments: the command line
    :type arguments: Arguments
    :param options: the configuration
    :type options: Configuration
    :param language: of what is printed
    :type language: str
    :return: the exit code
    :rtype: int
    """
    model = MODELS[arguments.model]
    companion = model.find_companion(options)
    code = fetch(options, language, model = model)
    return code or (fetch(options, language, model = companion) if companion else 0)


def fetch(configuration: Configuration,
          language: str,
          terms: Terms = USUAL_TERMS,
          model: Model = MAIN) -> int:
    """
    Fetch a model, saying beforehand what will come. Interrupted, it continues when run again.

    :param configuration: the options
    :type configuration: Configuration
    :param language: of the words
    :type language: str
    :param terms: what fetching keeps to
    :type terms: Terms
    :param model: the model
    :type model: Model
    :return: 0 when the model is here, 1 when it could not be fetched, 130 after Ctrl-C
    :rtype: int
    """
    try:
        folder = weights.find(configuration, model)
        if warning := model.warn(configuration, folder):
            _print(warning, language)
        folder = folder or _fetch(configuration, language, terms, model)
    except weights.WeightsError as error:
        sys.stderr.write(f'{error.text.in_(language)}\n')
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f'\n{text("weights.interrupted").in_(language)}\n')
        return 130
    _print(text('weights.here', folder = folder), language)
    return 0


def _fetch(configuration: Configuration, language: str, terms: Terms, model: Model) -> Path:
    planned = make_plan(configuration, model, terms = terms)
    for words in planned.messages:
        _print(words, language)
    with logging_redirect_tqdm(), tqdm.tqdm(
            total = planned.bytes_total,
            initial = planned.bytes_here,
            unit = 'B',
            unit_scale = True,
            dynamic_ncols = True) as bar:

        def show(state: State) -> None:
            bar.total = state.bytes_total or bar.total
            bar.set_postfix_str(state.file.rpartition('/')[2], refresh = False)
            bar.update(state.bytes_done - bar.n)

        return download(configuration, model, Observer(show), terms)


def _print(words: i18n.Text, language: str) -> None:
    sys.stdout.write(f'{words.in_(language)}\n')
    sys.stdout.flush()
