"""Which package a user profile stands for: as somebody says, or where there can be no doubt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.domain.packages import Service
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.domain.imported_users import LegacyProfile, MikhmonTerms
    from easyisp_edge.domain.packages import Package


@dataclass(frozen=True, slots=True)
class PackageMap:
    """Packages by the user profiles they take the place of.

    Args:
        packages: That may be used behind the router.
        named: Package ids by profile names, as somebody says.
    """

    packages: tuple[Package, ...]
    named: Mapping[str, str]

    @classmethod
    def of(cls, packages: tuple[Package, ...], named: Mapping[str, str], profiles: Mapping[str, object]) -> PackageMap:
        """The map over all hotspot packages given.

        Raises:
            InvalidError: It names a profile that is not there, or a package that is none of them.
        """
        hotspot = tuple(package for package in packages if package.service is Service.HOTSPOT)
        known = {package.package_id for package in hotspot}
        for profile, package_id in named.items():
            if profile not in profiles:
                raise _wrong(f"There is no user profile {profile!r:.70}. There are: {_listed(profiles)}.")
            if package_id not in known:
                raise _wrong(f"There is no hotspot package {package_id!r:.70} there. There are: {_listed(known)}.")
        return cls(hotspot, named)

    def package_for(self, name: str, profile: LegacyProfile | None) -> Package | str:
        """The package of a profile; in words why there is none that is certain."""
        if name in self.named:
            return next(package for package in self.packages if package.package_id == self.named[name])
        alike = [
            each for each in self._on_sale if name.casefold() in {each.package_id.casefold(), each.name.casefold()}
        ]
        terms = None if profile is None else profile.terms
        found = alike or ([] if terms is None else self._sold_so(terms))
        if len(found) == 1:
            return found[0]
        if not found:
            return f"No package is known to stand for its profile {name}: say --map {_quoted(name)}=PACKAGE."
        names = ", ".join(package.package_id for package in found)
        return f"Its profile {name} may be any of {names}: say --map {_quoted(name)}=PACKAGE."

    @property
    def _on_sale(self) -> list[Package]:
        return [package for package in self.packages if package.active]

    def _sold_so(self, terms: MikhmonTerms) -> list[Package]:
        """Those of the same price and validity."""
        return [each for each in self._on_sale if each.price in terms.prices and each.duration == terms.validity]


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name


def _listed(names: Mapping[str, object] | set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _wrong(message: str) -> InvalidError:
    return InvalidError("import.map", message, field="map")
