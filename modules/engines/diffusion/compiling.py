#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Compiled code for the layers of a model, for the shapes that clips have and for no others: a compiler takes seconds for
each, and no clip is to wait for that.

Layers are compiled one by one and not the model as a whole. Those alike share their code, so there is less to compile,
and a job that comes meanwhile waits for the compiler of one layer at most.

Libraries: torch, imported when something is compiled.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.engines.common import first_line
from modules.engines.diffusion import devices, ladder, memory
from modules.engines.diffusion.ladder import Rung
from modules.engines.diffusion.memory import Needs

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

#: what ``torch.compile`` makes code with
BACKEND = 'inductor'

#: classes of layers that are compiled: nearly all of the arithmetic of the UNet and of the decoder is theirs
KINDS = ('TransformerSpatioTemporalModel', 'SpatioTemporalResBlock')

#: shapes that layers of one class are compiled for at most, those of all GPUs of this machine together
MOST = 1024

#: what is held besides the weights while code is made, against what a clip holds: kernels are tried on copies
MARGIN = 1.25


class Layers:
    """
    The layers of models that can be compiled, all of them switched to compiled code or none. Used by one thread at a
    time.

    :param models: whose layers
    :type models: torch.nn.Module
    """

    def __init__(self, *models: 'torch.nn.Module'):
        #: whether compiled code takes the layers' place
        self.is_on = False
        #: whether compiled code failed once and is not to be used again
        self.is_broken = False
        #: called before a layer is compiled for a new shape; None when nothing is to be compiled
        self.before_compiling: Callable[[], None] | None = None
        self.all = [
            _Layer(layer, self) for model in models for layer in model.modules()
            if type(layer).__name__ in KINDS
        ]

    @contextmanager
    def switched_on(self) -> Iterator[None]:
        """
        Compute by compiled code within it.

        :yield: nothing
        :ytype: None
        """
        self.is_on = True
        try:
            yield
        finally:
            self.is_on = False

    @contextmanager
    def rehearsing(self, before_compiling: Callable[[], None]) -> Iterator[None]:
        """
        Compile within it for whatever is computed.

        :param before_compiling: called before a layer is compiled for a new shape; what it raises ends the rehearsal
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
        self.written = layer.forward
        self._switch = switch
        self._compiled: Callable | None = None
        self._shapes: set[Hashable] = set()
        layer.forward = self

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        if not self._switch.is_on:
            return self.written(*inputs, **options)
        if self._switch.before_compiling is None:
            return self._compiled(*inputs, **options)
        shapes = _shapes(inputs, options)
        if shapes not in self._shapes:
            self._switch.before_compiling()
            self._compiled = self._compiled or _to_compile(self.written)
        made = self._compiled(*inputs, **options)
        self._shapes.add(shapes)
        return made


class Compilable:
    """
    Takes the place of a function that computes with layers. Used by one thread at a time.

    :param written: the function
    :type written: Callable
    :param layers: what it computes with
    :type layers: Layers
    """

    def __init__(self, written: Callable, layers: Layers):
        self._written = written
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
            return self._written(*inputs, **options)
        shapes = _shapes(inputs, options)
        if self._layers.before_compiling is not None:
            with self._layers.switched_on():
                made = self._written(*inputs, **options)
            self._shapes.add(shapes)
            return made
        if shapes not in self._shapes:
            return self._written(*inputs, **options)
        try:
            with self._layers.switched_on():
                made = self._written(*inputs, **options)
            self.was_compiled = True
            return made
        except _failures() as error:
            self._give_up(error)
        return self._written(*inputs, **options)

    def forget(self) -> None:
        """Compute everything as written from now on."""
        self._shapes.clear()

    def _give_up(self, error: Exception) -> None:
        import torch
        if devices.is_out_of_memory(error, torch):
            raise error
        logger.warning('Compiled code failed, and is not used any more: %s', find_reason(error))
        self._layers.is_broken = True


def decoded_at_once(rung: Rung, needs: Needs, chunk: int, there: int) -> int | None:
    """
    Decide what there is memory to compile for, and write what there is none for to the log.

    :param rung: the way memory is used
    :type rung: Rung
    :param needs: what a clip needs
    :type needs: Needs
    :param chunk: frames that a clip decodes at once
    :type chunk: int
    :param there: bytes of memory that weights and clip may use
    :type there: int
    :return: the frames to compile the decoder for: those of the clip, or 0 for the UNet alone; None for nothing
    :rtype: int | None
    """
    for frames, what in ((chunk, 'decoder'), (0, 'UNet')):
        besides = ladder.peak(rung, needs, frames) - needs.weights
        needed = needs.weights + int(MARGIN * besides) + memory.OVERHEAD
        if needed <= there:
            return frames
        logger.warning('The %s is not compiled: that would take %.1f GiB of %.1f', what,
                       needed / memory.GIB, there / memory.GIB)
    return None


def find_reason(error: Exception) -> str:
    """
    Find what a compiler failed of.

    :param error: what it raised, which wraps what was raised within it
    :type error: Exception
    :return: the words of the latter, in one line
    :rtype: str
    """
    return first_line(getattr(error, 'inner_exception', error))


def keep_code() -> None:
    """
    Keep compiled code beside the libraries it was made by, where it goes when they go, and not when the machine is
    switched off, as in the compiler's own place; unless nothing can be written there, or the environment names a place.
    """
    is_own_environment = sys.prefix != sys.base_prefix
    if is_own_environment and os.access(sys.prefix, os.W_OK):
        os.environ.setdefault('TORCHINDUCTOR_CACHE_DIR', str(Path(sys.prefix, 'compiled')))


def _to_compile(written: Callable) -> Callable:
    """The same function, which a compiler makes code for when it is called."""
    import torch
    keep_code()
    torch._dynamo.config.cache_size_limit = MOST
    torch._dynamo.config.accumulated_cache_size_limit = MOST
    # code for whatever shape there may be is slower, and SVD's layers are compiled anew for each all the same
    return torch.compile(written, backend = BACKEND, dynamic = False)


def _failures() -> tuple[type[Exception], ...]:
    """What torch and triton raise when code cannot be made, loaded or run."""
    triton = getattr(sys.modules.get('triton.errors'), 'TritonError', RuntimeError)
    return RuntimeError, AssertionError, OSError, subprocess.SubprocessError, triton


def _shapes(inputs: tuple, options: dict[str, Any]) -> Hashable:
    """What compiled code depends on."""
    return tuple(map(_shape, (*inputs, *options.items())))


def _shape(value: Any) -> Hashable:
    """Of a tensor shape and precision, of anything else all."""
    if isinstance(value, tuple):
        return tuple(map(_shape, value))
    return (value.shape, value.dtype) if hasattr(value, 'dtype') else value
