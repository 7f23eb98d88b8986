#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``doctor``: what this machine can run, and why not more.

Libraries: none but the standard one.
"""

import contextlib
import os
import platform
import sys
import unicodedata
from collections.abc import Iterator
from importlib import metadata

from modules import VERSION, errors, i18n
from modules.choices import RUNGS
from modules.commands.arguments import Arguments
from modules.configuration import Configuration
from modules.engines.contract import DepthUse
from modules.engines.diffusion import devices, toolchain
from modules.engines.models import MODELS
from modules.engines.registry import Engines
from modules.i18n import Text, text
from modules.install import dependencies, environment, unseen_gpu
from modules.weights import find
from modules.weights.plan import free_bytes

#: those that reach a broker
FLEET_LIBRARIES = ('dramatiq', 'redis')

LIBRARIES = ('flask', 'waitress', 'pillow', 'pillow-heif', 'numpy', 'opencv-python-headless',
             'onnxruntime', 'huggingface-hub', 'torch', 'diffusers', 'transformers', 'accelerate',
             'ftfy', 'peft')


def run(_arguments: Arguments, options: Configuration, language: str) -> int:
    """
    Print what this machine can run.

    :param _arguments: the command line
    :type _arguments: Arguments
    :param options: the configuration
    :type options: Configuration
    :param language: of the report
    :type language: str
    :return: the exit code
    :rtype: int
    """
    try:
        code = examine(options, Engines(options), language)
        sys.stdout.flush()
    except BrokenPipeError:
        # who reads through ``head`` has seen enough; Python writes once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def examine(configuration: Configuration, engines: Engines, language: str) -> int:
    """
    Print a report.

    :param configuration: the options
    :type configuration: Configuration
    :param engines: the engines of this machine
    :type engines: Engines
    :param language: of the report
    :type language: str
    :return: 0 when the engine asked for can work, 1 when it cannot
    :rtype: int
    """
    for label, value in report(configuration, engines, language):
        shown = value.in_(language) if isinstance(value, Text) else value
        sys.stdout.write(f'{label}{" " * (27 - _columns(label))}{shown}\n')
    reasons = engines.reasons()
    preferred = engines.preferred
    able = [name for name, reason in reasons.items() if not reason]
    return 0 if preferred in able or (preferred == 'auto' and able) else 1


def report(configuration: Configuration, engines: Engines,
           language: str) -> Iterator[tuple[str, str | Text]]:
    """
    List what this machine has, and what each engine can do.

    :param configuration: the options
    :type configuration: Configuration
    :param engines: the engines of this machine
    :type engines: Engines
    :param language: of the words
    :type language: str
    :yield: a label and its value
    :ytype: tuple[str, str | Text]
    """
    words = i18n.words(language)['doctor']
    yield 'turn-live-photos', VERSION
    yield 'Python', f'{platform.python_version()} ({sys.executable})'
    yield words['system'], f'{platform.platform()}, {os.cpu_count()} CPU'
    yield words['memory'], memory() or words['unknown']
    yield words['disk'], f'{free_bytes(configuration.store.models_home) / 2**30:.1f} GiB'
    for library in LIBRARIES:
        yield library, version(library) or words['not_installed']
    device = devices.describe(configuration.model.device) if version('torch') else ''
    if device:
        yield words['device'], device
        if configuration.model.unet and devices.guess_kind(configuration.model.device) == 'cuda':
            yield words['compiling'], _not_compiled(device) or words['works']
    yield from _torch(configuration, device, words)
    for key, model in MODELS.items():
        yield f'{words["model"]} {key}', str(find(configuration, model) or words['no_model'])
    yield words['asked'], engines.preferred
    for name, reason in engines.reasons().items():
        yield f'{words["engine"]} {name}', reason.in_(language) if reason else words['works']
        if slow := None if reason else engines.status(name).slow:
            yield words['warning'], slow
        if use := None if reason else engines.status(name).predict_memory():
            peak = f'{use.peak / 2**30:.1f}'
            yield words['uses'], words['rung'].format(rung = use.rung, peak = peak)
        if depth := None if reason else _depth_of(engines, name):
            why = depth.reason and depth.reason.in_(language)
            yield words['depth'], depth.model or words['guessed'].format(reason = why)
    yield from _in_use(engines, language)
    yield words['rungs'], ', '.join(RUNGS)
    if configuration.queue.broker:
        for library in FLEET_LIBRARIES:
            yield library, version(library) or words['not_installed']
        if all(map(version, FLEET_LIBRARIES)):
            yield from fleet(configuration, language)


def _not_compiled(device: str | Text) -> Text | None:
    """Explain why nothing is compiled for the device, as :func:`devices.describe` tells it."""
    reason = toolchain.explain_missing()
    if reason or isinstance(device, Text):
        return reason
    return toolchain.explain_card(device.partition(',')[0])


def _torch(configuration: Configuration, device: str | Text,
           words: dict[str, str]) -> Iterator[tuple[str, str | Text]]:
    """Tell the PyTorch that START would take, and why the installed one sees no GPU."""
    note = environment.read_note(configuration.store.venv_home)
    sources = dependencies.choose_indexes(configuration.installation,
                                          note.torch_index if note else '')
    index = sources.pytorch_index_url or text('launch.usual_index')
    yield words['torch'], text('doctor.torch_from', index = index, reason = sources.reason)
    is_missing = isinstance(device, Text) and device.key == 'engines.no_device'
    wanted = configuration.model.device if device == 'cpu' or is_missing else 'cpu'
    if reason := unseen_gpu.explain(wanted):
        yield words['gpu'], reason


def _depth_of(engines: Engines, name: str) -> DepthUse | None:
    """What estimates depth, once that was tried: whether weights can be used shows when they are loaded."""
    depth = engines.status(name).depth
    if depth and depth.model:
        engines.get(name)
    return engines.status(name).depth


def _in_use(engines: Engines, language: str) -> Iterator[tuple[str, str | Text]]:
    words = i18n.words(language)['doctor']
    try:
        name = engines.choose(engines.preferred)
    except errors.EngineUnavailable:
        yield words['in_use'], words['nothing']
        return
    yield words['in_use'], name
    yield words['understands'], ', '.join(engines.describe(name).parameters)
    for warning in engines.status(name).warnings:
        yield words['warning'], warning


def _columns(words: str) -> int:
    """Count the columns that words take in a terminal: two for each Chinese letter."""
    return sum(2 if unicodedata.east_asian_width(letter) in 'WF' else 1 for letter in words)


def fleet(configuration: Configuration, language: str) -> Iterator[tuple[str, str]]:
    """
    List the workers that the broker knows.

    :param configuration: the options
    :type configuration: Configuration
    :param language: of the words
    :type language: str
    :yield: a label and its value
    :ytype: tuple[str, str]
    """
    from modules.jobs.fleet.agreement import common, differences
    from modules.jobs.fleet.broker import HEARTBEAT_TIMEOUT
    from modules.jobs.fleet.ledger import Ledger
    words = i18n.words(language)['doctor']
    try:
        with contextlib.closing(Ledger(configuration.queue.broker, is_hurried = True)) as ledger:
            workers, (waiting, running) = ledger.members.known(), ledger.line.counts()
            warning = ledger.connection.eviction_warning()
    except (errors.BrokerAway, errors.BadRecord) as error:
        yield 'Broker', error.text.in_(language)
        return
    yield 'Broker', f'{waiting} + {running}'
    if warning:
        yield words['warning'], warning.in_(language)
    if not workers:
        yield words['worker'], words['no_worker']
    for name, facts in sorted(workers.items()):
        parts = [', '.join(facts['engines']), f'× {facts["devices"]}', facts['shared']['version']]
        if facts['silent'] > HEARTBEAT_TIMEOUT:
            parts.append(words['silent'].format(seconds = round(facts['silent'])))
        if what := differences(facts['shared'], common(configuration)):
            parts.append(words['differs'].format(what = what))
        yield f'{words["worker"]} {name}', '  '.join(parts)


def memory() -> str | None:
    """
    Return the machine's memory.

    :return: in GiB, with its unit; None where the system does not tell
    :rtype: str | None
    """
    try:
        size = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    except (AttributeError, ValueError, OSError):
        return None
    return f'{size / 2**30:.1f} GiB'


def version(library: str) -> str | None:
    """
    Find the version of a library without importing it.

    :param library: its name on the package index
    :type library: str
    :return: the version, or None when it is not installed
    :rtype: str | None
    """
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None
