#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Reading weights in a process of many threads. While diffusers, transformers and accelerate construct a model, they swap
torch's initialisation, its way to register parameters and its default precision, for the whole process: two loads at
once leave parameters without numbers, and a clip that is made meanwhile computes in another precision.

Libraries: torch, imported by whoever loads.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: held by the one thread that loads
_LOCK = threading.Lock()


@contextmanager
def loading() -> Iterator[None]:
    """
    Within it, no other thread loads weights, and what this one does leaves the precision that others compute with
    alone. Models are constructed at full precision then, without numbers, and filled at the one that was asked for;
    those of transformers may have to be converted afterwards.

    :yield: nothing
    :ytype: None
    """
    import torch
    with _LOCK:
        usual = torch.set_default_dtype
        torch.set_default_dtype = _ignore
        try:
            yield
        finally:
            torch.set_default_dtype = usual


def _ignore(_dtype: object) -> None:
    """Take the place of what changes the precision of every thread."""
