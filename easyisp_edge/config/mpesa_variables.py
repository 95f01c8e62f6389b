"""The environment variables of the old deployment: one account at M-Pesa, secrets and all.

They mean one thing at a time. Where a gateway in the files has no keys of its own, they are an aggregator's and sign
for it; else they are the first tenant's gateway, unless the files give that tenant one; else nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from easyisp_edge.config.gateway_types import Environment
from easyisp_edge.config.models import ConfigModel
from easyisp_edge.config.problems import Document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.config.problems import Findings
    from easyisp_edge.config.source_lines import Path
    from easyisp_edge.config.tables import TableReader

M = TypeVar("M", bound=ConfigModel)
ENVIRONMENT_VARIABLE = "MPESA_ENV"
_VARIABLES = {
    "consumer_key": "MPESA_CONSUMER_KEY",
    "consumer_secret": "MPESA_CONSUMER_SECRET",
    "shortcode": "MPESA_SHORTCODE",
    "passkey": "MPESA_PASSKEY",
}


@dataclass(frozen=True, slots=True)
class MpesaVariables:
    """The variables as they are set; one that is empty counts as not set."""

    environ: Mapping[str, str] = field(repr=False)

    @property
    def any_set(self) -> bool:
        """Whether they speak of an account at all."""
        return any(self.environ.get(variable) for variable in _VARIABLES.values())

    @property
    def document(self) -> Document:
        """The environment, dressed as a file whose keys are called as the variables are."""
        names: dict[Path, str] = {(key,): variable for key, variable in _VARIABLES.items()}
        return Document("environment", self.environ, names={**names, ("environment",): ENVIRONMENT_VARIABLE})

    @property
    def environment(self) -> str:
        """Which of Safaricom's worlds they are of; the sandbox where they do not say, as it always was."""
        return self.environ.get(ENVIRONMENT_VARIABLE) or Environment.SANDBOX

    def note_missing(self, findings: Findings, consequence: str) -> bool:
        """Note each that is not set, and as a `consequence` what the others alone do; whether any was noted."""
        missing = [key for key, variable in _VARIABLES.items() if not self.environ.get(variable)]
        others = ", ".join(variable for variable in _VARIABLES.values() if self.environ.get(variable))
        for key in missing:
            findings.add(self.document, (key,), f"missing; {others} alone {consequence}")
        return bool(missing)

    def read(self, model: type[M], reader: TableReader, **more: Any) -> M | None:
        """The account, of which nothing is missing, with `more` as a model; None when it is wrong, then noted."""
        table = {key: self.environ[variable].strip() for key, variable in _VARIABLES.items()}
        # There are no files to name here: the variables hold the secrets themselves.
        inline = replace(reader, secrets=replace(reader.secrets, development=True))
        return inline.read(model, self.document, (), {**table, "environment": self.environment, **more})
