#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Nobody waits behind those who make much work.

Libraries: pytest.
"""

import threading

from program import until

from modules.photos.sandbox.fair_line import LONG, FairLine


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Person:
    """Somebody who waits for a place, and keeps it until told to go."""

    def __init__(self, line, client, order = None):
        self.may_go, self.is_in = threading.Event(), threading.Event()
        self.order = [] if order is None else order
        self._thread = threading.Thread(target = self._come, args = (line, client))
        before = len(line._waiting)
        self._thread.start()
        until(lambda: self.is_in.is_set() or len(line._waiting) > before)

    def _come(self, line, client):
        with line.place(client):
            self.order.append(client)
            self.is_in.set()
            self.may_go.wait(30)

    def go(self):
        self.may_go.set()
        self._thread.join()


def test_who_has_used_least_goes_first():
    clock, order = Clock(), []
    line = FairLine(1, 0, clock)
    first = Person(line, 'slow', order)
    clock.now += 30
    waiting = [Person(line, client, order) for client in ('slow', 'slow', 'honest', 'other', '')]
    for person in (first, *waiting):
        person.may_go.set()
    for person in (first, *waiting):
        person.go()
    assert order == ['slow', 'honest', 'other', '', 'slow', 'slow']


def test_what_was_used_long_ago_is_forgotten():
    clock, order = Clock(), []
    line = FairLine(1, 0, clock)
    once = Person(line, 'once', order)
    clock.now += 30
    once.go()
    clock.now += 1200
    holder = Person(line, 'holder', order)
    waiting = [Person(line, client, order) for client in ('once', 'new')]
    holder.go()
    for person in waiting:
        person.go()
    assert order == ['once', 'holder', 'once', 'new']
    assert not line._at_work


def test_others_begin_beside_what_takes_long():
    clock = Clock()
    line = FairLine(2, 1, clock)
    slow = [Person(line, client) for client in ('a', 'b')]
    honest = Person(line, 'honest')
    assert not honest.is_in.is_set()
    clock.now += LONG
    assert honest.is_in.wait(30)
    # there is an end to that
    another = Person(line, 'another')
    clock.now += LONG
    assert not another.is_in.wait(1)
    honest.go()
    assert another.is_in.wait(30)
    for person in (another, *slow):
        person.go()


def test_a_place_at_once_is_one_that_is_free():
    line = FairLine(1, 0)
    with line.place_at_once() as has_one:
        assert has_one
        with line.place_at_once() as has_another:
            assert not has_another
    with line.place_at_once() as has_one:
        assert has_one
