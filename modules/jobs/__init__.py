#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Jobs: how they wait, run, end, and are kept.

Libraries: none here.
"""
