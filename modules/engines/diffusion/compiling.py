#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Compiled code for the layers of a model, for the shapes that clips have and for no others: a compiler takes seconds for
each, and no clip is to wait for that.

Layers are compiled one by one and not the model as a whole. Those alike share their code, so there is less to compile,
and a job that comes meanwhile waits for the compiler of one layer at most.

Libraries: torch, imported when something is compiled.
"""

import functools
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.engines.common import first_line
from modules.engines.diffusion import faults

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

#: what ``torch.compile`` makes code with
BACKEND = 'inductor'

#: shapes that layers of one class are compiled for at most, those of all GPUs of this machine together
MOST_SHAPES = 1024


class Layers:
    """
    The layers of models that can be compiled, all of them switched to compiled code or none. Used by one thread at a
    time.

    :param models: whose layers
    :type models: torch.nn.Module
    :param kinds: names of the classes of layers that are compiled
    :type kinds: Collection[str]
    """

    def __init__(self, *models: 'torch.nn.Module', kinds: Collection[str]):
        #: whether compiled code takes the layers' place
        self.is_on = False
        #: whether compiled code failed once and is not to be used again
        self.is_broken = False
        #: called before a layer is compiled for a new shape; None when nothing is to be compiled
        self.before_compiling: Callable[[], None] | None = None
        self.all = [
            _Layer(layer, self) for model in models for layer in model.modules()
            if type(layer).__name__ in kinds
        ]

    @contextmanager
    def use_compiled(self) -> Iterator[None]:
        """
        Compute by compiled code inside the ``with`` block.

        :yield: nothing
        :ytype: None
        """
        self.is_on = True
        try:
            yield
        finally:
            self.is_on = False

    @contextmanager
    def compiling(self, before_compiling: Callable[[], None]) -> Iterator[None]:
        """
        Compile for whatever is computed inside the ``with`` block.

        :param before_compiling: called before a layer is compiled for a new shape; what it raises ends it
        :type before_compiling: Callable[[], None]
        :yield: nothing
        :ytype: None
        """
        self.before_compiling = before_compiling
        try:
            yield
        finally:
            self.before_compiling = None


class _Layer:
    """
    Takes the place of a layer's ``forward``.

    :param layer: the layer
    :type layer: torch.nn.Module
    :param switch: says which code computes
    :type switch: Layers
    """

    def __init__(self, layer: 'torch.nn.Module', switch: Layers):
        self.original = layer.forward
        self._switch = switch
        self._shapes: set[Hashable] = set()
        layer.forward = self

    @functools.cached_property
    def _compiled(self) -> Callable:
        """Compiled code, made when it is first asked for: torch takes seconds to begin with that."""
        return _make_compiled(self.original)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        if not self._switch.is_on:
            return self.original(*inputs, **options)
        if self._switch.before_compiling is None:
            return self._compiled(*inputs, **options)
        shapes = _shapes(inputs, options)
        if shapes not in self._shapes:
            self._switch.before_compiling()
        result = self._compiled(*inputs, **options)
        self._shapes.add(shapes)
        return result


class Compilable:
    """
    Takes the place of a function that computes with layers. Used by one thread at a time.

    :param original: the function
    :type original: Callable
    :param layers: what it computes with
    :type layers: Layers
    """

    def __init__(self, original: Callable, layers: Layers):
        self._original = original
        self._layers = layers
        self._shapes: set[Hashable] = set()
        #: whether compiled code has run; to be set to False by whoever wants to know
        self.was_compiled = False

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """
        Compute as the function does: by compiled code where all layers have some for these shapes, and as written for
        good once that fails.

        :param inputs: its arguments
        :type inputs: Any
        :param options: its arguments
        :type options: Any
        :return: what it gives; from compiled code, with other roundings
        :rtype: Any
        """
        if self._layers.is_broken:
            return self._original(*inputs, **options)
        shapes = _shapes(inputs, options)
        if self._layers.before_compiling is not None:
            with self._layers.use_compiled():
                result = self._original(*inputs, **options)
            self._shapes.add(shapes)
            return result
        if shapes not in self._shapes:
            return self._original(*inputs, **options)
        try:
            with self._layers.use_compiled():
                result = self._original(*inputs, **options)
            self.was_compiled = True
            return result
        except _list_failures() as error:
            self._give_up(error)
        return self._original(*inputs, **options)

    def drop_compiled(self) -> None:
        """Compute everything without compiled code from now on."""
        self._shapes.clear()

    def _give_up(self, error: Exception) -> None:
        if faults.is_out_of_memory(error):
            raise error
        logger.warning('Compiled code failed, and is not used any more: %s', find_reason(error))
        self._layers.is_broken = True


def find_reason(error: Exception) -> str:
    """
    Find what a compiler failed of.

    :param error: what it raised, which wraps what was raised within it
    :type error: Exception
    :return: the words of the latter, in one line
    :rtype: str
    """
    return first_line(getattr(error, 'inner_exception', error))


def set_cache_folder() -> None:
    """
    Keep compiled code beside the libraries it was made by, where it goes when they go, and not when the machine is
    switched off, as in the compiler's own place; unless nothing can be written there, or the environment names a place.
    """
    is_own_environment = sys.prefix != sys.base_prefix
    if is_own_environment and os.access(sys.prefix, os.W_OK):
        os.environ.setdefault('TORCHINDUCTOR_CACHE_DIR', str(Path(sys.prefix, 'compiled')))


def _make_compiled(original: Callable) -> Callable:
    """Make the same function, which a compiler makes code for when it is called."""
    import torch
    set_cache_folder()
    torch._dynamo.config.cache_size_limit = MOST_SHAPES
    torch._dynamo.config.accumulated_cache_size_limit = MOST_SHAPES
    # code for variable shapes is slower, and layers of attention over time are compiled again for each all the same
    return torch.compile(original, backend = BACKEND, dynamic = False)


def _list_failures() -> tuple[type[Exception], ...]:
    """List what torch and triton raise when code cannot be made, loaded or run."""
    triton = getattr(sys.modules.get('triton.errors'), 'TritonError', RuntimeError)
    return RuntimeError, AssertionError, OSError, subprocess.SubprocessError, triton


def _shapes(inputs: tuple, options: dict[str, Any]) -> Hashable:
    """Collect what compiled code depends on."""
    return tuple(map(_shape, (*inputs, *options.items())))


def _shape(value: Any) -> Hashable:
    """Give shape and precision of a tensor, and anything else as it is."""
    if isinstance(value, tuple):
        return tuple(map(_shape, value))
    return (value.shape, value.dtype) if hasattr(value, 'dtype') else value
