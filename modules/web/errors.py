#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The only place where an exception becomes a response; it also gives every request its id.

Libraries: Flask, Werkzeug.
"""

import logging
import secrets

from flask import Blueprint, Request, Response, g, jsonify, make_response, render_template, request
from werkzeug import exceptions

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


@blueprint.before_app_request
def begin() -> None:
    """Name the request."""
    g.request_id = secrets.token_hex(8)


@blueprint.after_app_request
def finish(response: Response) -> Response:
    """
    Tell the request's name with every answer.

    :param response: any answer
    :type response: Response
    :return: the same
    :rtype: Response
    """
    response.headers['X-Request-Id'] = g.get('request_id', '')
    return response


@blueprint.app_errorhandler(errors.Refusal)
def refused(refusal: errors.Refusal) -> Response:
    """
    What is refused for a known reason.

    :param refusal: the reason
    :type refusal: errors.Refusal
    :return: JSON in the reader's language; a page where it would be shown in a frame
    :rtype: Response
    """
    logger.info('Request %s: %s %s %s', g.request_id, refusal.status, refusal.code, refusal.field
                or '')
    if isinstance(refusal, errors.PasswordNeeded) and is_frame(request):
        words = i18n.words(language())
        response = make_response(
            render_template('locked.html', language = language(), words = words))
    else:
        response = jsonify(
            message = refusal.text.in_(language()),
            code = refusal.code,
            field = refusal.field,
            request_id = g.request_id)
    response.status_code = refusal.status
    if refusal.retry_after is not None:
        response.headers['Retry-After'] = str(refusal.retry_after)
    return response


@blueprint.app_errorhandler(exceptions.HTTPException)
def refused_by_werkzeug(error: exceptions.HTTPException) -> Response:
    """
    What Flask and Werkzeug refuse by themselves.

    :param error: their exception
    :type error: exceptions.HTTPException
    :return: JSON in the reader's language
    :rtype: Response
    """
    if error.code is not None and error.code < 400:
        return error.get_response()
    details = {}
    kind = REFUSALS.get(error.code, errors.BadRequest)
    if isinstance(error, exceptions.MethodNotAllowed):
        allowed = ', '.join(sorted(set(error.valid_methods or ()) - {'OPTIONS'}))
        details = {'method': request.method[:20], 'allowed': allowed}
    if error.code == 413:
        limit = services().configuration.web.max_content_length
        details = {'limit': megabytes(limit)}
        # Werkzeug has limits of its own for the number and the length of fields
        if not limit or (request.content_length or 0) <= limit:
            kind, details = errors.BadRequest, {}
    response = refused(kind(**details))
    if error.code not in REFUSALS:
        response.status_code = error.code
    if isinstance(error, exceptions.RequestedRangeNotSatisfiable) and error.length is not None:
        response.headers['Content-Range'] = f'{error.units} */{error.length}'
    if details.get('allowed'):
        response.headers['Allow'] = details['allowed']
        # the one-call API tells every wrong call with 400, as its documentation always did
        if request.path == '/generate':
            response.status_code = 400
    return response


@blueprint.app_errorhandler(Exception)
def failed(error: Exception) -> Response:
    """
    What nobody expected; the log has the traceback, the body never.

    :param error: anything
    :type error: Exception
    :return: JSON in the reader's language
    :rtype: Response
    """
    logger.exception('Request %s failed: %s %s', g.get('request_id'), request.method, request.path)
    if isinstance(error, MemoryError):
        return refused(errors.OutOfMemory())
    if isinstance(error, OSError) and error.errno in errors.DISK_ERRORS:
        return refused(errors.DiskFull())
    return refused(errors.Refusal())


def is_frame(asked: Request) -> bool:
    """
    Whether a browser fetches a page for a frame. In those of other sites it asks for no password, shows what came with
    the refusal, and somebody reads it.

    :param asked: the request
    :type asked: Request
    :return: whether it does
    :rtype: bool
    """
    return asked.headers.get('Sec-Fetch-Dest') in ('iframe', 'frame')


def megabytes(size: int) -> str:
    """
    A size in words.

    :param size: bytes
    :type size: int
    :return: millions of bytes, as 33.6
    :rtype: str
    """
    return f'{size / 1e6:.3g}'
