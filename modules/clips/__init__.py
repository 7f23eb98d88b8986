#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
From a photo to a clip and its files.

Libraries: none here.
"""
