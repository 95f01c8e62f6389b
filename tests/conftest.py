"""What all tests share."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from easyisp_edge.commands.logs import JsonLines, ShortLines

if TYPE_CHECKING:
    from collections.abc import Iterator

# How fast a fresh machine prepares Hypothesis's tables says nothing about the code under test.
settings.register_profile("edge", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("edge")


@pytest.fixture(autouse=True)
def _no_log_is_left_open() -> Iterator[None]:
    """A command that was run in this process writes its log to what pytest has closed since."""
    yield
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler.formatter, JsonLines | ShortLines):
            root.removeHandler(handler)
            root.setLevel(logging.WARNING)
