#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Exceptions → responses; also gives every request its id.

Libraries: Flask, Werkzeug.
"""

import logging
import secrets

from flask import Blueprint, Request, Response, g, jsonify, make_response, render_template, request
from werkzeug import exceptions
from werkzeug.wrappers import Response as BaseResponse

from modules import errors, i18n
from modules.web.services import language, services

blueprint = Blueprint('errors', __name__)
logger = logging.getLogger(__name__)

#: Werkzeug's own refusals, by status
REFUSALS = {
    400: errors.BadRequest,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.UploadTooLarge,
}

#: what browsers open as a page: the plain form, the page of one clip and its files
PAGE_ENDPOINTS = ('generate.generate', 'clips.show', 'clips.result')


@blueprint.before_app_request
def set_request_id() -> None:
    """Give the request an id."""
    g.request_id = secrets.token_hex(8)


@blueprint.after_app_request
def add_request_id(response: Response) -> Response:
    """
    Send the request's id with every answer.

    :param response: any answer
    :type response: Response
    :return: the same
    :rtype: Response
    """
    response.headers['X-Request-Id'] = g.get('request_id', '')
    return response


@blueprint.app_errorhandler(errors.Refusal)
def refusal_response(refusal: errors.Refusal) -> Response:
    """
    Answer with a refusal.

    :param refusal: the reason
    :type refusal: errors.Refusal
    :return: JSON in the reader's language; a page where it would be shown in a frame
    :rtype: Response
    """
    logger.info('Request %s: %s %s %s', g.request_id, refusal.status, refusal.code, refusal.field
                or '')
    page = _find_page(refusal)
    if page:
        response = make_response(
            render_template(
                page, language = language(), words = i18n.words(language()), refusal = refusal))
    else:
        response = jsonify(**refusal.to_json(language()), request_id = g.request_id)
    response.status_code = refusal.status
    if refusal.retry_after is not None:
        response.headers['Retry-After'] = str(refusal.retry_after)
    return response


@blueprint.app_errorhandler(exceptions.HTTPException)
def werkzeug_response(error: exceptions.HTTPException) -> BaseResponse:
    """
    Answer with what Flask and Werkzeug refuse by themselves.

    :param error: their exception
    :type error: exceptions.HTTPException
    :return: JSON in the reader's language; a redirect as it is
    :rtype: BaseResponse
    """
    status = error.code or 500
    if status < 400:
        return error.get_response()
    details: dict[str, object] = {}
    kind = REFUSALS.get(status, errors.BadRequest)
    if isinstance(error, exceptions.MethodNotAllowed):
        allowed = ', '.join(sorted(set(error.valid_methods or ()) - {'OPTIONS'}))
        details = {'method': request.method[:20], 'allowed': allowed}
    if status == 413:
        limit = services().configuration.web.max_content_length
        details = {'limit': megabytes(limit)}
        # Werkzeug has limits of its own for the number and the length of fields
        if not limit or (request.content_length or 0) <= limit:
            kind, details = errors.BadRequest, {}
    response = refusal_response(kind(None, None, **details))
    if status not in REFUSALS:
        response.status_code = status
    if isinstance(error, exceptions.RequestedRangeNotSatisfiable) and error.length is not None:
        response.headers['Content-Range'] = f'{error.units} */{error.length}'
    if 'allowed' in details:
        response.headers['Allow'] = str(details['allowed'])
        # the one-call API answers every wrong call with 400, as its documentation always said
        if request.path == '/generate':
            response.status_code = 400
    return response


@blueprint.app_errorhandler(Exception)
def failure_response(error: Exception) -> Response:
    """
    Answer for an unexpected exception; the log has the traceback, the body never.

    :param error: anything
    :type error: Exception
    :return: JSON in the reader's language
    :rtype: Response
    """
    logger.exception('Request %s failed: %s %s', g.get('request_id'), request.method, request.path)
    if isinstance(error, MemoryError):
        return refusal_response(errors.OutOfMemory())
    if isinstance(error, OSError) and error.errno in errors.DISK_ERRORS:
        return refusal_response(errors.DiskFull())
    return refusal_response(errors.Refusal())


def _find_page(refusal: errors.Refusal) -> str:
    """The template of the page that says a refusal to a person; empty for JSON, which programs get."""
    if isinstance(refusal, errors.PasswordNeeded) and _is_frame(request):
        return 'locked.html'
    is_for_people = 'text/html' in request.headers.get('Accept', '')
    return 'refused.html' if is_for_people and request.endpoint in PAGE_ENDPOINTS else ''


def _is_frame(asked: Request) -> bool:
    """Whether a browser fetches a page for a frame: in other sites' frames it asks for no password."""
    return asked.headers.get('Sec-Fetch-Dest') in ('iframe', 'frame')


def megabytes(size: int) -> str:
    """
    Format a limit as its owner means it: a whole number of the larger megabytes, where it is one.

    :param size: bytes
    :type size: int
    :return: megabytes, as 32 or 1.5
    :rtype: str
    """
    large, rest = divmod(size, 1 << 20)
    return f'{large}' if large and not rest else f'{size / 1e6:.3g}'
