#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The queue of many machines, through Redis.

Libraries: none here.
"""
