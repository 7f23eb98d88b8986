#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Whatever picture came → an upright, opaque, 8-bit sRGB photo, or a refusal.

Libraries: none here.
"""
