#!/usr/bin/env python3
"""Tests imgapi-fetcher by itself: run.py PROGRAM PROBE [TEST …].  Prints TAP.

Needs openssl (1) for certificates; no PostgreSQL, and no network but loopback.
"""
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
# tap.py, and how a program is started
sys.path.insert(1, os.path.join(here, "..", "executor"))

os.environ["IMGAPI_FETCHER"] = os.path.abspath(sys.argv[1])
os.environ["IMGAPI_FETCHER_PROBE"] = os.path.abspath(sys.argv[2])

import tap
import test_http
import test_policy
import test_limits
import test_redirects
import test_tls
import test_process
import test_replies
import test_resolver

if len(sys.argv) > 3:
    tap.tests[:] = [t for t in tap.tests if t.__name__ in sys.argv[3:]]
sys.exit(1 if tap.run() else 0)
