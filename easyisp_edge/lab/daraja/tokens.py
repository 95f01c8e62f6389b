"""Access tokens: minted per app, good until they expire or are ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.lab.daraja.identifiers import Identifiers
    from easyisp_edge.lab.daraja.options import DarajaOptions
    from easyisp_edge.machine import Clock


@dataclass(frozen=True, slots=True)
class _Grant:
    consumer_key: str
    ends_at: float  # on the monotonic clock


class Tokens:
    """All tokens that are alive."""

    def __init__(self, clock: Clock, identifiers: Identifiers, options: DarajaOptions) -> None:
        self._clock = clock
        self._identifiers = identifiers
        self._life_seconds = options.token_life_seconds
        self._one_per_app = options.new_token_ends_earlier
        self._grants: dict[str, _Grant] = {}

    def mint(self, consumer_key: str) -> tuple[str, str]:
        """A new token for the app, and its `expires_in`: whole seconds, as text."""
        if self._one_per_app:
            self._end(lambda grant: grant.consumer_key == consumer_key)
        self._end(lambda grant: grant.ends_at <= self._clock.monotonic())
        token = self._identifiers.access_token()
        self._grants[token] = _Grant(consumer_key, self._clock.monotonic() + self._life_seconds)
        return token, str(max(0, int(self._life_seconds) - 1))

    def app_of(self, token: str) -> str | None:
        """The consumer key the token was minted for; None when it is unknown or dead."""
        grant = self._grants.get(token)
        alive = grant is not None and self._clock.monotonic() < grant.ends_at
        return grant.consumer_key if grant is not None and alive else None

    def expire_all(self) -> None:
        """End every token at once."""
        self._grants.clear()

    def _end(self, dead: Callable[[_Grant], bool]) -> None:
        self._grants = {token: grant for token, grant in self._grants.items() if not dead(grant)}
