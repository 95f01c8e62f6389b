"""Reads the configuration folder: whole and right, or refused with all that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from easyisp_edge.config.aggregator import keyless, signed_by_aggregator
from easyisp_edge.config.configuration import Config
from easyisp_edge.config.documents import read_documents
from easyisp_edge.config.field_types import Surroundings
from easyisp_edge.config.gateway_types import GatewayType
from easyisp_edge.config.gateways import Gateway, with_defaults
from easyisp_edge.config.legacy import (
    CALLBACK_VARIABLE,
    GATEWAY_ID,
    legacy_callback_base,
    legacy_webhook_key,
    read_legacy_gateway,
)
from easyisp_edge.config.models import ConfigModel, Edge, PackageTable, Portal, Tenant
from easyisp_edge.config.mpesa_variables import MpesaVariables
from easyisp_edge.config.problems import Document, Findings
from easyisp_edge.config.references import (
    check_defaults,
    check_doors,
    check_freeradius,
    check_package_routers,
    check_public_url,
    check_router_addresses,
    check_tenants,
    check_trials,
    check_unique,
    id_identity,
    ids_of,
    package_identity,
)
from easyisp_edge.config.routers import Router
from easyisp_edge.config.secret_files import SecretFiles
from easyisp_edge.config.tables import TableReader, check_top

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from easyisp_edge.config.references import Tables
    from easyisp_edge.config.source_lines import Path as KeyPath

M = TypeVar("M", bound=ConfigModel)
_DEFAULT_TENANT = Tenant(id="default", name="Hotspot")


def load_config(folder: Path, environ: Mapping[str, str]) -> Config:
    """Read the configuration in a folder, with the old deployment's variables and credentials from `environ`.

    Raises:
        ConfigError: It is refused, with every problem found and no secret told.
    """
    findings = Findings()
    documents = read_documents(folder, findings)
    reader = _reader(folder, environ, documents["edge.toml"], findings)
    config = _Reading(documents, environ, reader).config(folder)
    findings.refuse_any()
    return config


def _reader(folder: Path, environ: Mapping[str, str], edge: Document | None, findings: Findings) -> TableReader:
    development = edge is not None and edge.data.get("development") is True
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    return TableReader(
        SecretFiles(folder, Path(credentials) if credentials else None, development),
        Surroundings(folder, development),
        findings,
    )


class _Reading:
    """One reading of the files. Goes on past what is wrong, so that all of it is found at once."""

    def __init__(
        self, documents: Mapping[str, Document | None], environ: Mapping[str, str], reader: TableReader
    ) -> None:
        self._documents = documents
        self._environ = environ
        self._variables = MpesaVariables(environ)
        self._reader = reader
        self._findings = reader.findings
        self._tenants = self._tables("tenants.toml", "tenant")
        self._tenant_ids = self._known_tenants()
        self._packages = self._owned("packages.toml", "package")
        self._gateways = self._owned("gateways.toml", "gateway")
        self._routers = self._owned("routers.toml", "router")

    def config(self, folder: Path) -> Config:
        """The configuration; to be thrown away when anything was found."""
        self._check_references()
        edge = self._whole(Edge, "edge.toml")
        gateways = self._all_gateways()
        return Config(
            folder=folder,
            edge=self._with_webhook_key(self._checked_edge(edge) if edge else Edge()),
            portal=self._whole(Portal, "portal.toml") or Portal(),
            tenants=self._models(Tenant, "tenants.toml", self._tenants) or (_DEFAULT_TENANT,),
            packages=tuple(table.package() for table in self._models(PackageTable, "packages.toml", self._packages)),
            gateways=with_defaults(gateways),
            routers=self._models(Router, "routers.toml", self._routers),
        )

    def _document(self, file: str) -> Document:
        return self._documents[file] or Document(file, {})

    def _tables(self, file: str, key: str) -> Tables:
        document = self._document(file)
        check_top(document, (key,), self._findings)
        return document.tables(key)

    def _owned(self, file: str, key: str) -> Tables:
        """Tables that belong to a tenant, which may be left out where there is one only."""
        tables = self._tables(file, key)
        if len(self._tenants) > 1:
            return tables
        only = next(iter(self._tenant_ids or (_DEFAULT_TENANT.id,)))
        return [(path, {"tenant": only, **table}) for path, table in tables]

    def _known_tenants(self) -> tuple[str, ...] | None:
        """The ids of all tenants; None when they cannot be told, and no reference to them can be judged."""
        if self._documents["tenants.toml"] is None:
            return None
        if not self._document("tenants.toml").data:
            return (_DEFAULT_TENANT.id,)
        ids = [table["id"] for _, table in self._tenants if isinstance(table.get("id"), str)]
        return tuple(ids) if ids and len(ids) == len(self._tenants) else None

    def _check_references(self) -> None:
        found = self._findings
        check_unique(self._document("tenants.toml"), self._tenants, id_identity, found)
        check_unique(self._document("packages.toml"), self._packages, package_identity, found)
        for file, tables in (("gateways.toml", self._gateways), ("routers.toml", self._routers)):
            check_unique(self._document(file), tables, id_identity, found)
        if self._tenant_ids is not None:
            for file, tables in (
                ("packages.toml", self._packages),
                ("gateways.toml", self._gateways),
                ("routers.toml", self._routers),
            ):
                check_tenants(self._document(file), tables, self._tenant_ids, found)
        if self._documents["routers.toml"] is not None:
            check_package_routers(self._document("packages.toml"), self._packages, ids_of(self._routers), found)
        if self._documents["packages.toml"] is not None:
            check_trials(self._document("tenants.toml"), self._tenants, self._packages, found)
        check_router_addresses(self._document("routers.toml"), self._routers, found)
        edge = self._documents["edge.toml"]
        if edge is not None and "freeradius" not in edge.data:
            check_freeradius(self._document("routers.toml"), self._routers, found)
        check_defaults(self._document("gateways.toml"), self._gateways, found)

    def _whole(self, model: type[M], file: str) -> M | None:
        """A file that is one table."""
        document = self._documents[file]
        if document is None:
            return None
        return self._reader.read(model, document, (), dict(document.data))

    def _models(
        self, model: type[M], file: str, tables: Tables, added: Mapping[KeyPath, Mapping[str, Any]] | None = None
    ) -> tuple[M, ...]:
        document, added = self._document(file), added or {}
        read = (self._reader.read(model, document, path, table, added=added.get(path)) for path, table in tables)
        return tuple(found for found in read if found is not None)

    def _all_gateways(self) -> tuple[Gateway, ...]:
        document = self._document("gateways.toml")
        added = signed_by_aggregator(document, self._gateways, self._variables, self._reader)
        declared = self._models(Gateway, "gateways.toml", self._gateways, added)
        legacy = self._legacy_gateway()
        return (*declared, legacy) if legacy else declared

    def _legacy_tenant(self) -> str | None:
        """Whose gateway the old variables make: the first tenant's; None when a file leaves them no such part."""
        tenant_id = next(iter(self._tenant_ids or ()), None)
        if tenant_id is None or self._documents["gateways.toml"] is None or not self._variables.any_set:
            return None
        taken = any(table.get("tenant") == tenant_id for _, table in self._gateways)
        return None if taken or keyless(self._gateways) else tenant_id

    def _legacy_gateway(self) -> Gateway | None:
        tenant_id = self._legacy_tenant()
        if tenant_id is None:
            return None
        for path, table in self._gateways:
            if table.get("id") == GATEWAY_ID:
                message = f'"{GATEWAY_ID}" is the id of the gateway that the MPESA_ variables make; take another'
                self._findings.add(self._document("gateways.toml"), (*path, "id"), message)
        return read_legacy_gateway(self._variables, tenant_id, self._reader)

    def _with_webhook_key(self, edge: Edge) -> Edge:
        """The box's own settings, with the old deployment's key for the webhook where the files give none."""
        key = edge.callbacks.webhook_key or legacy_webhook_key(self._environ)
        return edge.model_copy(update={"callbacks": edge.callbacks.model_copy(update={"webhook_key": key})})

    def _checked_edge(self, edge: Edge) -> Edge:
        """The box's own settings, with the address M-Pesa is told."""
        document = self._document("edge.toml")
        check_doors(document, edge, self._findings)
        if edge.callbacks.public_url is not None or edge.central.callbacks:
            return edge
        base = legacy_callback_base(self._environ, self._reader)
        if base is None and not self._environ.get(CALLBACK_VARIABLE):
            gateways = [
                (path, table) for path, table in self._gateways if table.get("type") != GatewayType.MPESA_NO_API
            ]
            pushes = bool(gateways) or self._legacy_tenant() is not None
            check_public_url(document, self._document("gateways.toml"), gateways, self._findings, pushes=pushes)
        callbacks = edge.callbacks.model_copy(update={"public_url": base})
        return edge.model_copy(update={"callbacks": callbacks})
