"""Checks what tables say of each other: ids that repeat, ids that lead nowhere, doors that collide.

Works on the tables as they were read, so that a slip elsewhere in a table hides nothing.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from easyisp_edge.config.problems import nearest, spelled
from easyisp_edge.config.routers import RouterMode
from easyisp_edge.domain.database_address import SqliteAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from easyisp_edge.config.models import AdminListener, Callbacks, Edge, PortalListener
    from easyisp_edge.config.problems import Document, Findings
    from easyisp_edge.config.source_lines import Path

Tables = list[tuple["Path", dict[str, Any]]]


def ids_of(tables: Tables) -> dict[str, str | None]:
    """The ids that stand in tables, each with its table's tenant; the first counts where one stands twice."""
    return {
        table["id"]: table["tenant"] if isinstance(table.get("tenant"), str) else None
        for _, table in reversed(tables)
        if isinstance(table.get("id"), str)
    }


def check_unique(
    document: Document, tables: Tables, identity: Callable[[dict[str, Any]], Hashable], findings: Findings
) -> None:
    """Note every table whose identity another one before it has; an identity of None has no twin."""
    first: dict[Hashable, Path] = {}
    for path, table in tables:
        own = identity(table)
        earlier = first.setdefault(own, path)
        if own is not None and earlier != path:
            line = document.lines.line_of(earlier)
            findings.add(document, (*path, "id"), f'"{table["id"]:.64}" is the id of {spelled(earlier)} in line {line}')


def id_identity(table: dict[str, Any]) -> Hashable:
    """An id that has to be unique everywhere."""
    return table["id"] if isinstance(table.get("id"), str) else None


def package_identity(table: dict[str, Any]) -> Hashable:
    """A package's id has to be unique within its tenant only."""
    own = id_identity(table)
    tenant = table.get("tenant")
    return None if own is None or not isinstance(tenant, str) else (tenant, own)


def check_tenants(document: Document, tables: Tables, tenant_ids: Iterable[str], findings: Findings) -> None:
    """Note every table whose tenant there is not."""
    known = tuple(tenant_ids)
    for path, table in tables:
        tenant = table.get("tenant")
        if isinstance(tenant, str) and tenant not in known:
            _add_unknown(findings, document, (*path, "tenant"), noun="tenant", name=tenant, known=known)


def check_package_routers(
    document: Document, tables: Tables, routers: dict[str, str | None], findings: Findings
) -> None:
    """Note every router a package names that there is not, or that is another tenant's."""
    for path, table in tables:
        named, own = table.get("routers"), table.get("tenant")
        for index, router_id in enumerate(named if isinstance(named, list) else []):
            place = (*path, "routers", index)
            if not isinstance(router_id, str):
                continue  # said with the table's own faults
            if router_id not in routers:
                _add_unknown(findings, document, place, noun="router", name=router_id, known=tuple(routers))
            elif None not in (routers[router_id], own) and routers[router_id] != own:
                findings.add(document, place, f'router "{router_id}" belongs to another tenant')


def check_trials(document: Document, tenants: Tables, packages: Tables, findings: Findings) -> None:
    """Note every tenant's trial that is none of its packages, or is on sale, or is not for the hotspot."""
    for path, tenant in tenants:
        named, own, place = tenant.get("trial"), tenant.get("id"), (*path, "trial")
        if not isinstance(named, str):
            continue
        of_tenant = {table["id"]: table for _, table in packages if table.get("tenant") == own and "id" in table}
        package = of_tenant.get(named)
        if package is None:
            _add_unknown(findings, document, place, noun="package", name=named, known=tuple(map(str, of_tenant)))
        elif package.get("active") is not False:
            message = f'"{named:.64}" is on sale, and what is free must not be: write active = false to it'
            findings.add(document, place, message)
        elif package.get("service", "hotspot") != "hotspot":
            findings.add(document, place, f'"{named:.64}" is not for the hotspot')


def check_router_addresses(document: Document, tables: Tables, findings: Findings) -> None:
    """Note RADIUS routers that share an address: the address tells which secret is meant."""
    first: dict[str, Path] = {}
    for path, table in tables:
        address = _address_of(table)
        if address is None or table.get("mode") != RouterMode.RADIUS:
            continue
        earlier = first.setdefault(address, path)
        if earlier != path:
            findings.add(
                document,
                (*path, "address"),
                f"{address} is the address of {spelled(earlier)} too, "
                "and RADIUS knows a router and its secret by the address alone",
            )


def check_freeradius(document: Document, tables: Tables, findings: Findings) -> None:
    """Note routers that ask FreeRADIUS, where nothing is said of its database."""
    for path, table in tables:
        radius = table.get("radius")
        if isinstance(radius, dict) and radius.get("server") == "freeradius":
            findings.add(
                document,
                (*path, "radius", "server"),
                "freeradius needs [freeradius] in edge.toml, which says where its database is",
            )


def check_defaults(document: Document, tables: Tables, findings: Findings) -> None:
    """Note a tenant's second default gateway."""
    first: dict[str, Path] = {}
    for path, table in tables:
        tenant = table.get("tenant")
        if table.get("default") is not True or not isinstance(tenant, str):
            continue
        earlier = first.setdefault(tenant, path)
        if earlier != path:
            findings.add(document, (*path, "default"), f'{spelled(earlier)} is the default of "{tenant:.64}" already')


def check_public_url(edge: Document, gateways: Document, tables: Tables, findings: Findings, *, pushes: bool) -> None:
    """Note what wants an address to report to, where none is given; `tables` are the gateways with an API."""
    if pushes:
        findings.add(
            edge,
            ("callbacks", "public_url"),
            "missing; M-Pesa takes no push without an https address to report to, even one that cannot reach "
            "this box: give one of your own",
            expected='such as "https://pay.example.com"',
        )
    for path, table in tables:
        if table.get("c2b") is True:
            message = "needs callbacks.public_url in edge.toml, where M-Pesa is to confirm payments"
            findings.add(gateways, (*path, "c2b"), message)


def check_doors(document: Document, edge: Edge, findings: Findings) -> None:
    """Note doors that collide, and one for the owner that stands open to customers."""
    doors: dict[str, PortalListener | AdminListener | Callbacks] = {"portal": edge.portal, "admin": edge.admin}
    if edge.callbacks.enabled:
        doors["callbacks"] = edge.callbacks
    named = list(doors.items())
    for at, (name, door) in enumerate(named):
        for earlier, other in named[:at]:
            if door.port == other.port != 0 and _overlap(door.address, other.address):
                findings.add(document, (name, "port"), f"{door.port} is the port of {earlier} too")
    if edge.radius.auth_port == edge.radius.acct_port != 0:
        findings.add(document, ("radius", "acct_port"), f"{edge.radius.acct_port} is the auth_port too")
    if edge.store.secrets_key_path == edge.store.path:
        findings.add(document, ("store", "key_path"), "is the path of the store too; a key does not lie in its lock")
    if edge.control.path == edge.store.path:
        findings.add(document, ("control", "path"), "is the path of store too")
    if edge.freeradius is not None and edge.freeradius.database == SqliteAddress(edge.store.path):
        findings.add(document, ("freeradius", "database"), "is the path of store too; FreeRADIUS has a file of its own")
    if ipaddress.ip_address(edge.admin.address).is_unspecified and not edge.development:
        findings.add(
            document,
            ("admin", "address"),
            f"{edge.admin.address} lets customers reach it; take 127.0.0.1 or a management network's address",
        )


def _overlap(one: str, other: str) -> bool:
    return one == other or any(ipaddress.ip_address(address).is_unspecified for address in (one, other))


def _address_of(table: dict[str, Any]) -> str | None:
    try:
        return str(ipaddress.ip_address(table["address"])) if isinstance(table.get("address"), str) else None
    except ValueError:
        return None


def _add_unknown(
    findings: Findings, document: Document, place: Path, *, noun: str, name: str, known: tuple[str, ...]
) -> None:
    others = ", ".join(sorted(known)) or "none"
    findings.add(
        document,
        place,
        f'there is no {noun} "{name:.64}"; known: {others}',
        expected=f"one of {others}",
        nearest=nearest(name, known),
    )
