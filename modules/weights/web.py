#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
GET requests to model hubs; whatever goes wrong on the way becomes one sentence.

Libraries: none needed; certifi's certificates are trusted besides the system's where it is installed.
"""

import contextlib
import functools
import http.client
import json
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modules import VERSION
from modules.i18n import Text, text
from modules.weights import WeightsError

#: bytes and seconds of an answer that lists files; that of a model with a thousand files has a third of a megabyte
MAX_BYTES, MAX_SECONDS = 16_000_000, 60.0

#: answers after which the same request may succeed a moment later
_TRANSIENT = (408, 429, 500, 502, 503, 504)


@dataclass(frozen = True)
class Patience:
    """How long a server is waited for."""

    #: seconds without a byte
    timeout: float = 20.0
    #: attempts in a row that bring nothing
    attempts: int = 5
    #: seconds before the second attempt, twice as many before each further one
    pause: float = 1.0


class TransientError(WeightsError):
    """A failure after which the same request may succeed a moment later."""


class _RedirectHandler(urllib.request.HTTPRedirectHandler):
    """Follows redirects; the token stays with the host it is for."""

    def redirect_request(self, req: urllib.request.Request, *answer:
                         Any) -> urllib.request.Request | None:
        request = super().redirect_request(req, *answer)
        before = urllib.parse.urlsplit(req.full_url)
        after = urllib.parse.urlsplit(request.full_url if request else '')
        if request and (before.scheme, before.netloc) != (after.scheme, after.netloc):
            request.remove_header('Authorization')
        return request


def open_url(url: str, headers: dict[str, str], patience: Patience) -> http.client.HTTPResponse:
    """
    Send a GET request and follow redirects; an ``Authorization`` header stays with the host it is for.

    :param url: what to ask for
    :type url: str
    :param headers: sent besides the usual ones
    :type headers: dict[str, str]
    :param patience: how long to wait
    :type patience: Patience
    :return: the answer, to be closed
    :rtype: http.client.HTTPResponse
    :raises OSError: when there is none, or a status of 400 or above
    """
    https = urllib.request.HTTPSHandler(context = _trusted())
    opener = urllib.request.build_opener(https, _RedirectHandler)
    common = {'User-Agent': f'turn-live-photos/{VERSION}', 'Accept-Encoding': 'identity'}
    request = urllib.request.Request(url, headers = {**common, **headers})  # noqa: S310
    return opener.open(request, timeout = patience.timeout)


@functools.cache
def _trusted() -> ssl.SSLContext:
    context = ssl.create_default_context()
    with contextlib.suppress(ImportError):
        import certifi
        context.load_verify_locations(certifi.where())
    return context


def read_json(url: str,
              patience: Patience,
              *,
              page: str = '',
              secret: Mapping[str, str] | None = None) -> Any:
    """
    Read the JSON answer of a hub's API.

    :param url: its address
    :type url: str
    :param patience: how long to wait
    :type patience: Patience
    :param page: where people read about the model; the address itself where there is none
    :type page: str
    :param secret: headers for the host alone, not for where it redirects
    :type secret: Mapping[str, str] | None
    :return: what the answer holds
    :rtype: Any
    :raises WeightsError: when there is no usable answer
    """
    with network_errors_as_sentences(url, page or url), open_url(url, dict(secret or {}),
                                                                 patience) as response:
        try:
            return json.loads(_read_all(response, time.monotonic() + MAX_SECONDS))
        except (ValueError, RecursionError):
            raise WeightsError(text('weights.no_hub', host = host_of(url))) from None


def _read_all(response: http.client.HTTPResponse, end: float) -> bytes:
    """Read an answer of limited length in limited time."""
    content = bytearray()
    while more := response.read1(1 << 16):
        content += more
        if len(content) > MAX_BYTES or time.monotonic() > end:
            raise ValueError('no end')
    if response.length:
        raise http.client.IncompleteRead(bytes(content), response.length)
    return bytes(content)


@contextlib.contextmanager
def network_errors_as_sentences(url: str, page: str) -> Iterator[None]:
    """
    Raise whatever goes wrong on the way to a server as one sentence.

    :param url: the address
    :type url: str
    :param page: where people read about the model and accept its licence
    :type page: str
    :yield: nothing
    :ytype: None
    :raises TransientError: when the same request may succeed a moment later
    :raises WeightsError: when it will not
    """
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        kind = TransientError if error.code in _TRANSIENT else WeightsError
        raise kind(explain_status(error.code, host_of(url), page)) from None
    except (OSError, http.client.HTTPException) as error:
        words = explain_error(error, host_of(url))
        kind = WeightsError if words.key == 'weights.certificate' else TransientError
        raise kind(words) from None


def explain_status(status: int, host: str, page: str) -> Text:
    """
    Explain an HTTP status to a person.

    :param status: 400 or above
    :type status: int
    :param host: who answered
    :type host: str
    :param page: where people read about the model and accept its licence
    :type page: str
    :return: one sentence
    :rtype: Text
    """
    key = {401: 'unauthorised', 403: 'forbidden', 404: 'not_found', 429: 'too_many'}.get(status)
    return text(f'weights.{key or "server_error"}', host = host, status = status, page = page)


def explain_error(error: BaseException, host: str) -> Text:
    """
    Explain why a server could not be reached.

    :param error: what any HTTP library raised
    :type error: BaseException
    :param host: who was asked
    :type host: str
    :return: one sentence
    :rtype: Text
    """
    chain: list[BaseException] = []
    cause: Any = error
    while isinstance(cause, BaseException) and cause not in chain:
        chain.append(cause)
        reason = getattr(cause, 'reason', None)
        cause = cause.__cause__ or cause.__context__ or reason
    kinds = {
        'weights.certificate': ssl.SSLCertVerificationError,
        'weights.no_network': socket.gaierror,
        'weights.timeout': TimeoutError,
    }
    key = next((key for key, kind in kinds.items() if any(isinstance(e, kind) for e in chain)), '')
    return text(key or 'weights.unreachable', host = host, reason = str(chain[-1]) or repr(error))


def host_of(url: str) -> str:
    """
    Return the host of an address, with its port where one is given.

    :param url: the address
    :type url: str
    :return: the host
    :rtype: str
    """
    return urllib.parse.urlsplit(url).netloc
