#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A job as programs and the page see it.

Libraries: none here.
"""

from datetime import datetime

from modules import encoders
from modules.clips.animator import parameters_of
from modules.jobs.job import FINAL_STATES, QUEUED, Job, link_id
from modules.web.services import services


def job_to_dict(job: Job, reader: str) -> dict:
    """
    Describe a job.

    :param job: the job
    :type job: Job
    :param reader: the language of the messages
    :type reader: str
    :return: what JSON can hold; addresses start at the page's
    :rtype: dict
    """
    # what is done stays done, what runs may end while this is put together
    state, progress = job.state, job.progress
    if state in FINAL_STATES:
        # which is not recorded
        progress = QUEUED
    is_done, address = state == 'done', f'jobs/{job.id}'
    picture = job.pictures if job.preview or job.progress.picture is not None else state if is_done else None
    return {
        'id':
        job.id,
        'state':
        state,
        'name':
        job.request.stem,
        **_place(job), 'phase':
        progress.phase if state == 'running' else None,
        'step':
        progress.step,
        'steps':
        progress.steps,
        'seed':
        job.request.seed,
        'engine':
        job.request.engine,
        'model':
        job.model,
        'version':
        job.version,
        'parameters':
        parameters_of(job.request),
        **_moments(job, state), 'error':
        job.error.to_json(reader) if job.error and state in FINAL_STATES else None,
        'preview':
        picture and f'{address}/preview?v={picture}',
        'photo':
        f'{address}/photo',
        'results':
        [result_to_dict(job, name, reader, address) for name in encoders.TABLE] if is_done else []
    }


def _place(job: Job) -> dict[str, int | None]:
    place = services().queue.place(job)
    seconds = place.seconds
    return {'position': place.position, 'eta_seconds': None if seconds is None else round(seconds)}


def _moments(job: Job, state: str) -> dict[str, str | None]:
    finished = job.finished if state in FINAL_STATES else None
    moments: dict[str, datetime | None] = {
        'created': job.created,
        'started': job.started,
        'finished': finished
    }
    return {name: moment.isoformat() if moment else None for name, moment in moments.items()}


def clip_to_dict(job: Job, reader: str) -> dict:
    """
    Describe a clip to whoever has its link: nothing in it leads to the job.

    :param job: a job that is done
    :type job: Job
    :param reader: the language of the notes
    :type reader: str
    :return: ``name``, ``preview``, ``results``; addresses start at the page's
    :rtype: dict
    """
    address = f'clip-{link_id(job.id)}'
    return {
        'name': job.request.stem,
        'preview': f'{address}/preview?v=done',
        'results': [result_to_dict(job, name, reader, address) for name in encoders.TABLE]
    }


def result_to_dict(job: Job, format_name: str, reader: str, address: str) -> dict:
    """
    Describe one file of a job that is done.

    :param job: the job
    :type job: Job
    :param format_name: one of :data:`modules.encoders.TABLE`
    :type format_name: str
    :param reader: the language of the note
    :type reader: str
    :param address: what the file's own address begins with
    :type address: str
    :return: ``format``, ``type``, ``name``, ``bytes`` (null while it is not made), ``url``, ``note`` (what was
        given up)
    :rtype: dict
    """
    kind, path, note = encoders.TABLE[format_name], job.file(format_name), job.notes.get(
        format_name)
    return {
        'format': format_name,
        'type': kind.mime_type,
        'name': kind.name(job.request.stem, job.created, job.id),
        'bytes': path.stat().st_size if path.exists() else None,
        'url': f'{address}/result?format={format_name}',
        'note': note and note.in_(reader)
    }
