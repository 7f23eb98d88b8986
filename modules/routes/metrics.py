#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``GET /metrics``: counters for Prometheus.

Libraries: Flask, prometheus-client.
"""

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from modules.web.services import services

blueprint = Blueprint('metrics', __name__)


@blueprint.get('/metrics')
def metrics() -> Response:
    """
    Return the counters and the length of the queue.

    :return: Prometheus text
    :rtype: Response
    """
    response = Response(
        generate_latest(services().queue.meter.registry), content_type = CONTENT_TYPE_LATEST)
    response.headers['Cache-Control'] = 'no-store'
    return response
