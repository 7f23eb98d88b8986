#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a person should know of a clip that is not as it was asked for.

Libraries: none.
"""

from modules.configuration import ModelOptions
from modules.engines.contract import Engine
from modules.i18n import Text, text
from modules.request import FILE_FIELDS, AnimationRequest
from modules.request.parameters import PARAMETERS


def explain_unused(engine: Engine, request: AnimationRequest, model: ModelOptions) -> Text | None:
    """
    Name the fields that were given and that the engine does not understand.

    :param engine: the engine
    :type engine: Engine
    :param request: what is wanted of it
    :type request: AnimationRequest
    :param model: the options
    :type model: ModelOptions
    :return: the note; None where there are none
    :rtype: Text | None
    """
    given = [
        parameter.name for parameter in PARAMETERS
        if getattr(request, parameter.name) not in (None, parameter.default,
                                                    getattr(model, parameter.name, None))
    ]
    understood = set(engine.parameters)
    if request.preset not in engine.presets:
        understood.discard('preset')
    unused = [name for name in given if name not in (*FILE_FIELDS, *understood)]
    if not unused:
        return None
    return text('notes.unused', engine = text(f'page.{request.engine}'), fields = ', '.join(unused))


def explain_loop(engine: Engine, request: AnimationRequest) -> Text | None:
    """
    Say that a model cannot close the loop that it was asked to close.

    :param engine: the engine
    :type engine: Engine
    :param request: what is wanted of it
    :type request: AnimationRequest
    :return: the note; None where it can, or need not
    :rtype: Text | None
    """
    if request.loop != 'model' or engine.is_closed or engine.can_close:
        return None
    return text('notes.not_closed', engine = text(f'page.{request.engine}'))


def join_notes(*notes: Text | None) -> Text | None:
    """
    Put notes together.

    :param notes: what was given up, the earliest first
    :type notes: Text | None
    :return: one text of all; of several alike the last
    :rtype: Text | None
    """
    joined: Text | None = None
    for note in {note.key: note for note in notes if note}.values():
        joined = text('notes.both', first = joined, second = note) if joined else note
    return joined
