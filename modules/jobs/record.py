#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What is kept of jobs and workers as text, in the store and in Redis, and what is read of it. Another version of the
program, or somebody else, may have written it: fields that are not known are left out, missing ones have their default
where there is one, and whatever else is wrong is one error.

Libraries: none.
"""

import json
import math
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from modules import VERSION, errors
from modules.i18n import LANGUAGES, Text
from modules.jobs.job import FINAL_STATES, Job, now
from modules.progress import Progress
from modules.request import PARAMETERS, AnimationRequest, safe_stem

STATES = ('queued', 'running', *FINAL_STATES)

#: what something that is no record raises while it is read; text nested without end is a RecursionError
WRONG = (AttributeError, KeyError, TypeError, ValueError, RecursionError, errors.BadRequest)


def job_to_json(job: Job) -> str:
    """
    Write what is kept of a job.

    :param job: the job
    :type job: Job
    :return: all but its id, its state and its folder, as JSON
    :rtype: str
    """
    wanted = asdict(job.request)
    del wanted['photo']
    return json.dumps({
        'request': wanted,
        'is_awaited': job.is_awaited,
        'sender': job.sender,
        **{
            name: moment and moment.isoformat()
            for name, moment in (('created', job.created), ('started', job.started), ('finished', job.finished))
        }, 'attempts': job.attempts,
        'error': job.error and job.error.to_dict(),
        'model': job.model,
        'version': job.version,
        'notes': {
            name: note.to_dict()
            for name, note in job.notes.items()
        }
    })


def unreadable_to_json(error: errors.Refusal) -> str:
    """
    Write what is kept of a job of which nothing could be read.

    :param error: why it failed
    :type error: errors.Refusal
    :return: JSON, for :func:`job_from_json`
    :rtype: str
    """
    wanted = {'seed': 0, 'engine': 'auto'}
    return json.dumps({'request': wanted, 'error': error.to_dict()})


def job_from_json(folder: Path, state: str, record: str) -> Job:
    """
    Read what :func:`job_to_json` wrote.

    :param folder: the job's folder; its name is the job's id
    :type folder: Path
    :param state: its state
    :type state: str
    :param record: the text
    :type record: str
    :return: the job
    :rtype: Job
    :raises modules.errors.BadRecord: when it is none
    """
    try:
        return _job(folder, state, json.loads(record))
    except WRONG as error:
        raise errors.BadRecord from error


def job_from_fields(folder: Path, found: dict[bytes, bytes]) -> tuple[Job, dict[str, str]]:
    """
    Read what Redis holds of a job.

    :param folder: the job's folder; its name is the job's id
    :type folder: Path
    :param found: names and values, ``record`` among them
    :type found: dict[bytes, bytes]
    :return: the job, and all fields; ``attempt`` and ``pictures`` are known to be numbers
    :rtype: tuple[Job, dict[str, str]]
    :raises modules.errors.BadRecord: when that is no job
    """
    try:
        fields = {'pictures': '0'}
        fields |= {name.decode(): value.decode() for name, value in found.items()}
        if min(int(fields[name]) for name in ('attempt', 'pictures')) < 0:
            raise ValueError(fields)
        return _job(folder, fields['state'], json.loads(fields['record'])), fields
    except WRONG as error:
        raise errors.BadRecord from error


def progress_from_json(words: str | None) -> Progress:
    """
    Read how far an attempt is.

    :param words: phase, step and steps as JSON; None where nothing was noted yet
    :type words: str | None
    :return: that, without a picture
    :rtype: Progress
    :raises modules.errors.BadRecord: when it is something else
    """
    try:
        phase, step, steps = json.loads(words or '["", 0, 0]')
        if not isinstance(phase, str) or min(int(step), int(steps)) < 0:
            raise ValueError(words)
        return Progress(phase, int(step), int(steps))
    except WRONG as error:
        raise errors.BadRecord from error


def facts_from_json(words: bytes, moment: float) -> dict:
    """
    Read what a worker or a web process says of itself.

    :param words: JSON
    :type words: bytes
    :param moment: seconds of Redis's clock, now
    :type moment: float
    :return: ``shared``, ``engines``, ``slow``, ``devices``, ``depth``, ``silent``: the seconds since it was heard of
    :rtype: dict
    :raises modules.errors.BadRecord: when it is something else
    """
    try:
        found = json.loads(words)
        # Redis's clock may have been set back: a moment to come is no sign of life for ever
        silent = abs(moment - found['seen'])
        facts = {
            'shared': {
                str(name): str(value)
                for name, value in found['shared'].items()
            },
            'engines': [str(name) for name in found.get('engines', [])],
            'slow': [str(name) for name in found.get('slow', [])],
            'devices': int(found.get('devices', 1)),
            'depth': {
                str(name): model and str(model)
                for name, model in found.get('depth', {}).items()
            },
            'silent': silent
        }
        if not math.isfinite(silent):
            raise ValueError(words)
    except (*WRONG, OverflowError) as error:
        raise errors.BadRecord from error
    return facts


def _job(folder: Path, state: str, record: dict) -> Job:
    if state not in STATES:
        raise ValueError(state)
    attempts = record.get('attempts', 0)
    if not isinstance(attempts, int) or attempts < 0:
        raise ValueError(attempts)
    finished = _moment(record.get('finished'))
    notes = {name: _note(kept) for name, kept in record.get('notes', {}).items()}
    return Job(
        folder.name,
        folder,
        _request(folder / 'upload', record['request']),
        bool(record.get('is_awaited', False)),
        state = state,
        created = _moment(record.get('created')) or now(),
        started = _moment(record.get('started')),
        finished = finished or now() if state in FINAL_STATES else finished,
        attempts = attempts,
        error = _error(record.get('error')),
        model = _words(record.get('model')),
        version = _words(record.get('version')) or VERSION,
        sender = _words(record.get('sender')) or '',
        notes = {
            name: note
            for name, note in notes.items() if note
        })


def _request(photo: Path, kept: dict) -> AnimationRequest:
    """Every value is one that a form could have brought; only what has no default must be there."""
    values: dict[str, Any] = {}
    for parameter in PARAMETERS:
        value = kept.get(parameter.name, parameter.default)
        field = value if isinstance(value, str) else json.dumps(value)
        values[parameter.name] = None if value is None else parameter.parse(field)
    if values['seed'] is None or values['engine'] is None:
        raise ValueError(kept)
    values['is_auto'] = kept.get('is_auto') is True
    return AnimationRequest(photo, safe_stem(f'{kept.get("stem", "")}.'), **values)


def _moment(kept: str | None) -> datetime | None:
    moment = kept and datetime.fromisoformat(kept)
    if moment and moment.tzinfo is None:
        raise ValueError(kept)
    return moment or None


def _words(kept: str | None) -> str | None:
    return None if kept is None else str(kept)


def _note(kept: dict) -> Text | None:
    """A note; None where this version does not have its words."""
    try:
        note = Text.from_dict(kept)
        _try_words(note)
    except WRONG:
        return None
    return note


def _error(kept: dict | None) -> errors.Refusal | None:
    """Why it failed; a plain failure where this version does not have the words."""
    if not kept:
        return None
    try:
        error = errors.Refusal.from_dict({
            'code': kept['code'],
            'field': None,
            'details': kept['details']
        })
        error.field = _words(kept.get('field'))
        _try_words(error.text)
    except WRONG:
        return errors.EngineFailed()
    return error


def _try_words(text: Text) -> None:
    for language in LANGUAGES:
        text.in_(language)
