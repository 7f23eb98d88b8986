#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The models' files: where they are on this machine and whether they are whole. What fetches them stands
beside; which models there are, the engines say (:mod:`modules.engines.models`).

Libraries: none here.
"""

import contextlib
import json
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modules.configuration import ROOT, Configuration
from modules.i18n import Text
from modules.weights import onnx_file, tensors


def warn_of_nothing(_configuration: Configuration, _folder: Path | None) -> None:
    """
    Warn of nothing.

    :param _configuration: unused
    :type _configuration: Configuration
    :param _folder: unused
    :type _folder: Path | None
    """


def name_no_companion(_configuration: Configuration) -> None:
    """
    Name no other model.

    :param _configuration: unused
    :type _configuration: Configuration
    """


@dataclass(frozen = True)
class Model:
    """A model as engines describe it: which files it consists of, and what it is called."""

    #: what the command line, ``/health`` and the locale files call it
    key: str
    #: the text for a source that lacks some of its files, in the locale files
    incomplete: str
    #: about as many bytes are fetched
    size: int
    #: the same of others that the option may name, by their names on hubs
    sizes: Mapping[str, int] = field(default_factory = dict)
    #: the licence's name; empty where it is one of its own
    licence: str = ''
    #: on hubs, ``owner/name``; empty where an option has it
    hub_name: str = ''
    #: options → that option's value; None for ``ModelName`` of ``[ModelOptions]``
    read_name: Callable[[Configuration], str] | None = None
    #: the descriptions that it needs, by their paths
    configs: tuple[str, ...] = ()
    #: descriptions that are fetched where there are any
    extras: tuple[str, ...] = ()
    #: safetensors: what the paths of each part's weights start with
    stems: tuple[str, ...] = ()
    #: the same of parts that only some such models have
    optional_stems: tuple[str, ...] = ()
    #: ONNX: files each of which is the whole model, the one to fetch first
    single_files: tuple[str, ...] = ()
    #: options, and the folder of a whole model, if any → what a person who fetches it should know, if anything
    warn: Callable[[Configuration, Path | None], Text | None] = warn_of_nothing
    #: of a model that is so small that the launcher fetches it unasked: options → what it says of that, None where they
    #: refuse it
    announce: Callable[[Configuration], Text | None] | None = None
    #: the option that names it
    option: str = 'ModelName'
    #: its files may lie beside those of other models
    is_loose: bool = False
    #: options → another model that is fetched with it, where they name one
    find_companion: 'Callable[[Configuration], Model | None]' = name_no_companion

    def name(self, configuration: Configuration) -> str:
        """
        Return the name of the model that is configured.

        :param configuration: the options
        :type configuration: Configuration
        :return: a hub name, or a folder
        :rtype: str
        """
        if self.read_name:
            return self.read_name(configuration)
        return self.hub_name or configuration.model.model_name

    def expect_bytes(self, configuration: Configuration) -> int:
        """
        Say about how many bytes are fetched: of what is not here of the model and what is fetched with it, or of both.

        :param configuration: the options
        :type configuration: Configuration
        :return: bytes
        :rtype: int
        """
        both = [each for each in (self, self.find_companion(configuration)) if each]
        missing = [each for each in both if find(configuration, each) is None]
        return sum(each.sizes.get(each.name(configuration), each.size) for each in missing or both)

    def list_stems(self, files: Collection[str]) -> tuple[str, ...]:
        """
        List what the paths of each part's weights start with.

        :param files: paths of one such model's files; those with the description of a part have the part
        :type files: Collection[str]
        :return: :attr:`stems`, and the optional ones that it has
        :rtype: tuple[str, ...]
        """
        more = (
            stem for stem in self.optional_stems
            if f'{stem.rpartition("/")[0]}/config.json' in files)
        return (*self.stems, *more)


#: ``owner/name``; a part that begins with a dot could lead out of the folder of models; none begins with a dash
HUB_NAME = re.compile(r'\w[\w.-]*/\w[\w.-]*', re.ASCII)
#: a file of such a repository
HUB_FILE = re.compile(rf'{HUB_NAME.pattern}(/\w[\w.-]*)+', re.ASCII)


def is_hub_name(name: str) -> bool:
    """
    Tell whether a model's name is one on hubs; any other is that of a folder or a file of this machine.

    :param name: the option
    :type name: str
    :return: whether it is ``owner/name``
    :rtype: bool
    """
    return bool(HUB_NAME.fullmatch(name)) and not name.endswith('.safetensors')


#: a shard's name in an index: a file beside it
SHARD = re.compile(r'\w[\w.-]*', re.ASCII)


class WeightsError(Exception):
    """
    The model could not be fetched; the text has the reason and what to do about it.

    :param text: one sentence
    :type text: Text
    """

    def __init__(self, text: Text):
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return self.text.in_('en')


class LocalError(WeightsError):
    """The reason is on this machine, so that another source would not help."""


def find(configuration: Configuration, model: Model) -> Path | None:
    """
    Find the local model; cheap enough to be called for every request.

    :param configuration: the options; ``ModelName`` is a folder, or a hub name whose folder is
        ``ModelsHome/<owner>/<name>``, ``ModelsHome/<name>``, or where other programs of the hub keep it
    :type configuration: Configuration
    :param model: the model
    :type model: Model
    :return: the absolute path of a folder that holds a whole model, or None
    :rtype: Path | None
    """
    places = (*list_places(configuration, model), *_list_cached(model.name(configuration)))
    return next((place for place in places if is_whole(place, model)), None)


def list_places(configuration: Configuration, model: Model) -> tuple[Path, ...]:
    """
    List where a model can be, apart from the cache of the hub's library.

    :param configuration: the options
    :type configuration: Configuration
    :param model: the model
    :type model: Model
    :return: paths, which may not exist, in the order in which they are searched
    :rtype: tuple[Path, ...]
    """
    name = Path(model.name(configuration)).expanduser()
    home = configuration.store.models_home
    return Path.cwd() / name, ROOT / name, home / name, home / name.name


def _list_cached(name: str) -> list[Path]:
    """
    List snapshots in the cache of the hub's library, which all its users share and a Space is built with. It is found
    as that library finds it, which may not be installed yet.
    """
    caches = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    home = os.environ.get('HF_HOME') or f'{caches}/huggingface'
    # pathlib's own expanduser fails where there is no home
    hub = os.environ.get('HF_HUB_CACHE') or f'{home}/hub'
    cache = Path(os.path.expanduser(hub))  # noqa: PTH111
    with contextlib.suppress(OSError):
        return sorted((cache / f'models--{name.replace("/", "--")}' / 'snapshots').glob('*'))
    return []


def is_whole(folder: Path, model: Model) -> bool:
    """
    Check whether a folder holds every file a model needs, each of its full length.

    :param folder: any path
    :type folder: Path
    :param model: the model
    :type model: Model
    :return: False for an empty folder, a download that was cut short and git-lfs pointers as well
    :rtype: bool
    """
    if not all(_read_object(folder / path) for path in model.configs):
        return False
    if model.single_files:
        return bool(list_single_files(folder, model))
    return bool(variants(folder, model))


def list_single_files(folder: Path, model: Model) -> list[Path]:
    """
    List the files of a folder each of which is the whole model.

    :param folder: any path
    :type folder: Path
    :param model: one that consists of single files
    :type model: Model
    :return: the files that are there and whole, the best first
    :rtype: list[Path]
    """
    found = []
    for path in model.single_files:
        with contextlib.suppress(OSError):
            if onnx_file.is_whole(folder / path):
                found.append(folder / path)
    return found


def variants(folder: Path, model: Model) -> tuple[str | None, ...]:
    """
    List what can be given as ``variant`` to ``from_pretrained`` with this folder.

    :param folder: a model's folder
    :type folder: Path
    :param model: the model
    :type model: Model
    :return: ``'fp16'`` where half-precision files are there and whole (parts that have none are taken
        from the plain ones, as diffusers does), None where the plain files are whole
    :rtype: tuple[str | None, ...]
    """
    # descriptions are small, and are there from the start where weights come by git
    configs = [f'{config.parent.name}/{config.name}' for config in folder.glob('*/config.json')]
    parts = [folder / stem for stem in model.list_stems(configs)]
    plain = all(_has_weights(part, None) for part in parts)
    halves = [part for part in parts if any(part.parent.glob('*.fp16*.safetensors*'))]
    half = halves and all(_has_weights(part, 'fp16' if part in halves else None) for part in parts)
    return (('fp16', ) if half else ()) + ((None, ) if plain else ())


def _has_weights(part: Path, variant: str | None) -> bool:
    """Check one file, or an index and every shard it names; the path is the start of all their names."""
    dot = f'.{variant}' if variant else ''
    whole = part.with_name(f'{part.name}{dot}.safetensors')
    if whole.is_file():
        return _is_whole_file(whole)
    index = _read_object(part.with_name(f'{part.name}.safetensors.index{dot}.json'))
    named = index.get('weight_map')
    shards = list(named.values()) if isinstance(named, dict) else []
    if not all(isinstance(shard, str) and SHARD.fullmatch(shard) for shard in shards):
        return False
    return bool(shards) and all(_is_whole_file(part.with_name(shard)) for shard in set(shards))


def _read_object(path: Path) -> dict:
    """Read a JSON object; empty where there is none."""
    try:
        content = json.loads(path.read_text(encoding = 'utf-8'))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_whole_file(path: Path) -> bool:
    try:
        description = tensors.describe(path)
        return description is not None and path.stat().st_size == description.size
    except OSError:
        return False
