#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Compiled code for the shapes that clips have, and for no others: a compiler takes minutes for each shape, and no clip
is to wait for that.

Libraries: torch, imported when something is compiled.
"""

import os
import sys
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: what ``torch.compile`` makes code with
BACKEND = 'inductor'

#: shapes that a function is compiled for at most, those of all GPUs of this machine together
MOST = 64


class Compilable:
    """
    Takes the place of a function of tensors. Used by one thread at a time.

    :param written: the function
    :type written: Callable
    """

    def __init__(self, written: Callable):
        self._written = written
        self._compiled: Callable | None = None
        self._shapes: set[Hashable] = set()
        #: whether shapes that are met are compiled for
        self.is_rehearsing = False
        #: whether compiled code has run; to be set to False by whoever wants to know
        self.was_compiled = False

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """
        As the function's own.

        :param inputs: its arguments
        :type inputs: Any
        :param options: its arguments
        :type options: Any
        :return: what it gives; from compiled code, with other roundings
        :rtype: Any
        """
        shapes = tuple(map(_shape, (*inputs, *options.items())))
        if self.is_rehearsing:
            made = self._rehearsed(*inputs, **options)
            self._shapes.add(shapes)
            return made
        if shapes not in self._shapes:
            return self._written(*inputs, **options)
        self.was_compiled = True
        return self._compiled(*inputs, **options)

    def forget(self) -> None:
        """Compute everything as written from now on."""
        self._compiled = None
        self._shapes.clear()

    def _rehearsed(self, *inputs: Any, **options: Any) -> Any:
        import torch
        keep_code()
        torch._dynamo.config.cache_size_limit = MOST
        # code for whatever shape there may be is slower, and SVD's layers are compiled anew for each all the same
        self._compiled = self._compiled or torch.compile(
            self._written, backend = BACKEND, dynamic = False)
        return self._compiled(*inputs, **options)


def keep_code() -> None:
    """
    Keep compiled code beside the libraries it was made by, where it goes when they go, and not when the machine is
    switched off, as in the compiler's own place; unless nothing can be written there, or the environment names a place.
    """
    is_own_environment = sys.prefix != sys.base_prefix
    if is_own_environment and os.access(sys.prefix, os.W_OK):
        os.environ.setdefault('TORCHINDUCTOR_CACHE_DIR', str(Path(sys.prefix, 'compiled')))


@contextmanager
def rehearsing(parts: list[Compilable]) -> Iterator[None]:
    """
    Within it, whatever is computed is compiled for.

    :param parts: what computes
    :type parts: list[Compilable]
    :yield: nothing
    :ytype: None
    """
    for part in parts:
        part.is_rehearsing = True
    try:
        yield
    finally:
        for part in parts:
            part.is_rehearsing = False


def _shape(value: Any) -> Hashable:
    """What compiled code depends on: of a tensor shape and precision, of anything else all."""
    if isinstance(value, tuple):
        return tuple(map(_shape, value))
    return (value.shape, value.dtype) if hasattr(value, 'dtype') else value
