#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a checkpoint is called, and what kind it is.

Libraries: none.
"""

import json
import re
from pathlib import Path

from modules.configuration import ROOT

#: what models for few steps, and the schedulers that only they have, are called
FEW_STEPS = r'(?i)lcm(?![a-z])|StochasticIterative'

#: a model's place on the hub
HUB_NAME = r'[A-Za-z0-9][\w.-]*/[\w.-]+'


def has_few_steps(name: str, folder: Path | None) -> bool:
    """
    Whether weights were distilled for few steps; with an ordinary scheduler they give mush.

    :param name: the option ``ModelName``
    :type name: str
    :param folder: a whole model, where there is one
    :type folder: Path | None
    :return: the answer, by its name and its scheduler
    :rtype: bool
    """
    # folders above it may be called anything
    if re.search(FEW_STEPS, _last_part(name)):
        return True
    config = folder / 'scheduler' / 'scheduler_config.json' if folder else None
    if config is None or not config.is_file():
        return False
    kind = json.loads(config.read_text(encoding = 'utf-8')).get('_class_name', '')
    return bool(re.search(FEW_STEPS, kind))


def public_name(name: str) -> str:
    """
    A model's name as it may be told to anybody.

    :param name: the option ``ModelName``
    :type name: str
    :return: its name on the hub, or its folder without what leads there
    :rtype: str
    """
    is_folder = any((place / name).is_dir() for place in (Path.cwd(), ROOT))
    if re.fullmatch(HUB_NAME, name, re.ASCII) and not is_folder:
        return name
    return _last_part(name)


def _last_part(name: str) -> str:
    return re.split(r'[/\\]', name.rstrip('/\\'))[-1]
