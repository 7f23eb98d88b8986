#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What can be set: :mod:`~modules.configuration.options` is the table, :mod:`modules.option` says what a value may be,
:mod:`~modules.configuration.ini` reads the file. The program reads it once and hands it down.

Libraries: none but the standard one, because the launcher reads the options before anything is installed.
"""

from modules.configuration.ini import ConfigurationError, read, suggest_name, to_ini
from modules.configuration.options import (
    OPTIONS,
    ROOT,
    Configuration,
    InstallationOptions,
    LaunchOptions,
    ModelOptions,
    OutputOptions,
    QueueOptions,
    StoreOptions,
    WebOptions,
)
from modules.option import InvalidValue

__all__ = [
    'OPTIONS', 'ROOT', 'Configuration', 'ConfigurationError', 'InstallationOptions', 'InvalidValue',
    'LaunchOptions', 'ModelOptions', 'OutputOptions', 'QueueOptions', 'StoreOptions', 'WebOptions',
    'read', 'suggest_name', 'to_ini'
]
