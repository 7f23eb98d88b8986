#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The queue within this process.

Libraries: none here.
"""
