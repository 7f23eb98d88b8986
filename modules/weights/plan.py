#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What would be fetched: the files a model needs and none of the others.

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
from modules.weights import VIDEO, Kind, LocalError, WeightsError
from modules.weights.sources import Listing, Source, usual
from modules.weights.transfer import RemoteFile
from modules.weights.web import Patience, host_of

logger = logging.getLogger(__name__)

#: owner and name, as hubs allow them
_NAME = re.compile(r'[\w-][\w.-]*/[\w-][\w.-]*', re.ASCII)

#: which shard this is, and of how many
_SHARD = r'-\d{5}-of-\d{5}'

_Result = TypeVar('_Result')
OnFailure = Callable[[Text], None]


@dataclass(frozen = True)
class Terms:
    """What fetching keeps to."""

    #: who is asked, in this order; None for those that :func:`modules.weights.sources.usual` names
    sources: Sequence[Source] | None = None
    patience: Patience = Patience()
    #: bytes of disk that are left to others
    reserve: int = 500_000_000

    def sources_for(self, configuration: Configuration, kind: Kind = VIDEO) -> Sequence[Source]:
        """
        Who is asked.

        :param configuration: the options
        :type configuration: Configuration
        :param kind: what the model is for
        :type kind: Kind
        :return: the sources
        :rtype: Sequence[Source]
        :raises LocalError: when ``ModelRepositoryUrl`` makes no sense
        """
        return usual(configuration, kind) if self.sources is None else self.sources


#: what fetching keeps to outside of tests
USUAL_TERMS = Terms()


@dataclass(frozen = True)
class Plan:
    """What would be fetched, from where and where to."""

    kind: Kind
    #: the host
    source: str
    files: tuple[RemoteFile, ...]
    #: where the model will be
    folder: Path
    #: the licence's name; empty where the source does not tell
    licence: str
    #: where to read it
    licence_url: str

    @property
    def messages(self) -> tuple[Text, Text]:
        """What a person should know before the download: its size and the free disk space; the licence."""
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
    def growing(self) -> Path:
        """Where it is until it is whole: a name :func:`modules.weights.find` does not look at."""
        return self.folder.with_name(f'{self.folder.name}.part')

    @property
    def bytes_total(self) -> int:
        """All files together."""
        return sum(file.size for file in self.files)

    @property
    def bytes_here(self) -> int:
        """What need not be fetched any more, judged by its length alone."""
        return sum(map(self.here, self.files))

    @property
    def bytes_free(self) -> int:
        """Room on the disk."""
        return free_bytes(self.folder)

    def here(self, file: RemoteFile) -> int:
        """
        What need not be fetched of a file any more, judged by its length alone.

        :param file: one of the plan's
        :type file: RemoteFile
        :return: bytes
        :rtype: int
        """
        path = self.growing / file.path
        if any(place.is_file() and place.stat().st_size == file.size
               for place in (path, self.folder / file.path)):
            return file.size
        part = file.part(path)
        return min(file.size, part.stat().st_size) if part.is_file() else 0


def free_bytes(folder: Path) -> int:
    """
    Room for a folder that may not be there yet.

    :param folder: an absolute path
    :type folder: Path
    :return: bytes
    :rtype: int
    """
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(there).free


def plan(configuration: Configuration,
         on_failure: OnFailure | None = None,
         terms: Terms = USUAL_TERMS,
         kind: Kind = VIDEO) -> Plan:
    """
    Ask the first source that answers what there is to fetch.

    :param configuration: the options
    :type configuration: Configuration
    :param on_failure: told why a source was passed over
    :type on_failure: OnFailure | None
    :param terms: what to keep to
    :type terms: Terms
    :param kind: what the model is for
    :type kind: Kind
    :return: the plan
    :rtype: Plan
    :raises WeightsError: when no source has the model
    """
    return first_success(
        terms.sources_for(configuration, kind),
        lambda source: of(source, configuration, terms.patience, kind), on_failure)


def of(source: Source,
       configuration: Configuration,
       patience: Patience,
       kind: Kind = VIDEO) -> Plan:
    """
    Ask one source what there is to fetch.

    :param source: who is asked
    :type source: Source
    :param configuration: the options
    :type configuration: Configuration
    :param patience: how long to wait
    :type patience: Patience
    :param kind: what the model is for
    :type kind: Kind
    :return: the plan
    :rtype: Plan
    :raises WeightsError: when the source does not have the model, or not in files we can read
    """
    name = hub_name(configuration, kind)
    listing = source.listing(name, patience)
    files = needed(listing, kind)
    if not files:
        raise WeightsError(text(kind.lack, host = host_of(source.endpoint), name = name))
    return Plan(kind, files[0].host, files, folder(configuration, kind), listing.licence,
                listing.licence_url)


def needed(listing: Listing, kind: Kind = VIDEO) -> tuple[RemoteFile, ...]:
    """
    Choose among a model's files: descriptions, and of the weights the half-precision safetensors, or the
    plain ones for a part that has no others.

    :param listing: what a source has
    :type listing: Listing
    :param kind: what the model is for
    :type kind: Kind
    :return: the files, small ones first; nothing where one is missing
    :rtype: tuple[RemoteFile, ...]
    """
    paths = list(kind.configs)
    for stem in kind.stems:
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


def hub_name(configuration: Configuration, kind: Kind = VIDEO) -> str:
    """
    The model's name on hubs.

    :param configuration: the options
    :type configuration: Configuration
    :param kind: what the model is for
    :type kind: Kind
    :return: ``owner/name``
    :rtype: str
    :raises LocalError: when ``ModelName`` is a folder
    """
    name = kind.name(configuration)
    if not _NAME.fullmatch(name) or name.endswith('.safetensors'):
        raise LocalError(text('weights.no_hub_name', name = name))
    return name


def folder(configuration: Configuration, kind: Kind = VIDEO) -> Path:
    """
    Where a fetched model lies.

    :param configuration: the options
    :type configuration: Configuration
    :param kind: what the model is for
    :type kind: Kind
    :return: ``ModelsHome/<owner>/<name>``
    :rtype: Path
    :raises LocalError: when ``ModelName`` is a folder
    """
    return configuration.store.models_home / hub_name(configuration, kind)


def first_success(sources: Sequence[Source], act: Callable[[Source], _Result],
                  on_failure: OnFailure | None) -> _Result:
    """
    Try sources in turn.

    :param sources: one or more
    :type sources: Sequence[Source]
    :param act: what to do with each
    :type act: Callable[[Source], _Result]
    :param on_failure: told why a source was passed over
    :type on_failure: OnFailure | None
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
            logger.warning('%s', error.text.in_('en'))
            failures.append(error.text)
            if on_failure:
                on_failure(error.text)
    if len(failures) == 1:
        raise WeightsError(failures[0])
    raise WeightsError(text('weights.all_failed', count = len(failures), first = failures[0]))
