"""Vouchers on paper: A4 pages of cards to be cut apart, each with its code in letters and as a picture to scan."""

from __future__ import annotations

import html
import itertools
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import segno

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COLUMNS, ROWS = 3, 7
CARDS_PER_PAGE = COLUMNS * ROWS

# Millimetres, as is all that follows.
_PAGE_WIDTH, _PAGE_HEIGHT, _MARGIN = 210.0, 297.0, 10.0
_CARD_WIDTH, _CARD_HEIGHT = (_PAGE_WIDTH - 2 * _MARGIN) / COLUMNS, (_PAGE_HEIGHT - 2 * _MARGIN) / ROWS
_INSET = 3.0
_MARK = 4.0
_PICTURE = 22.0
_PICTURE_TOP = 10.6
_WORDS_LEFT = 25.5
_BESIDE_TOP, _BESIDE_HEIGHT = 10.6, 21.2
# Lines beside the picture: how far apart at most, the size of their letters, and the gap between languages, in lines.
_LINE, _LETTERS_IN_LINE, _GAP = 2.6, 0.77, 0.35
# So many letters fit beside the picture, and of one millimetre across the card.
_LETTERS_BESIDE = 35
_LETTERS_ACROSS = 100
# What stands behind the pages in a document that a browser prints.
HTML_END = "</body></html>\n"
# Light around a picture without which scanners do not see it, in its own modules.
_QUIET = 4


@dataclass(frozen=True, slots=True)
class Card:
    """What differs from card to card.

    Args:
        name: What the voucher is called where its code is not to be seen.
        code: As people read it.
        address: What opens when the picture is scanned.
    """

    name: str
    code: str
    address: str


@dataclass(frozen=True, slots=True)
class CardWords:
    """What all cards of a sheet say.

    Args:
        seller: Who sells it.
        offer: What it is for, and its price.
        how_to: How to use it, in each language.
        until: Until when, in each language; empty for no end.
    """

    seller: str
    offer: str
    how_to: tuple[str, ...]
    until: str = ""


def svg_pages(cards: Sequence[Card], words: CardWords) -> list[str]:
    """The pages as SVG, each whole by itself; none for no cards."""
    return [_page(cards[first : first + CARDS_PER_PAGE], words) for first in range(0, len(cards), CARDS_PER_PAGE)]


def html_document(pages: Sequence[str], title: str) -> str:
    """All pages in one document that a browser prints, each on a sheet of its own."""
    return f"{html_begin(title)}{''.join(pages)}{HTML_END}"


def html_begin(title: str) -> str:
    """What stands before the pages in a document that a browser prints."""
    style = "@page{size:A4;margin:0}body{margin:0}svg{display:block;width:210mm;height:297mm;break-after:page}"
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{style}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>\n'


def _page(cards: Sequence[Card], words: CardWords) -> str:
    drawn = []
    for at, card in enumerate(cards):
        row, column = divmod(at, COLUMNS)
        left, top = _MARGIN + column * _CARD_WIDTH, _MARGIN + row * _CARD_HEIGHT
        drawn.append(f'<g transform="translate({left:.2f} {top:.2f})">{_card(card, words)}</g>\n')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_PAGE_WIDTH:g}mm" height="{_PAGE_HEIGHT:g}mm"'
        f' viewBox="0 0 {_PAGE_WIDTH:g} {_PAGE_HEIGHT:g}" font-family="Arial, Helvetica, sans-serif">\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n{_cut_marks()}\n{"".join(drawn)}</svg>\n'
    )


def _cut_marks() -> str:
    """Short lines in the margin where to cut, and a small cross where four cards meet."""
    across = [_MARGIN + column * _CARD_WIDTH for column in range(COLUMNS + 1)]
    down = [_MARGIN + row * _CARD_HEIGHT for row in range(ROWS + 1)]
    ends = (_MARGIN - _MARK, _PAGE_HEIGHT - _MARGIN)
    sides = (_MARGIN - _MARK, _PAGE_WIDTH - _MARGIN)
    lines = [f"M{x:.2f} {y:.2f}v{_MARK:g}" for x, y in itertools.product(across, ends)]
    lines += [f"M{x:.2f} {y:.2f}h{_MARK:g}" for x, y in itertools.product(sides, down)]
    lines += [f"M{x - 1:.2f} {y:.2f}h2M{x:.2f} {y - 1:.2f}v2" for x, y in itertools.product(across[1:-1], down[1:-1])]
    return f'<path d="{"".join(lines)}" stroke="#777" stroke-width="0.2" fill="none"/>'


def _card(card: Card, words: CardWords) -> str:
    code = f'<text x="{_CARD_WIDTH / 2:.2f}" y="35.9" font-size="4.6" font-weight="bold" text-anchor="middle"'
    name = f'<text x="{_CARD_WIDTH - _INSET:.2f}" y="38.5" font-size="1.9" fill="#555" text-anchor="end"'
    drawn = (
        _text(words.seller, _INSET, 5.4, _fitting(words.seller, 3.6), weight="bold"),
        _text(words.offer, _INSET, 9.4, _fitting(words.offer, 3.0)),
        _picture(card.address),
        *_how_to(words),
        f'{code} font-family="Courier New, Courier, monospace">{html.escape(card.code)}</text>',
        _text(words.until, _INSET, 38.5, 1.9),
        f"{name}>{html.escape(card.name)}</text>",
    )
    return "".join(drawn)


def _how_to(words: CardWords) -> Iterator[str]:
    """Line by line beside the picture; set smaller and closer where there are many."""
    said = [textwrap.wrap(each, _LETTERS_BESIDE) for each in words.how_to]
    line = min(_LINE, _BESIDE_HEIGHT / (sum(map(len, said)) + len(said) * _GAP))
    y = _BESIDE_TOP
    for lines in said:
        for text in lines:
            y += line
            yield _text(text, _WORDS_LEFT, y, round(line * _LETTERS_IN_LINE, 2))
        y += line * _GAP


def _text(said: str, x: float, y: float, size: float, *, weight: str = "normal") -> str:
    if not said:
        return ""
    return f'<text x="{x:g}" y="{y:.2f}" font-size="{size:g}" font-weight="{weight}">{html.escape(said)}</text>'


def _fitting(said: str, most: float) -> float:
    """A size of letters in which a text fits across the card."""
    return round(min(most, _LETTERS_ACROSS / max(1, len(said))), 2)


def _picture(address: str) -> str:
    """The picture to scan, its dark modules as one path.

    Source: ISO/IEC 18004: QR code, level M (a seventh of it may be unreadable).
    """
    rows = segno.make_qr(address, error="m", boost_error=False).matrix
    path = "".join(f"M{x} {y}h{length}v1h-{length}z" for y, row in enumerate(rows) for x, length in _dark_runs(row))
    scale = _PICTURE / (len(rows) + 2 * _QUIET)
    offset = _QUIET * scale
    place = f"translate({_INSET - 1 + offset:.3f} {_PICTURE_TOP + offset:.3f}) scale({scale:.4f})"
    return f'<path class="scan" transform="{place}" d="{path}" fill="#000" shape-rendering="crispEdges"/>'


def _dark_runs(row: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Where dark modules begin that lie side by side, and how many they are."""
    x = 0
    for dark, run in itertools.groupby(row):
        length = len(list(run))
        if dark:
            yield x, length
        x += length
