#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``GET /health``: is the program well, and if not, why; which engine is in use, why not another, and how far the
models' downloads are.

Libraries: Flask.
"""

from flask import Blueprint, Response, jsonify

from modules import VERSION, errors
from modules.engines.contract import EngineStatus
from modules.engines.models import MAIN
from modules.routes import model
from modules.web.services import language, services

blueprint = Blueprint('health', __name__)


@blueprint.get('/health')
def health() -> Response:
    """
    Report the state of the program.

    :return: JSON; status 503 when no job can be done any more
    :rtype: Response
    """
    queue = services().queue.status()
    problem = queue.problem
    models = model.models_to_dict(language())
    status = 'FAILED' if problem else queue.state
    response = jsonify(
        status = status,
        problem = problem and {
            'code': problem.code,
            'message': problem.text.in_(language())
        },
        version = VERSION,
        waiting = queue.waiting,
        libraries = model.download_to_dict(services().libraries.state(), language()),
        download = models[MAIN.key]['download'],
        models = models,
        **engines(language()))
    response.status_code = 503 if status == 'FAILED' else 200
    response.headers['Cache-Control'] = 'no-store'
    return response


def engines(reader: str) -> dict:
    """
    Describe the engine in use and the reasons against the others.

    :param reader: the language of the reasons
    :type reader: str
    :return: ``engine`` (a name, or null when the one asked for cannot work), ``engines`` (name → reason or
        null), ``parameters`` (the form's fields that the engine in use understands), ``warnings`` (what is set in a
        way that is known to give bad clips), ``memory`` (how the engine in use gets by with it: ``rung``, and ``peak``
        in bytes; null where there is nothing to tell) and ``depth`` (what tells it near from far: ``model``, null
        where it guesses, and ``reason``, why; null where it does not ask)
    :rtype: dict
    """
    known = services().animator.engines
    try:
        engine = known.choose(known.preferred)
    except errors.EngineUnavailable:
        engine = None
    reasons = {name: reason and reason.in_(reader) for name, reason in known.reasons().items()}
    status = known.status(engine) if engine else EngineStatus()
    memory, depth = status.predict_memory(), status.depth
    return {
        'engine': engine,
        'engines': reasons,
        'parameters': list(known.describe(engine).parameters) if engine else [],
        'warnings': [words.in_(reader) for words in status.warnings],
        'memory': memory and {
            'rung': memory.rung,
            'peak': memory.peak
        },
        'depth': depth and {
            'model': depth.model,
            'reason': depth.reason and depth.reason.in_(reader)
        }
    }
