"""The owner's colour, made readable: as text on it, and as links and edges on every ground of the pages."""

from __future__ import annotations

import re

from easyisp_edge.errors import InvalidError

# The least contrast of text. Source: WCAG 2.2, success criterion 1.4.3.
_CONTRAST_MIN = 4.5
_WHITE = (255, 255, 255)
_BLACK = (0, 0, 0)
# What links and edges stand on, in light and in dark mode: the least favourable of page and card.
_LIGHT_GROUND = (243, 245, 247)
_DARK_GROUND = (27, 34, 41)

_Rgb = tuple[int, int, int]


def palette(colour: str) -> str:
    """The owner's colour as custom properties of a style sheet, with a text colour on it and two of it to read.

    Raises:
        InvalidError: It is no colour such as `#0b7a3b`.
    """
    found = re.fullmatch(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", colour, re.ASCII | re.IGNORECASE)
    if found is None:
        raise InvalidError("portal.colour", f"{colour!r:.40} is no colour such as #0b7a3b.", field="colour")
    accent = (int(found[1], 16), int(found[2], 16), int(found[3], 16))
    on_accent = max(_WHITE, _BLACK, key=lambda text: _contrast(text, accent))
    light = _readable(accent, _LIGHT_GROUND, _BLACK)
    dark = _readable(accent, _DARK_GROUND, _WHITE)
    return (
        f":root{{--accent:{_hex(accent)};--on-accent:{_hex(on_accent)};--edge:{light};--link:{light}}}"
        f"@media (prefers-color-scheme:dark){{:root{{--edge:{dark};--link:{dark}}}}}"
    )


def _readable(colour: _Rgb, ground: _Rgb, towards: _Rgb) -> str:
    """The nearest mix of `colour` with `towards` that can be read on `ground`."""
    mixes = (_mixed(colour, towards, percent) for percent in range(0, 101, 2))
    return _hex(next(mix for mix in mixes if _contrast(mix, ground) >= _CONTRAST_MIN))


def _mixed(colour: _Rgb, other: _Rgb, percent: int) -> _Rgb:
    red, green, blue = (round(a + (b - a) * percent / 100) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _contrast(one: _Rgb, other: _Rgb) -> float:
    """Source: WCAG 2.2, contrast ratio."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: _Rgb) -> float:
    """Source: WCAG 2.2, relative luminance."""
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004


def _hex(colour: _Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
