"""`trial` in tenants.toml: a package of the tenant's own that nobody can buy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.config import ConfigError, load_config
from easyisp_edge.services.site import Site

if TYPE_CHECKING:
    from pathlib import Path

TRIAL = 'id = "try"\nname = "Try"\nprice = 1\nduration = "10m"\nspeed = "1M"\n'
TWO = '[[tenant]]\nid = "north"\nname = "N"\ntrial = "try"\n[[tenant]]\nid = "south"\nname = "S"\n'


def load(folder: Path, tenants: str, packages: str) -> Site:
    (folder / "edge.toml").write_text("development = true\n", encoding="utf-8")
    (folder / "tenants.toml").write_text(tenants, encoding="utf-8")
    (folder / "packages.toml").write_text(packages, encoding="utf-8")
    return Site(load_config(folder, {}), lambda gateway: pytest.fail(f"{gateway.id} was opened"))


def test_what_is_given_for_free(tmp_path: Path) -> None:
    """The package that is named, of the tenant that names it; nothing of one that does not, or that there is not."""
    site = load(tmp_path, TWO, f'[[package]]\ntenant = "north"\nactive = false\n{TRIAL}')
    package = site.trial_package("north")
    assert package is not None
    assert (package.package_id, package.duration.total_seconds()) == ("try", 600)
    assert site.trial_package("south") is None
    assert site.trial_package("gone") is None


@pytest.mark.parametrize(
    ("package", "problem"),
    [
        (f'tenant = "north"\n{TRIAL}', "is on sale"),
        (f'tenant = "north"\nactive = true\n{TRIAL}', "is on sale"),
        (f'tenant = "south"\nactive = false\n{TRIAL}', 'there is no package "try"'),
        (f'tenant = "north"\nactive = false\n{TRIAL}'.replace("try", "tri"), '"tri"'),
        (f'tenant = "north"\nactive = false\nservice = "pppoe"\n{TRIAL}', "not for the hotspot"),
    ],
)
def test_what_cannot_be_free_is_refused(tmp_path: Path, package: str, problem: str) -> None:
    """With its line, and the nearest name where it is mistyped."""
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, TWO, f"[[package]]\n{package}")
    assert problem in str(refused.value)
    assert "tenants.toml:4" in str(refused.value)
