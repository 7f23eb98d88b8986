#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The queue of many machines. In Redis stand ``records`` of jobs, the ``line`` of those that wait and the ``members`` of
the fleet, all within reach of one ``ledger``; ``scripts`` make every change, ``broker`` moves messages by Dramatiq.

A web process has ``remote_queue``, which follows changes by ``listener`` and ``live``. A ``worker`` has a ``device``
for each GPU, which does a ``task`` at a time. What both must have in common is in ``agreement``.

Libraries: none here.
"""
