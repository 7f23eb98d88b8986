#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Where models are fetched from: the Hugging Face hub and its mirrors, and ModelScope. Adding a source: copy a class,
name it in :func:`list_sources`.

Libraries: huggingface_hub, imported when a hub is asked.
"""

import logging
import os
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from modules.configuration import Configuration
from modules.i18n import text
from modules.weights import LocalError, Model, WeightsError
from modules.weights.transfer import RemoteFile
from modules.weights.web import Patience, explain_status, host_of, read_json

logger = logging.getLogger(__name__)

HUB = 'https://huggingface.co'
HUB_MIRROR = 'https://hf-mirror.com'
MODELSCOPE = 'https://www.modelscope.cn'

#: characters of a name in a listing, and bytes of a file
LONGEST_WORD, LARGEST_FILE = 1000, 1 << 50

#: what is raised while an answer is read that is no listing
UNUSABLE = (ValueError, TypeError, KeyError, AttributeError)

#: the owner of copies of other owners' models on ModelScope
MODELSCOPE_MIRROR = 'AI-ModelScope'


@dataclass(frozen = True)
class Listing:
    """A model's files on a source."""

    #: all its files by path, also those that are not needed
    files: dict[str, RemoteFile]
    #: the licence's name; empty where the source does not name it
    licence: str
    #: where to read it
    licence_url: str


class Source(Protocol):
    """What every source offers."""

    @property
    def endpoint(self) -> str:
        """Return scheme, host and port."""

    def list_files(self, name: str, patience: Patience) -> Listing:
        """
        List a model's files.

        :param name: ``owner/name``
        :type name: str
        :param patience: how long to wait
        :type patience: Patience
        :return: the files
        :rtype: Listing
        :raises WeightsError: when the source cannot be reached or does not have it
        """


@dataclass(frozen = True)
class Hub:
    """
    The Hugging Face hub or a mirror of it.

    :param endpoint: scheme, host and port
    :type endpoint: str
    :param token: sent to this host alone; None sends none
    :type token: str | None
    """

    endpoint: str
    token: str | None = None

    def __repr__(self) -> str:
        return f'Hub({self.endpoint!r})'

    def list_files(self, name: str, patience: Patience) -> Listing:
        """
        List a model's files; see :class:`Source`.

        :param name: ``owner/name``
        :type name: str
        :param patience: how long to wait
        :type patience: Patience
        :return: the files
        :rtype: Listing
        :raises WeightsError: when the hub cannot be reached or does not have it
        """
        try:
            from huggingface_hub import constants, hf_hub_url
        except ImportError:
            raise WeightsError(text('weights.no_library')) from None
        if constants.HF_HUB_OFFLINE:
            raise LocalError(text('weights.offline'))
        page = f'{self.endpoint}/{name}'
        secret = {'Authorization': f'Bearer {self.token}'} if self.token else {}
        # the library's own function reads an answer of any length
        info = read_json(
            f'{self.endpoint}/api/models/{name}?blobs=true', patience, page = page, secret = secret)
        try:
            files = {}
            for sibling in info['siblings']:
                path = _word(sibling['rfilename'])
                files[path] = RemoteFile(
                    path,
                    _size(sibling.get('size')),
                    hf_hub_url(name, path, revision = _word(info['sha']), endpoint = self.endpoint),
                    page,
                    sha256 = _word((sibling.get('lfs') or {}).get('sha256')),
                    git_sha1 = _word(sibling.get('blobId')),
                    secret = secret)
            return Listing(files, *_licence(info.get('cardData') or {}, page))
        except UNUSABLE:
            # a login page or another server's answer
            raise WeightsError(text('weights.no_hub', host = host_of(self.endpoint))) from None


@dataclass(frozen = True)
class ModelScope:
    """
    ModelScope, whose API is its own. It gets no token.

    :param endpoint: scheme, host and port
    :type endpoint: str
    """

    endpoint: str = MODELSCOPE

    def list_files(self, name: str, patience: Patience) -> Listing:
        """
        List the files of a model, or of ModelScope's own copy; see :class:`Source`.

        :param name: ``owner/name``
        :type name: str
        :param patience: how long to wait
        :type patience: Patience
        :return: the files
        :rtype: Listing
        :raises WeightsError: when ModelScope cannot be reached or has neither
        """
        try:
            return self._list_files(name, patience)
        except WeightsError as error:
            if error.text.key != 'weights.not_found':
                raise
        return self._list_files(f'{MODELSCOPE_MIRROR}/{name.split("/")[1]}', patience)

    def _list_files(self, name: str, patience: Patience) -> Listing:
        host, page = host_of(self.endpoint), f'{self.endpoint}/models/{name}'
        answer = read_json(
            f'{self.endpoint}/api/v1/models/{name}/repo/files?Revision=master&Recursive=true',
            patience)
        try:
            if not answer['Success']:
                raise WeightsError(explain_status(404, host, page))
            entries = [entry for entry in answer['Data']['Files'] if entry.get('Type') != 'tree']
            files = {
                _word(entry['Path']):
                RemoteFile(
                    _word(entry['Path']),
                    _size(entry.get('Size')),
                    f'{page}/resolve/master/{urllib.parse.quote(_word(entry["Path"]))}',
                    page,
                    sha256 = _word(entry.get('Sha256')))
                for entry in entries
            }
        except UNUSABLE:
            raise WeightsError(text('weights.no_hub', host = host)) from None
        return Listing(files, '', page)


def _word(value: object) -> str:
    """Check a name or a checksum; empty where there is none."""
    if value is None:
        return ''
    # control characters would reach a terminal
    if not isinstance(value, str) or not value.isprintable() or len(value) > LONGEST_WORD:
        raise ValueError(value)
    return value


def _size(value: object) -> int:
    """Check the bytes of a file; 0 where the source does not say."""
    if value is None:
        return 0
    if not isinstance(value, int) or not 0 <= value <= LARGEST_FILE:
        raise ValueError(value)
    return value


def _licence(card: Mapping[str, Any], page: str) -> tuple[str, str]:
    """Return name and link of a model card's licence."""
    name = card.get('license_name') or card.get('license') or ''
    link = _word(card.get('license_link') or '')
    if link and '://' not in link:
        link = f'{page}/blob/main/{link}'
    return _word(str(name)), link or page


def list_sources(configuration: Configuration, model: Model) -> tuple[Source, ...]:
    """
    List the sources of a model, in this order: ``ModelRepositoryUrl`` and the ``HF_ENDPOINT`` variable,
    where set, then the hub, its mirror, ModelScope. The token of ``HF_TOKEN``, or of the hub's login, goes to
    the hub and to a host that is configured, never to the other mirrors, and never by plain http.

    :param configuration: the options
    :type configuration: Configuration
    :param model: the model
    :type model: Model
    :return: the sources
    :rtype: tuple[Source, ...]
    :raises LocalError: when ``ModelRepositoryUrl`` is no address, or not of the model ``ModelName``
    """
    token = _read_token()
    named = [_read_endpoint(configuration, model), os.environ.get('HF_ENDPOINT', '').rstrip('/')]
    named = list(filter(None, named))
    endpoints = list(dict.fromkeys([*named, HUB, HUB_MIRROR, MODELSCOPE]))
    return tuple(
        ModelScope(endpoint) if _is_modelscope(endpoint) else Hub(
            endpoint, token if endpoint in (*named, HUB) and _is_private(endpoint) else None)
        for endpoint in endpoints)


def _is_private(endpoint: str) -> bool:
    """Check whether nobody else can read what is sent there."""
    parts = urllib.parse.urlsplit(endpoint)
    if parts.scheme == 'https' or parts.hostname in ('localhost', '127.0.0.1', '::1'):
        return True
    logger.warning('No token is sent to %s, because its address does not begin with https',
                   host_of(endpoint))
    return False


def _read_endpoint(configuration: Configuration, model: Model) -> str:
    """Return the endpoint of ``ModelRepositoryUrl``, whose path has to match ``ModelName``; empty where none is set."""
    url = configuration.installation.model_repository_url
    if not url:
        return ''
    parts = urllib.parse.urlsplit(url if '://' in url else f'https://{url}')
    if parts.scheme not in ('http', 'https') or not parts.hostname:
        raise LocalError(text('weights.no_url', url = url))
    name = configuration.model.model_name
    # it names the model of [ModelOptions]; for any other one only its host counts
    is_other = model.hub_name or model.read_name
    path = '' if is_other else re.sub(r'^models/|\.git$', '', parts.path.strip('/'))
    wanted = (name, f'{MODELSCOPE_MIRROR}/{name.split("/")[-1]}')
    if path and path not in (wanted if _is_modelscope(parts.hostname) else wanted[:1]):
        raise LocalError(text('weights.other_model', url = url, name = name))
    return f'{parts.scheme}://{parts.netloc}'


def _is_modelscope(endpoint: str) -> bool:
    return bool(re.search(r'(^|[/.])modelscope\.(cn|ai)$', endpoint))


def _read_token() -> str | None:
    try:
        from huggingface_hub import get_token
    except ImportError:
        return None
    return get_token()
