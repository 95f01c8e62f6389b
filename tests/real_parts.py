"""Real programs some tests need: found, or the test is skipped loudly; under CI it fails instead."""

from __future__ import annotations

import os
import shutil

import pytest


def require(program: str, package: str) -> str:
    """Where a program is.

    Args:
        program: The command's name.
        package: What to install to have it, for the message.
    """
    found = shutil.which(program)
    if found is not None:
        return found
    message = f"{program} is not installed here (apt-get install {package}): this is not tried"
    if os.environ.get("CI", "").lower() in {"", "0", "false"}:
        pytest.skip(message)
    pytest.fail(message)
