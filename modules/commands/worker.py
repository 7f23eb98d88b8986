#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``worker``: take jobs from the broker.

Libraries: none here; Dramatiq and redis where a ``Broker`` is set.
"""

import sys

from modules import configuration
from modules.commands.arguments import Arguments
from modules.configuration import Configuration
from modules.i18n import Text, text
from modules.install import dependencies
from modules.terminal import print_text


def run(_arguments: Arguments, options: Configuration, language: str) -> int:
    """
    Take jobs from the broker until a signal.

    :param _arguments: the command line
    :type _arguments: Arguments
    :param options: the configuration
    :type options: Configuration
    :param language: of what is printed
    :type language: str
    :return: the exit code
    :rtype: int
    """
    if not options.queue.broker:
        print_text(text('cli.no_broker'), language)
        return 2
    if problem := find_missing_libraries(options):
        print_text(problem, language)
        return 1
    from modules.jobs.fleet import worker
    return worker.run(options, language)


def find_missing_libraries(options: Configuration) -> Text | None:
    """
    Tell whether a ``Broker`` is set that cannot be reached, because its libraries are not installed.

    :param options: the configuration
    :type options: Configuration
    :return: what to do; None where there is nothing to do
    :rtype: Text | None
    """
    file = configuration.ROOT / dependencies.FLEET
    if options.queue.broker and dependencies.find_missing(file):
        return text('cli.no_broker_libraries', python = sys.executable, file = file)
    return None
