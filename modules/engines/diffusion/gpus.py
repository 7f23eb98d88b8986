#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The GPUs of this machine beside the one that an engine has taken, each for an engine of its own.

Libraries: torch, where an engine has imported it.
"""

import dataclasses

from modules.configuration import Configuration
from modules.install import installed_torch


def others(configuration: Configuration) -> list[Configuration]:
    """
    What to make further engines with. Asked before an engine has imported torch, or of a machine whose engine needs
    none, there are no others; nor are there where ``Device`` names one GPU.

    :param configuration: the options
    :type configuration: Configuration
    :return: the same options, with ``Device`` naming every GPU but the first
    :rtype: list[Configuration]
    """
    torch = installed_torch.find_imported()
    if configuration.model.device not in ('auto', 'cuda') or torch is None:
        return []
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [
        dataclasses.replace(
            configuration,
            model = dataclasses.replace(configuration.model, device = f'cuda:{number}'))
        for number in range(1, count)
    ]
