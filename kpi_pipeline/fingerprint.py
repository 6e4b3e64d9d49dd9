"""Fingerprints of values, to notice that something changed. No secrets are made here: see identity."""

import hashlib
import json


def fingerprint(*parts: object) -> str:
    """A short hash of values; equal values always give the same one."""
    return hashlib.sha256(json.dumps(parts, default=str, sort_keys=True).encode()).hexdigest()[:16]
