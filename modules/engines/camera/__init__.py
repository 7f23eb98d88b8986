#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Camera motion: a virtual camera moves through the photo; needs no model.

Libraries: none here.
"""
