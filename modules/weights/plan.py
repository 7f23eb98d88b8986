#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What would be fetched: the files that a model needs, and where they come from.

Libraries: none here.
"""

import logging
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from modules.configuration import Configuration
from modules.i18n import Text, text
from modules.weights import LocalError, Model, WeightsError, is_hub_name
from modules.weights.sources import Listing, Source, list_sources
from modules.weights.transfer import RemoteFile
from modules.weights.web import Patience, host_of

logger = logging.getLogger(__name__)

#: the number of a shard, and of all shards
_SHARD = r'-\d{5}-of-\d{5}'

_Result = TypeVar('_Result')
OnFailure = Callable[[Text], None]


@dataclass(frozen = True)
class Terms:
    """The sources and limits of a download."""

    #: in their order; None for those of :func:`modules.weights.sources.list_sources`
    sources: Sequence[Source] | None = None
    patience: Patience = Patience()
    #: bytes of the disk that stay free
    reserve: int = 500_000_000
    #: whether the log names the failure of all sources alone, not each one's
    is_quiet: bool = False

    def sources_for(self, configuration: Configuration, model: Model) -> Sequence[Source]:
        """
        Return the sources of a model.

        :param configuration: the options
        :type configuration: Configuration
        :param model: the model
        :type model: Model
        :return: the sources
        :rtype: Sequence[Source]
        :raises LocalError: when ``ModelRepositoryUrl`` is no address of this model
        """
        return list_sources(configuration, model) if self.sources is None else self.sources


#: those of the product
USUAL_TERMS = Terms()


@dataclass(frozen = True)
class Plan:
    """What would be fetched, from where and where to."""

    model: Model
    #: the host
    source: str
    files: tuple[RemoteFile, ...]
    #: where the model will be
    folder: Path
    #: the licence's name; empty where the source does not name it
    licence: str
    #: where to read it
    licence_url: str

    @property
    def messages(self) -> tuple[Text, Text]:
        """Return what a person should know before the download: its size and the free disk space; the licence."""
        coming = text(
            'weights.plan',
            name = f'{self.folder.parent.name}/{self.folder.name}',
            host = self.source,
            count = len(self.files),
            size = f'{self.bytes_total / 1e9:.2f}',
            here = f'{self.bytes_here / 1e9:.2f}',
            folder = self.folder,
            free = f'{self.bytes_free / 1e9:.1f}')
        key = 'licence' if self.licence else 'licence_page'
        return coming, text(f'weights.{key}', name = self.licence, url = self.licence_url)

    @property
    def partial_folder(self) -> Path:
        """Return the folder of a model that is not whole yet, which :func:`modules.weights.find` ignores."""
        return self.folder.with_name(f'{self.folder.name}.part')

    @property
    def bytes_total(self) -> int:
        """Return the bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def bytes_here(self) -> int:
        """Return the bytes that are on the disk already, judged by length alone."""
        return sum(map(self.count_bytes_here, self.files))

    @property
    def bytes_free(self) -> int:
        """Return the free bytes of the disk."""
        return free_bytes(self.folder)

    def count_bytes_here(self, file: RemoteFile) -> int:
        """
        Count the bytes of a file that are on the disk already, judged by length alone.

        :param file: one of the plan's
        :type file: RemoteFile
        :return: bytes
        :rtype: int
        """
        path = self.partial_folder / file.path
        if any(place.is_file() and place.stat().st_size == file.size
               for place in (path, self.folder / file.path)):
            return file.size
        part = file.part(path)
        return min(file.size, part.stat().st_size) if part.is_file() else 0


def free_bytes(folder: Path) -> int:
    """
    Return the free bytes of the disk of a folder, which may not exist yet.

    :param folder: an absolute path
    :type folder: Path
    :return: bytes
    :rtype: int
    """
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(existing).free


def make_plan(configuration: Configuration,
              model: Model,
              on_failure: OnFailure | None = None,
              terms: Terms = USUAL_TERMS) -> Plan:
    """
    Plan a download from the first source that has the model.

    :param configuration: the options
    :type configuration: Configuration
    :param model: the model
    :type model: Model
    :param on_failure: called with the reason when a source fails
    :type on_failure: OnFailure | None
    :param terms: its sources and limits
    :type terms: Terms
    :return: the plan
    :rtype: Plan
    :raises WeightsError: when no source has the model
    """
    return try_sources(
        terms.sources_for(configuration, model),
        lambda source: plan_from_source(source, configuration, terms.patience, model), on_failure,
        terms.is_quiet)


def plan_from_source(source: Source, configuration: Configuration, patience: Patience,
                     model: Model) -> Plan:
    """
    Plan a download from one source.

    :param source: the source
    :type source: Source
    :param configuration: the options
    :type configuration: Configuration
    :param patience: how long to wait
    :type patience: Patience
    :param model: the model
    :type model: Model
    :return: the plan
    :rtype: Plan
    :raises WeightsError: when the source does not have the model, or not in files we can read
    """
    name = read_hub_name(configuration, model)
    listing = source.list_files(name, patience)
    files = _choose_files(listing, model)
    if not files:
        raise WeightsError(text(model.incomplete, host = host_of(source.endpoint), name = name))
    return Plan(model, files[0].host, files, find_folder(configuration, model), listing.licence,
                listing.licence_url)


def _choose_files(listing: Listing, model: Model) -> tuple[RemoteFile, ...]:
    """
    Choose among a model's files: descriptions, and of the weights the first of the single files, or the half-precision
    safetensors, or the plain ones for a part that has no others. Small ones come first; nothing where one is missing.
    """
    stems = model.list_stems(listing.files)
    configs = [f'{stem.rpartition("/")[0]}/config.json' for stem in stems[len(model.stems):]]
    paths = [*model.configs, *configs, *(path for path in model.extras if path in listing.files)]
    if model.single_files:
        paths.append(next((path for path in model.single_files if path in listing.files), ''))
    for stem in stems:
        prefix = re.escape(stem)
        forms = (
            rf'{prefix}\.fp16\.safetensors',
            rf'{prefix}(\.fp16{_SHARD}|{_SHARD}\.fp16)\.safetensors|{prefix}\.safetensors\.index\.fp16\.json',
            rf'{prefix}\.safetensors',
            rf'{prefix}{_SHARD}\.safetensors|{prefix}\.safetensors\.index\.json',
        )
        matches = ([path for path in listing.files if re.fullmatch(form, path)] for form in forms)
        paths += next(filter(None, matches), [''])
    if not set(paths) <= set(listing.files):
        return ()
    return tuple(sorted((listing.files[path] for path in paths), key = lambda file: file.size))


def read_hub_name(configuration: Configuration, model: Model) -> str:
    """
    Read the model's name on hubs.

    :param configuration: the options
    :type configuration: Configuration
    :param model: the model
    :type model: Model
    :return: ``owner/name``
    :rtype: str
    :raises LocalError: when the option names a folder
    """
    name = model.name(configuration)
    if not is_hub_name(name):
        raise LocalError(text('weights.no_hub_name', option = model.option, name = name))
    return name


def find_folder(configuration: Configuration, model: Model) -> Path:
    """
    Return the folder of a fetched model.

    :param configuration: the options
    :type configuration: Configuration
    :param model: the model
    :type model: Model
    :return: ``ModelsHome/<owner>/<name>``
    :rtype: Path
    :raises LocalError: when ``ModelName`` is a folder
    """
    return configuration.store.models_home / read_hub_name(configuration, model)


def try_sources(sources: Sequence[Source],
                act: Callable[[Source], _Result],
                on_failure: OnFailure | None,
                is_quiet: bool = False) -> _Result:
    """
    Try sources one after the other.

    :param sources: one or more
    :type sources: Sequence[Source]
    :param act: what to do with each
    :type act: Callable[[Source], _Result]
    :param on_failure: called with the reason when a source fails
    :type on_failure: OnFailure | None
    :param is_quiet: whether the log does not name each failure
    :type is_quiet: bool
    :return: what ``act`` returned
    :rtype: _Result
    :raises LocalError: when another source would not help
    :raises WeightsError: why the first failed, when all did
    """
    failures = []
    for source in sources:
        try:
            return act(source)
        except LocalError:
            raise
        except WeightsError as error:
            logger.log(logging.DEBUG if is_quiet else logging.WARNING, '%s', error.text.in_('en'))
            failures.append(error.text)
            if on_failure:
                on_failure(error.text)
    if len(failures) == 1:
        raise WeightsError(failures[0])
    raise WeightsError(text('weights.all_failed', count = len(failures), first = failures[0]))
