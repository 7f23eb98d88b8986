#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Who may come in: names and origins, the password, proxies and quotas.

Libraries: none here.
"""
