"""Where the customer portal's files are."""

from __future__ import annotations

from pathlib import Path


def portal_folder() -> Path:
    """The `captive_portal` folder: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "captive_portal"
    return installed if installed.is_dir() else package.parent / "captive_portal"
