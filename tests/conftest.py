"""What all tests share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How fast a fresh machine prepares Hypothesis's tables says nothing about the code under test.
settings.register_profile("edge", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("edge")
