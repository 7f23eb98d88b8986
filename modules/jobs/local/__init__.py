#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The queue within this process: ``line`` has the jobs that wait, ``crew`` those that run and who does which,
``journal`` records them in the store. ``dispatcher`` moves a job from one to the other, ``workers`` are the threads,
``runner`` does one job; ``local_queue`` is what routes see of all that.

Libraries: none here.
"""
