"""The sheet of vouchers: every card on it once, within the page, and nothing of it taken for markup."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from easyisp_edge.services.back_office.voucher_sheet import CARDS_PER_PAGE, Card, CardWords, html_document, svg_pages

SVG = "{http://www.w3.org/2000/svg}"
WORDS = CardWords(
    "Mama Njeri's Wi-Fi", "1 hour - KES 10", ("Scan it, or open {portal}.", "Changanua."), "Until 2026-12-31"
)


def cards(count: int) -> list[Card]:
    return [
        Card(f"K7M3PQ-{number}", f"ABCD-EFGH-{number:04}", f"http://10.5.50.2/v/ABCDEFGH{number:04}")
        for number in range(1, count + 1)
    ]


def texts(page: str) -> list[str]:
    """All that a page says, in order; that it is well-formed is tried by that."""
    return [each.text or "" for each in ET.fromstring(page).iter(f"{SVG}text")]  # noqa: S314 - our own


@pytest.mark.parametrize(
    ("count", "pages"),
    [(0, []), (1, [1]), (CARDS_PER_PAGE, [21]), (CARDS_PER_PAGE + 1, [21, 1]), (50, [21, 21, 8])],
)
def test_as_many_pages_as_it_takes(count: int, pages: list[int]) -> None:
    """A card each, none twice, in order."""
    made = svg_pages(cards(count), WORDS)
    assert [page.count('class="scan"') for page in made] == pages
    codes = [text for page in made for text in texts(page) if text.startswith("ABCD-")]
    assert codes == [card.code for card in cards(count)]


def test_what_a_card_says() -> None:
    """Who sells it, what it is and costs, how to use it in each language, its code, its end and its name."""
    [page] = svg_pages(cards(1), WORDS)
    said = texts(page)
    assert said[:2] == [WORDS.seller, WORDS.offer]
    assert {"ABCD-EFGH-0001", "Until 2026-12-31", "K7M3PQ-1"} <= set(said)
    assert " ".join(said[2:-3]) == " ".join(WORDS.how_to)


def test_without_an_end_none_is_said() -> None:
    """No empty line stands for it."""
    [page] = svg_pages(cards(1), CardWords("A", "B", ("C",)))
    assert "" not in texts(page)


def test_names_are_no_markup() -> None:
    """Whatever the owner is called."""
    name = '<script>alert("x")</script> & Söns\' Wi-Fi'
    words = CardWords(name, name, (name,), name)
    [page] = svg_pages([Card(name, name, "http://10.5.50.2/v/ABCDEFGHJKM6")], words)
    assert texts(page)[0] == name
    assert "<script" not in page
    assert "<script" not in html_document([page], name)


def test_long_names_fit_across_the_card() -> None:
    """They are set smaller."""
    sizes = []
    for name in ("Wi-Fi", "The Very Long Name of a Business in Nairobi, Kenya Ltd"):
        [page] = svg_pages(cards(1), CardWords(name, "x", ("y",)))
        first = next(ET.fromstring(page).iter(f"{SVG}text"))  # noqa: S314 - our own
        sizes.append(float(first.attrib["font-size"]))
    short, long = sizes
    assert short == 3.6
    assert long * 54 * 0.55 < 63.4


def test_the_document_is_whole_by_itself() -> None:
    """It asks nobody for anything, and each page is a sheet of paper."""
    document = html_document(svg_pages(cards(30), WORDS), "A & B")
    assert "A &amp; B" in document
    assert document.count("<svg ") == 2
    assert "size:A4" in document
    for reference in ("src=", "href=", "url(", "@import", "<script"):
        assert reference not in document
