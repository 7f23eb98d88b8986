#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The server with stand-in engines, a photo for it, and how it refuses. Not a test itself.

Libraries: Pillow.
"""

import io

import program
import stand_ins
from PIL import Image

from app import create_app
from modules.configuration import Configuration, ModelOptions, QueueOptions, WebOptions
from modules.engines.registry import Engines


def jpeg(colour = 'red', size = (64, 48)):
    content = io.BytesIO()
    Image.new('RGB', size, colour).save(content, 'JPEG', quality = 95)
    return content.getvalue()


def serve(tmp_path, engines = None, waiting = 16, engine = 'auto', **web):
    """The server and the app behind it; as a context manager it gives the port."""
    configuration = Configuration(
        web = WebOptions(port = 0, **web),
        queue = QueueOptions(max_waiting = waiting),
        model = ModelOptions(engine = engine))
    table = stand_ins.table(**(engines or {'svd': 'Unavailable', 'camera': 'Instant'}))
    app = create_app(configuration, tmp_path, engines = Engines(configuration, table))
    program.last_app = app
    return program.served(app, configuration.web)


def refused(answer, status, code, field = None):
    assert (answer.status, answer.json['code'], answer.json['field']) == (status, code, field)
    assert set(answer.json) == {'message', 'code', 'field', 'request_id'}
    assert answer.json['message']
    return answer
