"""Packages and gateways that the hub publishes: the third source, below what the files say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from easyisp_edge.config.field_types import Surroundings
from easyisp_edge.config.gateways import Gateway, with_defaults
from easyisp_edge.config.models import ConfigModel, PackageTable
from easyisp_edge.config.problems import Document, Findings
from easyisp_edge.config.references import (
    check_package_routers,
    check_tenants,
    check_unique,
    id_identity,
    package_identity,
)
from easyisp_edge.config.secret_files import SUFFIX, SecretFiles
from easyisp_edge.config.tables import TableReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.config.configuration import Config
    from easyisp_edge.config.references import Tables
    from easyisp_edge.domain.packages import Package

M = TypeVar("M", bound=ConfigModel)


def with_central(config: Config, snapshot: Mapping[str, Any]) -> Config:
    """The configuration of the files with what the hub adds; what a file says of the same id stays.

    Args:
        config: What the files say.
        snapshot: `packages` and `gateways`, each table as in the files. Secrets stand in it by themselves: it came
            from the hub alone, and names no file of this box.

    Raises:
        ConfigError: It does not go together with the files; all of it is refused.
    """
    findings = Findings()
    document = Document("the hub's configuration", dict(snapshot))
    secrets = SecretFiles(config.folder, None, development=True)
    reader = TableReader(secrets, Surroundings(config.folder, config.development), findings)
    packages, gateways = _tables(config, document, "packages"), _tables(config, document, "gateways")
    _check(config, document, packages, gateways, findings)
    own_packages = {(package.tenant_id, package.package_id) for package in config.packages}
    added_packages = [
        package
        for package in (table.package() for table in _read(reader, PackageTable, document, packages))
        if (package.tenant_id, package.package_id) not in own_packages
    ]
    added_gateways = _read(reader, Gateway, document, gateways)
    findings.refuse_any()
    return _merged(config, added_packages, added_gateways)


def _tables(config: Config, document: Document, key: str) -> Tables:
    """The tables of one kind; the only tenant may be left out."""
    only = config.only_tenant()
    given = {} if only is None else {"tenant": only.id}
    return [(path, {**given, **table}) for path, table in document.tables(key)]


def _check(config: Config, document: Document, packages: Tables, gateways: Tables, findings: Findings) -> None:
    check_unique(document, packages, package_identity, findings)
    check_unique(document, gateways, id_identity, findings)
    tenant_ids = [tenant.id for tenant in config.tenants]
    for tables in (packages, gateways):
        check_tenants(document, tables, tenant_ids, findings)
    routers: dict[str, str | None] = {router.id: router.tenant for router in config.routers}
    check_package_routers(document, packages, routers, findings)
    for path, table in gateways:
        for name in table:
            if name.endswith(SUFFIX):
                findings.add(document, (*path, name), "a file of this box, which the hub does not name")


def _read(reader: TableReader, model: type[M], document: Document, tables: Tables) -> list[M]:
    read = (reader.read(model, document, path, table) for path, table in tables)
    return [found for found in read if found is not None]


def _merged(config: Config, packages: list[Package], gateways: list[Gateway]) -> Config:
    taken = {gateway.id for gateway in config.gateways}
    settled = {gateway.tenant for gateway in config.gateways}
    beside = [
        gateway.model_copy(update={"default": False}) if gateway.tenant in settled else gateway
        for gateway in gateways
        if gateway.id not in taken
    ]
    merged = with_defaults((*config.gateways, *beside))
    return replace(config, packages=(*config.packages, *packages), gateways=merged)
