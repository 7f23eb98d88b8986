#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``GET /openapi.json``: every call. What is fixed stands in ``openapi.json`` beside this file; fields, formats, states
and codes come from the tables that the program itself works with, so that they cannot drift.

Libraries: Flask.
"""

import json
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify

from modules import VERSION, encoders, errors
from modules.jobs.job import FINAL_STATES
from modules.request.parameters import PARAMETERS, Parameter

blueprint = Blueprint('openapi', __name__)

#: the fixed part; ``x-refusals`` lists the statuses that a call adds to :data:`COMMON_REFUSALS`
FIXED = Path(__file__).with_name('openapi.json')

#: refusals that any call may meet
COMMON_REFUSALS = (400, 401, 403, 404, 429, 500, 503)


@blueprint.get('/openapi.json')
def openapi() -> Response:
    """
    Describe the program.

    :return: OpenAPI 3.1
    :rtype: Response
    """
    return jsonify(document())


def document() -> dict[str, Any]:
    """
    Return the description.

    :return: OpenAPI 3.1
    :rtype: dict[str, Any]
    """
    found = json.loads(FIXED.read_text(encoding = 'utf-8'))
    found['info']['version'] = VERSION
    paths, schemas = found['paths'], found['components']['schemas']
    for path in paths.values():
        for method, call in path.items():
            if method != 'parameters':
                refusals = _refusals(*COMMON_REFUSALS, *call.pop('x-refusals', ()))
                call['responses'] = {**refusals, **call['responses']}
    for path in ('/generate', '/jobs'):
        form = paths[path]['post']['requestBody']['content']['multipart/form-data']
        form['schema']['properties'] |= _fields()
    result = paths['/jobs/{id}/result']['get']
    for call, status in ((paths['/generate']['post'], '200'), (result, '200'), (result, '206')):
        call['responses'][status]['content'] = _clips()
    paths['/clip-{id}/result'] = {**paths['/clip-{id}'], 'get': result}
    formats = list(encoders.TABLE)
    for call in (result['parameters'][0], paths['/clips.zip']['get']['parameters'][1]):
        call['schema']['enum'] = [*formats, '']
    schemas['Error']['properties']['code']['enum'] = sorted({kind.code for kind in errors.kinds()})
    schemas['Job']['properties']['state']['enum'] = ['queued', 'running', *FINAL_STATES]
    schemas['Result']['properties']['format']['enum'] = formats
    schemas['Result']['properties']['type']['enum'] = sorted(_clips())
    return found


def _clips() -> dict[str, dict]:
    """List the media types of all formats, each with its schema."""
    binary = {'type': 'string', 'format': 'binary'}
    return {kind.mime_type: {'schema': binary} for kind in encoders.TABLE.values()}


def _refusals(*statuses: int) -> dict[str, dict]:
    """Describe refusals by their status, with the codes they may have."""
    error = {'application/json': {'schema': {'$ref': '#/components/schemas/Error'}}}
    answers = {}
    for status in statuses:
        codes = sorted({kind.code for kind in errors.kinds() if kind.status == status})
        answer: dict[str, Any] = {'description': ', '.join(codes) or 'refused', 'content': error}
        if status in (429, 503):
            retry_after = {'description': 'seconds', 'schema': {'type': 'string'}}
            answer['headers'] = {'Retry-After': retry_after}
        answers[str(status)] = answer
    return answers


def _fields() -> dict[str, dict]:
    """Describe the form's fields besides the photo, under every name they have."""
    return {
        name: _schema(parameter)
        for parameter in PARAMETERS
        for name in (parameter.name, *parameter.aliases)
    }


def _schema(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any]
    if parameter.choices:
        schema = {'type': 'string', 'enum': list(parameter.choices)}
    elif parameter.form:
        schema = {'type': 'string', 'description': parameter.form}
        if parameter.longest:
            schema['maxLength'] = parameter.longest
    else:
        parsed = parameter.parse(str(parameter.maximum))
        schema = {
            'type': 'integer' if isinstance(parsed, int) else 'number',
            'minimum': parameter.minimum,
            'maximum': parameter.maximum
        }
    return schema if parameter.default is None else {**schema, 'default': parameter.default}
