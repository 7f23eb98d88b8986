#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Where models can be had: the Hugging Face hub and what speaks its language, and ModelScope. Adding a source:
copy a class, name it in :func:`usual`.

Libraries: huggingface_hub, imported when a hub is asked.
"""

import os
import re
import urllib.parse
from dataclasses import dataclass
from typing import Any, Protocol

from modules.configuration import Configuration
from modules.i18n import text
from modules.weights import VIDEO, Kind, LocalError, WeightsError
from modules.weights.transfer import RemoteFile
from modules.weights.web import Patience, host_of, read_json, refused, unreachable

HUB = 'https://huggingface.co'
HUB_MIRROR = 'https://hf-mirror.com'
MODELSCOPE = 'https://www.modelscope.cn'

#: who keeps other owners' models on ModelScope
MODELSCOPE_MIRROR = 'AI-ModelScope'


@dataclass(frozen = True)
class Listing:
    """What a source has of a model."""

    #: all its files, the needed and the others, by path
    files: dict[str, RemoteFile]
    #: the licence's name; empty where the source does not tell
    licence: str
    #: where to read it
    licence_url: str


class Source(Protocol):
    """What every source offers."""

    #: scheme, host and port
    endpoint: str

    def listing(self, name: str, patience: Patience) -> Listing:
        """
        Ask what there is of a model.

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

    def listing(self, name: str, patience: Patience) -> Listing:
        """
        Ask what there is of a model; see :class:`Source`.

        :param name: ``owner/name``
        :type name: str
        :param patience: how long to wait
        :type patience: Patience
        :return: the files
        :rtype: Listing
        :raises WeightsError: when the hub cannot be reached or does not have it
        """
        try:
            import huggingface_hub
        except ImportError:
            raise WeightsError(text('weights.no_library')) from None
        info = self._info(name, patience)
        secret = {'Authorization': f'Bearer {self.token}'} if self.token else {}
        files = {}
        for sibling in info.siblings or ():
            path = sibling.rfilename
            files[path] = RemoteFile(
                path,
                sibling.size or 0,
                huggingface_hub.hf_hub_url(
                    name, path, revision = info.sha, endpoint = self.endpoint),
                f'{self.endpoint}/{name}',
                sha256 = sibling.lfs.sha256 if sibling.lfs else '',
                git_sha1 = sibling.blob_id or '',
                secret = secret)
        return Listing(files, *_licence(info.card_data, f'{self.endpoint}/{name}'))

    def _info(self, name: str, patience: Patience) -> Any:
        import huggingface_hub
        from huggingface_hub import errors
        host, page = host_of(self.endpoint), f'{self.endpoint}/{name}'
        api = huggingface_hub.HfApi(endpoint = self.endpoint, token = self.token or False)
        try:
            return api.model_info(name, timeout = patience.timeout, files_metadata = True)
        except errors.OfflineModeIsEnabled:
            raise LocalError(text('weights.offline')) from None
        except errors.HfHubHTTPError as error:
            words = refused(error.response.status_code, host, page)
            raise WeightsError(words) from None
        except (errors.HTTPError, OSError) as error:
            raise WeightsError(unreachable(error, host)) from None
        except (ValueError, TypeError, KeyError, AttributeError):
            # a login page or another server's answer, which the library tries to read as the hub's
            raise WeightsError(text('weights.no_hub', host = host)) from None


@dataclass(frozen = True)
class ModelScope:
    """
    ModelScope, whose API is its own. It gets no token.

    :param endpoint: scheme, host and port
    :type endpoint: str
    """

    endpoint: str = MODELSCOPE

    def listing(self, name: str, patience: Patience) -> Listing:
        """
        Ask what there is of a model, or of its copy by ModelScope's own people; see :class:`Source`.

        :param name: ``owner/name``
        :type name: str
        :param patience: how long to wait
        :type patience: Patience
        :return: the files
        :rtype: Listing
        :raises WeightsError: when ModelScope cannot be reached or has neither
        """
        try:
            return self._listing(name, patience)
        except WeightsError as error:
            if error.text.key != 'weights.not_found':
                raise
        return self._listing(f'{MODELSCOPE_MIRROR}/{name.split("/")[1]}', patience)

    def _listing(self, name: str, patience: Patience) -> Listing:
        host, page = host_of(self.endpoint), f'{self.endpoint}/models/{name}'
        answer = read_json(
            f'{self.endpoint}/api/v1/models/{name}/repo/files?Revision=master&Recursive=true',
            patience)
        if not isinstance(answer, dict) or 'Success' not in answer:
            raise WeightsError(text('weights.no_hub', host = host))
        if not answer['Success']:
            raise WeightsError(refused(404, host, page))
        files = {
            entry['Path']:
            RemoteFile(
                entry['Path'],
                entry.get('Size') or 0,
                f'{page}/resolve/master/{urllib.parse.quote(entry["Path"])}',
                page,
                sha256 = entry.get('Sha256') or '')
            for entry in answer['Data']['Files'] if entry.get('Type') != 'tree'
        }
        return Listing(files, '', page)


def _licence(card: Any, page: str) -> tuple[str, str]:
    """Name and link, as a model's card tells them."""
    told = card.to_dict() if card else {}
    name = told.get('license_name') or told.get('license') or ''
    link = told.get('license_link') or ''
    if link and '://' not in link:
        link = f'{page}/blob/main/{link}'
    return str(name), link or page


def usual(configuration: Configuration, kind: Kind = VIDEO) -> tuple[Source, ...]:
    """
    Where a model is looked for, in this order: ``ModelRepositoryUrl`` and the ``HF_ENDPOINT`` variable,
    where set, then the hub, its mirror, ModelScope. The token of ``HF_TOKEN``, or of the hub's login, goes to
    the hub and to a host somebody named, never to mirrors that are tried by themselves.

    :param configuration: the options
    :type configuration: Configuration
    :param kind: what the model is for
    :type kind: Kind
    :return: the sources
    :rtype: tuple[Source, ...]
    :raises LocalError: when ``ModelRepositoryUrl`` is no address, or not of the model ``ModelName``
    """
    token = _token()
    named = [_named(configuration, kind)] if configuration.installation.model_repository_url else []
    named += filter(None, [os.environ.get('HF_ENDPOINT', '').rstrip('/')])
    endpoints = list(dict.fromkeys([*named, HUB, HUB_MIRROR, MODELSCOPE]))
    return tuple(
        ModelScope(endpoint) if _is_modelscope(endpoint) else Hub(
            endpoint, token if endpoint in (*named, HUB) else None) for endpoint in endpoints)


def _named(configuration: Configuration, kind: Kind) -> str:
    """The endpoint of ``ModelRepositoryUrl``; its path is that of ``ModelName``, whatever else is fetched there."""
    url = configuration.installation.model_repository_url
    parts = urllib.parse.urlsplit(url if '://' in url else f'https://{url}')
    if parts.scheme not in ('http', 'https') or not parts.hostname:
        raise LocalError(text('weights.no_url', url = url))
    name = configuration.model.model_name
    path = '' if kind.hub_name else re.sub(r'^models/|\.git$', '', parts.path.strip('/'))
    wanted = (name, f'{MODELSCOPE_MIRROR}/{name.split("/")[-1]}')
    if path and path not in (wanted if _is_modelscope(parts.hostname) else wanted[:1]):
        raise LocalError(text('weights.other_model', url = url, name = name))
    return f'{parts.scheme}://{parts.netloc}'


def _is_modelscope(endpoint: str) -> bool:
    return bool(re.search(r'(^|[/.])modelscope\.(cn|ai)$', endpoint))


def _token() -> str | None:
    try:
        from huggingface_hub import get_token
    except ImportError:
        return None
    return get_token()
