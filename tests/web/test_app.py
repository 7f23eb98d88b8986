#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The app is put together of one service of each kind, whether jobs are done here or by a fleet.

Libraries: pytest.
"""

import pytest
import stand_ins

import app
from modules.clips.animator import Animator
from modules.configuration import Configuration, QueueOptions
from modules.engines.registry import Engines


@pytest.mark.parametrize('broker', ['', 'redis://127.0.0.1:1'])
def test_every_service_is_made_once(tmp_path, monkeypatch, broker):
    options = Configuration(queue = QueueOptions(broker = broker))
    engines = Engines(options, stand_ins.table(camera = 'Instant'))
    made = []

    class Counted(Animator):

        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(app, 'Animator', Counted)
    # engines of this machine are made neither where others are given nor for a fleet
    monkeypatch.setattr(app, 'Engines', None)
    services = app.create_app(
        options, tmp_path / 'home', engines = [engines]).extensions['services']
    try:
        assert made == [services.animator]
        assert services.results.animator is services.animator
        # a fleet's clips are made elsewhere
        assert broker or services.queue.animator is services.animator
        assert (services.animator.engines is engines) == (not broker)
    finally:
        services.close()
