"""A few seconds of scripts/fuzz_keys.py; many minutes of it are run by command."""

from __future__ import annotations

from scripts import fuzz_keys


def test_random_keys_at_random_moments_break_nothing() -> None:
    assert fuzz_keys.session(seed=8, seconds=5.0) > 0
