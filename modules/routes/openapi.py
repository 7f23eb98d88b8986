#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``GET /openapi.json``: every call, described out of the tables the program itself works with, so that it cannot drift.

Libraries: Flask.
"""

from flask import Blueprint, Response, jsonify

from modules import VERSION, encoders, errors
from modules.jobs.job import FINAL_STATES
from modules.request import PARAMETERS, Parameter

blueprint = Blueprint('openapi', __name__)

JOB = {'$ref': '#/components/schemas/Job'}
ID = {
    'name': 'id',
    'in': 'path',
    'required': True,
    'description': 'the id that POST /jobs gave',
    'schema': {
        'type': 'string'
    }
}

NOTHING = {'description': 'done, and nothing to tell'}

#: refusals that any call may meet
ANYWHERE = (400, 401, 403, 404, 429, 500, 503)


@blueprint.get('/openapi.json')
def openapi() -> Response:
    """
    Describe the program.

    :return: OpenAPI 3.1
    :rtype: Response
    """
    return jsonify(document())


def document() -> dict:
    """
    The description.

    :return: OpenAPI 3.1
    :rtype: dict
    """
    return {
        'openapi': '3.1.0',
        'info': {
            'title': 'turn-live-photos',
            'version': VERSION,
            'description': 'A photo goes in, a living picture comes out.'
        },
        'paths': {
            '/': {
                'get': call('The page', {200: plain('text/html')}, query = [language()])
            },
            **_making(),
            **_jobs(),
            **_telling()
        },
        'components': {
            'schemas': {
                'Error': _error(),
                'Job': _job(),
                'Result': _result()
            },
            'securitySchemes': {
                'password': {
                    'type': 'http',
                    'scheme': 'basic'
                }
            }
        },
        # where the owner has set a password
        'security': [{}, {
            'password': []
        }]
    }


def _making() -> dict:
    made = {kind.mime_type: binary() for kind in encoders.TABLE.values()}
    told = {
        name: header(words)
        for name, words in (('X-Job-Id', 'id of the job'), ('X-Seed', 'the seed used'),
                            ('X-Engine', 'the engine at work'), ('Content-Disposition',
                                                                 'the name of the file'))
    }
    return {
        '/generate': {
            'post':
            call(
                'Make a clip and wait for it', {
                    200: {
                        'description': 'the file',
                        'content': made,
                        'headers': told
                    },
                    **refusals(413, 415)
                },
                form = _form())
        },
        '/upright': {
            'post':
            call(
                'The photo upright, for browsers that cannot show it', {
                    200: {
                        'description': 'a picture',
                        'content': {
                            'image/jpeg': binary()
                        }
                    },
                    **refusals(413, 415)
                },
                form = {'file': _file()})
        },
    }


def _jobs() -> dict:
    a_job = json_of('the job', JOB)
    accepted = {**a_job, 'headers': {'Location': header('where the job is')}}
    return {
        '/jobs': {
            'post':
            call(
                'Accept a photo; the job survives a restart', {
                    202: accepted,
                    **refusals(413, 415)
                },
                form = _form())
        },
        '/jobs/{id}': {
            'parameters': [ID],
            'get': call('How a job is', {200: a_job}, query = [language()]),
            'delete': call('Remove a job and its files', {204: NOTHING})
        },
        '/jobs/{id}/events': {
            'parameters': [ID],
            'get':
            call(
                'Follow a job until it has ended', {200: plain('text/event-stream')},
                query = [language()])
        },
        '/jobs/{id}/preview':
        _file_call('A small picture of the clip as it stands', 'image/jpeg',
                   [optional('v', 'number of the picture, for caches')]),
        '/jobs/{id}/photo':
        _file_call('The photo as it was sent', 'application/octet-stream', [], refusals(416)),
        '/jobs/{id}/result':
        _result_call(),
        '/jobs/{id}/cancel': {
            'parameters': [ID],
            'post': call('Stop a job', {
                200: a_job,
                **refusals(409)
            })
        },
    }


def _result_call() -> dict:
    wanted = next(parameter for parameter in PARAMETERS if parameter.name == 'format')
    whole = {kind.mime_type: binary() for kind in encoders.TABLE.values()}
    part = {
        'description': 'a part of the file',
        'content': whole,
        'headers': {
            'Content-Range': header('which part')
        }
    }
    query = [
        optional('format', 'the file wanted; the one asked for at first, if not given',
                 {'enum': [*wanted.choices, '']}),
        optional('download', '1: to be saved rather than shown')
    ]
    answers = {
        200: {
            'description': 'the file',
            'content': whole
        },
        206: part,
        304: {
            'description': 'not changed'
        },
        **refusals(409, 416)
    }
    return {
        'parameters': [ID],
        'get': call('A finished clip in any format', answers, query = query)
    }


def _file_call(summary: str, mime_type: str, query: list, more: dict | None = None) -> dict:
    content = {mime_type: binary()}
    answers = {200: {'description': 'the file', 'content': content}, **(more or {})}
    if more:
        answers |= {
            206: {
                'description': 'a part',
                'content': content
            },
            304: {
                'description': 'same'
            }
        }
    return {'parameters': [ID], 'get': call(summary, answers, query = query)}


def _telling() -> dict:
    anything = json_of('as it is now', {'type': 'object'})
    return {
        '/health': {
            'get':
            call(
                'How the program is', {
                    200: anything,
                    503: json_of('no job can be done, or it is shutting down', {'type': 'object'})
                },
                query = [language()])
        },
        '/metrics': {
            'get': call('For Prometheus', {200: plain('text/plain')})
        },
        '/openapi.json': {
            'get': call('This description', {200: anything})
        },
        '/model/download': {
            'post': call('Fetch the model; only from this very machine', {202: anything})
        },
    }


def call(summary: str,
         answers: dict[int, dict],
         *,
         query: list | None = None,
         form: dict | None = None) -> dict:
    """
    One call.

    :param summary: what it does
    :type summary: str
    :param answers: status → answer; refusals that any call may meet are added
    :type answers: dict[int, dict]
    :param query: parameters of the address
    :type query: list | None
    :param form: field → schema, of a form that is sent
    :type form: dict | None
    :return: an operation
    :rtype: dict
    """
    told = {**refusals(*ANYWHERE), **answers}
    operation = {
        'summary': summary,
        'responses': {
            str(status): answer
            for status, answer in sorted(told.items())
        }
    }
    if query:
        operation['parameters'] = query
    if form:
        schema = {
            'type': 'object',
            'properties': form,
            'required': ['file'],
            'additionalProperties': False
        }
        operation['requestBody'] = {
            'required': True,
            'content': {
                'multipart/form-data': {
                    'schema': schema
                }
            }
        }
    return operation


def refusals(*statuses: int) -> dict[int, dict]:
    """
    Answers that say no.

    :param statuses: their statuses
    :type statuses: int
    :return: status → answer
    :rtype: dict[int, dict]
    """
    answers = {}
    for status in statuses:
        codes = sorted({kind.code for kind in errors.kinds() if kind.status == status})
        answer = json_of(', '.join(codes) or 'refused', {'$ref': '#/components/schemas/Error'})
        if status in (429, 503):
            answer['headers'] = {'Retry-After': header('seconds')}
        answers[status] = answer
    return answers


def _form() -> dict[str, dict]:
    fields = {'file': _file()}
    for parameter in PARAMETERS:
        for name in (parameter.name, *parameter.aliases):
            fields[name] = _schema(parameter)
    return fields


def _file() -> dict:
    return {
        'type': 'string',
        'format': 'binary',
        'description': 'a photo; what it is, its bytes decide'
    }


def _schema(parameter: Parameter) -> dict:
    if parameter.choices:
        schema = {'type': 'string', 'enum': list(parameter.choices)}
    else:
        schema = {
            'type': 'number' if isinstance(parameter.default, float) else 'integer',
            'minimum': parameter.minimum,
            'maximum': parameter.maximum
        }
    return schema if parameter.default is None else {**schema, 'default': parameter.default}


def _error() -> dict:
    return _object(
        message = {'type': 'string'},
        code = {'enum': sorted({kind.code
                                for kind in errors.kinds()})},
        field = {'type': ['string', 'null']},
        request_id = {'type': 'string'})


def _job() -> dict:
    words, maybe = {'type': 'string'}, {'type': ['string', 'null']}
    count, number = {'type': 'integer', 'minimum': 0}, {'type': ['integer', 'null']}
    moment = {'type': ['string', 'null'], 'format': 'date-time'}
    return _object(
        id = {
            'type': 'string',
            'pattern': '^[0-9a-f]{32}$'
        },
        state = {'enum': ['queued', 'running', *FINAL_STATES]},
        name = words,
        position = number,
        eta_seconds = number,
        phase = maybe,
        step = count,
        steps = count,
        seed = count,
        engine = words,
        model = maybe,
        version = words,
        parameters = {'type': 'object'},
        created = moment,
        started = moment,
        finished = moment,
        error = {'type': ['object', 'null']},
        preview = maybe,
        photo = words,
        results = {
            'type': 'array',
            'items': {
                '$ref': '#/components/schemas/Result'
            }
        })


def _result() -> dict:
    return _object(
        format = {'enum': list(encoders.TABLE)},
        type = {'enum': sorted({kind.mime_type
                                for kind in encoders.TABLE.values()})},
        name = {'type': 'string'},
        bytes = {'type': ['integer', 'null']},
        url = {'type': 'string'},
        note = {'type': ['string', 'null']})


def _object(**properties: dict) -> dict:
    """An object that has these properties, all of them, and no other."""
    return {
        'type': 'object',
        'properties': properties,
        'required': list(properties),
        'additionalProperties': False
    }


def json_of(description: str, schema: dict) -> dict:
    """
    An answer in JSON.

    :param description: what it is
    :type description: str
    :param schema: of its content
    :type schema: dict
    :return: a response object
    :rtype: dict
    """
    return {'description': description, 'content': {'application/json': {'schema': schema}}}


def plain(mime_type: str) -> dict:
    """
    An answer in words.

    :param mime_type: its type
    :type mime_type: str
    :return: a response object
    :rtype: dict
    """
    return {'description': 'text', 'content': {mime_type: {}}}


def binary() -> dict:
    """
    The content of a file.

    :return: a media type object
    :rtype: dict
    """
    return {'schema': {'type': 'string', 'format': 'binary'}}


def header(description: str) -> dict:
    """
    A header of an answer.

    :param description: what it tells
    :type description: str
    :return: a header object
    :rtype: dict
    """
    return {'description': description, 'schema': {'type': 'string'}}


def optional(name: str, description: str, schema: dict | None = None) -> dict:
    """
    A parameter of an address.

    :param name: its name
    :type name: str
    :param description: what it does
    :type description: str
    :param schema: what it may be; any word, if not given
    :type schema: dict | None
    :return: a parameter object
    :rtype: dict
    """
    kind = {'type': 'string', **(schema or {})}
    return {'name': name, 'in': 'query', 'description': description, 'schema': kind}


def language() -> dict:
    """
    The parameter that every call understands.

    :return: a parameter object
    :rtype: dict
    """
    return optional('lang', 'language of what is said: en or zh; anything else counts as not given')
