#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Why PyTorch sees no GPU where NVIDIA's driver shows one, and what helps.

Libraries: none but the standard one.
"""

import functools
import platform
import sys

from modules.i18n import Text
from modules.install import installed_torch, nvidia, torch_builds

#: seconds to wait for an answer of the driver's tool; a page may be waiting too
PATIENCE = 5


def explain(option: str) -> Text | None:
    """
    Explain it; to be asked where the device is the CPU.

    :param option: the option ``Device``
    :type option: str
    :return: the reason, and the way out; None where the driver shows none, or none is wanted
    :rtype: Text | None
    """
    is_wanted = option == 'auto' or option.startswith('cuda')
    return explain_for(installed_torch.find()) if is_wanted else None


@functools.cache
def explain_for(build: installed_torch.InstalledTorch | None) -> Text | None:
    """
    Explain it for one build of PyTorch, once; the driver's tool takes its time, and every request may want to know.

    :param build: the build
    :type build: installed_torch.InstalledTorch | None
    :return: as :func:`explain`
    :rtype: Text | None
    """
    driver = nvidia.ask_driver(PATIENCE)
    if driver is None or build is None:
        return None
    fitting = torch_builds.choose(driver, sys.platform, platform.machine())
    return torch_builds.explain_unseen(driver, build.cuda, build.version, fitting.index)
