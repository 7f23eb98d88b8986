#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The page, and the upright picture of a photo that the browser itself cannot show.

Libraries: Flask, MarkupSafe.
"""

import contextlib
import re
import shutil

from flask import Blueprint, Response, render_template, request
from markupsafe import Markup, escape

from modules import VERSION, errors, i18n
from modules.engines.models import MAIN, MODELS
from modules.jobs.job import new_id
from modules.photos.sandbox import calls
from modules.request.parameters import PARAMETERS
from modules.routes import generate, health, model
from modules.web import static_files
from modules.web.access import proxies
from modules.web.access.guards import heavy_work_slot
from modules.web.errors import megabytes
from modules.web.services import language, services
from modules.weights import WeightsError, plan

blueprint = Blueprint('pages', __name__)

#: what is typed into a terminal, within a sentence
COMMAND = re.compile(r'(?:\./START|START\.bat)'
                     rf'(?: --[a-z]+| download(?: (?:{"|".join(MODELS)})\b)?| doctor)*')

#: pixels of the picture shown for a photo the browser cannot decode
SHOWN_PIXELS = 1600 * 1200


@blueprint.app_template_filter()
def mark_commands(words: str) -> Markup:
    """
    Mark what is typed into a terminal, so that no line breaks within it.

    :param words: a sentence
    :type words: str
    :return: the sentence, escaped, with commands as code
    :rtype: Markup
    """
    return Markup(COMMAND.sub(r'<code>\g<0></code>', str(escape(words))))  # noqa: S704


@blueprint.get('/')
def index() -> Response:
    """
    Render the page in the reader's language.

    :return: HTML
    :rtype: Response
    """
    reader = language()
    now = _state(reader)
    known = services().animator.engines
    in_use = known.describe(now['engine']) if now['engine'] else None
    page = render_template(
        'index.html',
        language = reader,
        words = i18n.words(reader),
        now = now,
        preferred = known.preferred,
        may_download = model.may_download(request),
        better = _better(now, known.preferred, reader),
        in_use = in_use,
        sources = {key: _find_source(key, reader)
                   for key in MODELS},
        fetchable = _fetchable(now),
        main_model = MAIN.key,
        free = plan.free_bytes(services().configuration.store.models_home),
        parameters = {p.name: p
                      for p in PARAMETERS},
        understood = in_use.parameters if in_use else (),
        modules = static_files.list_modules('main.js'),
        later_modules = static_files.list_modules('rest.js'),
        preset = services().configuration.model.preset,
        key_frame = services().configuration.output.key_frame,
        max_seconds = services().configuration.model.max_seconds,
        max_content_length = services().configuration.web.max_content_length,
        limit = megabytes(services().configuration.web.max_content_length),
        version = VERSION)
    response = Response(page, mimetype = 'text/html')
    response.headers['Cache-Control'] = 'no-cache'
    response.headers['Vary'] = 'Accept-Language, Cookie'
    if request.args.get('lang') in i18n.LANGUAGES:
        response.set_cookie('lang', reader, max_age = 365 * 86400, samesite = 'Lax')
    return response


@blueprint.post('/upright')
def upright() -> Response:
    """
    Convert a photo to show it before anything moves; for formats a browser cannot decode, such as HEIC.

    :return: JPEG, upright, at most about :data:`SHOWN_PIXELS`
    :rtype: Response
    :raises errors.Refusal: as for ``POST /generate``
    """
    photo = generate.get_photo()
    for field in request.form:
        raise errors.UnknownField((field or '')[:80])
    folder = services().store.home / new_id()
    with heavy_work_slot(), contextlib.ExitStack() as undo:
        undo.callback(shutil.rmtree, folder, ignore_errors = True)
        generate.save_upload(photo, folder / 'upload')
        limit = services().configuration.web.max_pixels
        _found, content = services().sandbox.run(
            calls.show, folder / 'upload', limit, SHOWN_PIXELS, client = proxies.client(request))
    response = Response(content, mimetype = 'image/jpeg')
    response.headers['Cache-Control'] = 'no-store'
    return response


def _state(reader: str) -> dict:
    """Return what ``/health`` says of the engines, so that the page is right from the start."""
    return {
        'libraries': model.download_to_dict(services().libraries.state(), reader),
        'models': model.models_to_dict(reader),
        **health.engines(reader)
    }


def _better(now: dict, preferred: str, reader: str) -> list[dict[str, str | None]]:
    """The engines before the one in use, or where there is none, those asked for: why not, and what each lacks."""
    names = list(now['engines'])
    better = [name for name in names if preferred in ('auto', name)]
    if now['engine']:
        better = names[:names.index(now['engine'])]
    statuses = {name: services().animator.engines.status(name) for name in better}
    return [{
        'name': name,
        'reason': now['engines'][name] or (status.slow.in_(reader) if status.slow else None),
        'fetchable': status.fetchable
    } for name, status in statuses.items()]


def _fetchable(now: dict) -> str:
    """Return the name of the model that would make the engine in use better; empty where there is none."""
    fetchable = services().animator.engines.status(now['engine']).fetchable if now['engine'] else ''
    return fetchable if fetchable in MODELS else ''


def _find_source(key: str, reader: str) -> dict[str, str]:
    """Return a model's name on hubs, or why it has none and cannot be fetched."""
    configuration, model = services().configuration, MODELS[key]
    try:
        if companion := model.find_companion(configuration):
            plan.read_hub_name(configuration, companion)
        return {'name': plan.read_hub_name(configuration, model), 'hindrance': ''}
    except WeightsError as error:
        return {'name': '', 'hindrance': error.text.in_(reader)}
