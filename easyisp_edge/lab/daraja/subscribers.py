"""The people behind the phone numbers: their names, and the language M-PESA writes to them in."""

from __future__ import annotations

import enum

_FIRST_NAMES = ("JANE", "JOHN", "AMINA", "PETER", "WANJIKU", "OTIENO", "FATUMA")
_LAST_NAMES = ("DOE", "MWANGI", "ACHIENG", "HASSAN", "KIPTOO", "NJERI")


class Language(enum.StrEnum):
    """What M-PESA writes to a phone in."""

    ENGLISH = "en"
    SWAHILI = "sw"


class Subscribers:
    """Every phone has somebody, by an invented name until one is given."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._languages: dict[str, Language] = {}

    def name_of(self, phone: str) -> str:
        """First and last name, in capitals; always the same for a phone."""
        number = int(phone[-9:])
        invented = f"{_FIRST_NAMES[number % len(_FIRST_NAMES)]} {_LAST_NAMES[number % len(_LAST_NAMES)]}"
        return self._names.get(phone, invented)

    def set_name(self, phone: str, name: str) -> None:
        """Give the person a name."""
        self._names[phone] = name

    def language_of(self, phone: str) -> Language:
        """English until chosen otherwise."""
        return self._languages.get(phone, Language.ENGLISH)

    def set_language(self, phone: str, language: Language) -> None:
        """Choose what M-PESA writes in from now on."""
        self._languages[phone] = language
