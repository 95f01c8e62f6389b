"""The portal's templates: read once, tried at the start, and held to the texts there are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jinja2 import DictLoader, Environment, StrictUndefined, TemplateError, nodes

from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from easyisp_edge.web.texts import Texts

NO_BREAK = "\u00a0"
_NO_BREAK_HYPHEN = "\u2011"
_PHONE_SHOWN = re.compile(r"\b(0[0-9]{3}) ([0-9]{3}) ([0-9]{3})\b", re.ASCII)


def read_portal_file(path: Path) -> str:
    """A file of the portal's.

    Raises:
        InvalidError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InvalidError("portal.unreadable", f"{path} cannot be read: {error}") from error


def load_templates(folder: Path, texts: Texts, chosen: Iterable[str]) -> Environment:
    """The templates of a folder, each tried.

    Args:
        folder: Where they are.
        texts: What they may say.
        chosen: The texts that are chosen while a page is made; those the templates name are found in them.

    Raises:
        InvalidError: A file cannot be read, a template is wrong, or it uses a text there is not.
    """
    sources = {path.name: _unindented(read_portal_file(path)) for path in sorted(folder.glob("*.html"))}
    environment = Environment(loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["unbroken"] = _unbroken
    for key in chosen:
        if not texts.has(key):
            raise InvalidError("portal.text", f"There is no text {key}.")
    for name, source in sources.items():
        try:
            _check_texts(name, environment.parse(source), texts)
            environment.get_template(name)
        except TemplateError as error:
            raise InvalidError("portal.template", f"{name}: {error}") from error
    return environment


def _check_texts(name: str, template: nodes.Template, texts: Texts) -> None:
    for key, given in _texts_used(template):
        if not texts.has(key) or texts.placeholders(key) != given:
            raise InvalidError("portal.template", f"{name}: there is no text {key} that takes {sorted(given)}.")


def _texts_used(template: nodes.Template) -> Iterator[tuple[str, frozenset[str]]]:
    for call in template.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "t":
            yield call.args[0].as_const(), frozenset(value.key for value in call.kwargs)


def _unbroken(text: str) -> str:
    """The text with `M-Pesa` and phone numbers each kept on one line; small screens break lines often."""
    text = text.replace("M-Pesa", f"M{_NO_BREAK_HYPHEN}Pesa")
    return _PHONE_SHOWN.sub(rf"\1{NO_BREAK}\2{NO_BREAK}\3", text)


def _unindented(source: str) -> str:
    return re.sub(r"\n\s+", "\n", source)


def tightened(sheet: str) -> str:
    """A style sheet without comments and needless blanks."""
    bare = re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)
    bare = re.sub(r"\s+", " ", bare)
    return re.sub(r" ?([{};,]) ?", r"\1", bare).replace(": ", ":").replace(";}", "}").strip()
