"""Table `package_versions`: packages as they were sold."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.packages import Package, PackageVersion, Service
from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.values import DataVolume, Money, RateLimit
from easyisp_edge.errors import NotFoundError
from easyisp_edge.store.columns import instant

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = (
    "version_id, tenant_id, package_id, name, service, price_cents, duration_seconds, online_seconds, rate_limit,"
    " data_limit_octets, devices_max, active, router_ids, schedule, language"
)


class PackagesTable:
    """Package versions; added when a package changes, never rewritten."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection
        self._read: dict[int, PackageVersion] = {}  # versions never change, and there are few

    def version_of(self, package: Package, at: datetime) -> PackageVersion:
        """The version that says exactly this, added where it is new."""
        values = _values(package)
        fingerprint = hashlib.sha256(json.dumps(values).encode()).hexdigest()
        key = (package.tenant_id, package.package_id, fingerprint)
        query = "SELECT version_id FROM package_versions WHERE tenant_id = ? AND package_id = ? AND fingerprint = ?"
        row = self._sql.execute(query, key).fetchone()
        if row is None:
            cursor = self._sql.execute(
                "INSERT INTO package_versions (tenant_id, package_id, fingerprint, created_at, name, service,"
                " price_cents, duration_seconds, online_seconds, rate_limit, data_limit_octets, devices_max, active,"
                " router_ids, schedule, language) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*key, instant(at), *values),
            )
            row = (cursor.lastrowid,)
        return PackageVersion(row[0], package)

    def by_id(self, version_id: int) -> PackageVersion:
        """A version by its number.

        Raises:
            NotFoundError: There is none.
        """
        version = self._read.get(version_id)
        if version is None:
            query = f"SELECT {_COLUMNS} FROM package_versions WHERE version_id = ?"  # noqa: S608 - a constant
            row = self._sql.execute(query, (version_id,)).fetchone()
            if row is None:
                raise NotFoundError("package.unknown", f"There is no package version {version_id}.")
            version = self._read[version_id] = _read_version(row)
        return version


def _values(package: Package) -> tuple[Any, ...]:
    return (
        package.name,
        package.service.value,
        package.price.cents,
        int(package.duration.total_seconds()),
        None if package.online_time is None else int(package.online_time.total_seconds()),
        str(package.rate_limit),
        None if package.data_limit is None else package.data_limit.octets,
        package.devices_max,
        int(package.active),
        json.dumps(package.router_ids),
        None if package.schedule is None else str(package.schedule),
        package.language,
    )


def _read_version(row: tuple[Any, ...]) -> PackageVersion:
    """A version from its columns, in the order of `_COLUMNS`."""
    (
        version_id,
        tenant_id,
        package_id,
        name,
        service,
        cents,
        seconds,
        online_seconds,
        rate,
        octets,
        devices,
        active,
        routers,
        schedule,
        language,
    ) = row
    package = Package(
        tenant_id=tenant_id,
        package_id=package_id,
        name=name,
        service=Service(service),
        price=Money(cents),
        duration=timedelta(seconds=seconds),
        rate_limit=RateLimit.parse(rate),
        data_limit=None if octets is None else DataVolume(octets),
        devices_max=devices,
        active=bool(active),
        router_ids=tuple(json.loads(routers)),
        online_time=None if online_seconds is None else timedelta(seconds=online_seconds),
        schedule=None if schedule is None else Schedule.parse(schedule),
        language=language,
    )
    return PackageVersion(version_id, package)
