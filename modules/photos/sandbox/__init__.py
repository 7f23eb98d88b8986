#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Processes of their own in which uploaded pictures are opened.

Libraries: none here.
"""
