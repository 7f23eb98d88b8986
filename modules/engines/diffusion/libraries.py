#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Reading weights with diffusers and transformers, in a process of many threads. While diffusers, transformers and
accelerate construct a model, they swap torch's initialisation, its way to register parameters and its default
precision, for the whole process: two loads at once leave parameters without numbers, and a clip that is made meanwhile
computes in another precision.

Libraries: torch and diffusers, imported by whoever loads.
"""

import importlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from modules.progress import StopIfCancelled

#: library → the version that renamed the argument for the precision
RENAMED = {'diffusers': (0, 40), 'transformers': (4, 56)}

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


@contextmanager
def stopping(stop_if_cancelled: StopIfCancelled) -> Iterator[None]:
    """
    Within it, transformers reads no further tensor once the work is not wanted any more. It asks where it would draw a
    progress bar; versions that let nobody follow theirs read to the end.

    :param stop_if_cancelled: called before each tensor
    :type stop_if_cancelled: StopIfCancelled
    :yield: nothing
    :ytype: None
    """
    from transformers.utils import logging as bars
    if not hasattr(bars, 'set_tqdm_hook'):
        yield
        return

    def ask(things: Iterable) -> Iterator:
        for thing in things:
            stop_if_cancelled()
            yield thing

    def make_bar(make: Callable, given: tuple, named: dict[str, Any]) -> Any:
        return make(*map(ask, given[:1]), *given[1:], **named)

    before = bars.set_tqdm_hook(make_bar)
    try:
        yield
    finally:
        bars.set_tqdm_hook(before)


def _ignore(_dtype: object) -> None:
    """Take the place of what changes the precision of every thread."""


def dtype_argument(library: str = 'diffusers') -> str:
    """
    Name the argument of ``from_pretrained`` for the precision: later versions renamed it and warn about the old name;
    older ones do not know the new one.

    :param library: ``diffusers`` or ``transformers``, whichever reads
    :type library: str
    :return: ``dtype`` or ``torch_dtype``
    :rtype: str
    """
    major, minor = importlib.import_module(library).__version__.split('.')[:2]
    return 'dtype' if (int(major), int(minor)) >= RENAMED[library] else 'torch_dtype'


def hide_needless_warnings() -> None:
    """Keep warnings that mean nothing from the terminal; to be called before diffusers is imported."""
    for name in ('diffusers.models.modeling_utils', 'transformers.utils.import_utils'):
        logging.getLogger(name).addFilter(_means_something)


def _means_something(record: logging.LogRecord) -> bool:
    """
    Refuse what diffusers warns of each time that a pipeline changes the VAE's precision, an empty list, and what
    transformers warns of where photos are prepared without torchvision, which nothing here needs.
    """
    words = record.getMessage()
    is_empty_list = words.startswith('There are modules in') and ': []' in words
    return not is_empty_list and 'requires torchvision (not installed)' not in words
