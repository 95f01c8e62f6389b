"""Reads one table of a file into its model, collecting all that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr, ValidationError

from easyisp_edge.config.explain import explain, unknown_key
from easyisp_edge.config.models import ConfigModel
from easyisp_edge.config.problems import nearest
from easyisp_edge.config.secret_files import SUFFIX, SecretFiles
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from easyisp_edge.config.field_types import Surroundings
    from easyisp_edge.config.problems import Document, Findings
    from easyisp_edge.config.source_lines import Path

M = TypeVar("M", bound=ConfigModel)
# Stands in for a secret that could not be read, so that the rest of its table is judged all the same.
_UNREAD = SecretStr("could not be read")


@dataclass(frozen=True, slots=True)
class TableReader:
    """Reads tables.

    Args:
        secrets: Where secrets are.
        surroundings: What values may depend on.
        findings: Takes what is wrong.
    """

    secrets: SecretFiles
    surroundings: Surroundings
    findings: Findings

    def read(
        self,
        model: type[M],
        document: Document,
        path: Path,
        table: dict[str, Any],
        *,
        added: Mapping[str, Any] | None = None,
    ) -> M | None:
        """The table at `path`, with what the reader has `added`, as its model; None when it is wrong, then noted."""
        own = self._without_reader_keys(model, document, path, table)
        filled, said = self._with_secrets(model, document, path, own, added or {})
        for key, message in model.conditions(filled):
            written = key + SUFFIX if key + SUFFIX in own else key
            self.findings.add(document, (*path, written), message)
            said.add((key,))
        try:
            return model.model_validate(filled, context=self.surroundings)
        except ValidationError as error:
            explain(error, model, document, path, self.findings, said=said)
        return None

    def _without_reader_keys(
        self, model: type[ConfigModel], document: Document, path: Path, table: dict[str, Any]
    ) -> dict[str, Any]:
        for key in model.READER_KEYS & table.keys():
            message, guess = unknown_key(model, (key,))
            self.findings.add(document, (*path, key), message, nearest=guess)
        return {key: value for key, value in table.items() if key not in model.READER_KEYS}

    def _with_secrets(
        self, model: type[ConfigModel], document: Document, path: Path, table: dict[str, Any], added: Mapping[str, Any]
    ) -> tuple[dict[str, Any], set[Path]]:
        """The table with its secrets read in and `added` in force, and the places where nothing more is to be said."""
        filled = {key: dict(value) if isinstance(value, dict) else value for key, value in table.items()}
        filled |= added
        said: set[Path] = {(key,) for key in added}  # a file is not blamed for what the reader added
        for *outer, key in model.secrets_of(table):
            holder: Any = filled.get(outer[0]) if outer else filled
            if not isinstance(holder, dict) or (not outer and key in added):
                continue  # a router without `api` has no `api.password` to look for
            try:
                secret = self.secrets.take(holder, key)
            except InvalidError as error:
                self.findings.add(document, (*path, *outer, error.field or key), error.message)
                said.add((*outer, key))
                secret = _UNREAD
            holder.pop(key + SUFFIX, None)
            holder[key] = secret
        return filled, said


def check_top(document: Document, tables: Sequence[str], findings: Findings) -> None:
    """Note what stands at the top of a file that consists of `[[…]]` tables and is none of those."""
    for key, value in document.data.items():
        if key not in tables:
            known = ", ".join(f"[[{table}]]" for table in tables)
            findings.add(document, (key,), f"unknown; known here is {known}", nearest=nearest(key, tables))
        elif not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            findings.add(document, (key,), f"write each as a table of its own, under [[{key}]]")
