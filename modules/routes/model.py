#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``/model/download``: the page's buttons that fetch a model, and stop that, for people at this machine and those with the
password.

Libraries: Flask.
"""

from flask import Blueprint, Request, Response, jsonify, request

from modules import errors
from modules.engines.models import MAIN, MODELS
from modules.web.access import proxies
from modules.web.services import language, services
from modules.weights import find
from modules.weights.download import State
from modules.weights.fetcher import Fetcher

blueprint = Blueprint('model', __name__)


@blueprint.post('/model/download')
def download() -> Response:
    """
    Start to fetch the model that the query ``model`` names, the main one where it names none, or continue.

    :return: 202 and how far it is
    :rtype: Response
    :raises errors.NotFromHere: for anybody else than a person at this machine, where there is no password
    :raises errors.UnknownChoice: for a model that nobody here knows
    """
    fetcher = _find_fetcher()
    fetcher.start()
    return _answer(fetcher)


@blueprint.delete('/model/download')
def cancel() -> Response:
    """
    Stop fetching the model that the query names; what has come is continued by the next download.

    :return: 202 and how far it is, which may be ``running`` for a moment still
    :rtype: Response
    :raises errors.NotFromHere: as for :func:`download`
    :raises errors.UnknownChoice: as for :func:`download`
    """
    fetcher = _find_fetcher()
    fetcher.cancel()
    return _answer(fetcher)


def _find_fetcher() -> Fetcher:
    if not may_download(request):
        raise errors.NotFromHere
    key = request.args.get('model') or MAIN.key
    if key not in MODELS:
        raise errors.UnknownChoice('model', value = key[:40], choices = ', '.join(MODELS))
    return services().fetchers[key]


def _answer(fetcher: Fetcher) -> Response:
    response = jsonify(download_to_dict(fetcher.state(), language()))
    response.status_code = 202
    return response


def may_download(asked: Request) -> bool:
    """
    Tell whether a request comes from this machine or from somebody with the password; requests without it, where one
    is set, and other sites' pages are refused before.

    :param asked: the request
    :type asked: Request
    :return: whether it may fetch gigabytes
    :rtype: bool
    """
    return bool(services().configuration.web.password) or proxies.is_from_here(asked)


def models_to_dict(reader: str) -> dict:
    """
    Describe every model that can be fetched.

    :param reader: the language of reasons
    :type reader: str
    :return: name → ``here`` (whether it is whole on this machine), ``size`` (about as many bytes are fetched),
        ``licence`` (its name, or null where it has one of its own) and ``download`` (how far it is)
    :rtype: dict
    """
    return {
        key: {
            'here': find(services().configuration, model) is not None,
            'size': model.expect_bytes(services().configuration),
            'licence': model.licence or None,
            'download': download_to_dict(services().fetchers[key].state(), reader)
        }
        for key, model in MODELS.items()
    }


def download_to_dict(state: State, reader: str) -> dict:
    """
    Describe a download as programs and the page see it.

    :param state: how far it is
    :type state: State
    :param reader: the language of the reason
    :type reader: str
    :return: ``state``, ``bytes_done``, ``bytes_total``, ``bytes_per_second``, ``eta_seconds``, ``file``, ``source``,
        ``error``
    :rtype: dict
    """
    return {
        'state': state.state,
        'bytes_done': state.bytes_done,
        'bytes_total': state.bytes_total,
        'bytes_per_second': round(state.speed),
        'eta_seconds': None if state.eta is None else round(state.eta),
        'file': state.file,
        'source': state.source,
        'error': state.error and state.error.in_(reader)
    }
