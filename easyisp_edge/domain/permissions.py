"""Who may do what at the back office: roles, and single permissions added to them or taken from them."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class Permission(enum.StrEnum):
    """One thing a person may be allowed to do. Values are stored and part of the HTTP contract."""

    DASHBOARD_VIEW = "dashboard:view"
    PAYMENTS_VIEW_ELECTRONIC = "payments:view_electronic"
    PAYMENTS_VIEW_MANUAL = "payments:view_manual"
    PAYMENTS_RECORD_MANUAL = "payments:record_manual"
    PAYMENTS_CLEAR_MANUAL = "payments:clear_manual"
    PAYMENTS_ASSIGN = "payments:assign"
    PAYMENTS_REFUND = "payments:refund"
    PAYMENTS_EXPORT = "payments:export"
    PACKAGES_VIEW = "packages:view"
    HOTSPOT_VIEW = "hotspot:view"
    HOTSPOT_DETAILS_VIEW = "hotspot:details_view"
    HOTSPOT_CHANGE_EXPIRY = "hotspot:change_expiry"
    HOTSPOT_RESET_MAC = "hotspot:reset_mac"
    HOTSPOT_DELETE = "hotspot:delete"
    VOUCHERS_VIEW = "vouchers:view"
    VOUCHERS_MAKE = "vouchers:make"
    VOUCHERS_REVOKE = "vouchers:revoke"
    PROBLEMS_VIEW = "problems:view"
    PROBLEMS_HANDLE = "problems:handle"
    ROUTERS_VIEW = "routers:view"
    OPERATORS_VIEW = "operators:view"
    OPERATORS_ADD = "operators:add"
    OPERATORS_EDIT = "operators:edit"
    OPERATORS_DELETE = "operators:delete"
    OPERATORS_MANAGE_PERMISSIONS = "operators:manage_permissions"
    AUDIT_VIEW = "audit:view"
    SETTINGS_PAYMENT_GATEWAY = "settings:payment_gateway"
    SETTINGS_PASSWORD = "settings:password"  # noqa: S105 - the permission's name


class Role(enum.StrEnum):
    """What somebody is there for. Values are stored and part of the HTTP contract."""

    SUPER_ADMIN = "SUPER_ADMIN"
    ADMIN = "ADMIN"
    STAFF = "STAFF"
    CUSTOMER_CARE = "CUSTOMER_CARE"
    FIELD_TECH = "FIELD_TECH"
    VIEWER = "VIEWER"


_ALL = frozenset(Permission)
_VIEWS = frozenset(
    {
        Permission.DASHBOARD_VIEW,
        Permission.PAYMENTS_VIEW_ELECTRONIC,
        Permission.PAYMENTS_VIEW_MANUAL,
        Permission.PACKAGES_VIEW,
        Permission.HOTSPOT_VIEW,
        Permission.HOTSPOT_DETAILS_VIEW,
        Permission.VOUCHERS_VIEW,
        Permission.PROBLEMS_VIEW,
        Permission.ROUTERS_VIEW,
    }
)
_OF_ROLE: Mapping[Role, frozenset[Permission]] = {
    Role.SUPER_ADMIN: _ALL,
    Role.ADMIN: _ALL,
    Role.STAFF: _VIEWS
    | {
        Permission.PAYMENTS_RECORD_MANUAL,
        Permission.PAYMENTS_ASSIGN,
        Permission.HOTSPOT_CHANGE_EXPIRY,
        Permission.HOTSPOT_RESET_MAC,
        Permission.VOUCHERS_MAKE,
        Permission.PROBLEMS_HANDLE,
        Permission.SETTINGS_PASSWORD,
    },
    Role.CUSTOMER_CARE: _VIEWS - {Permission.ROUTERS_VIEW}
    | {
        Permission.PAYMENTS_RECORD_MANUAL,
        Permission.PAYMENTS_ASSIGN,
        Permission.HOTSPOT_CHANGE_EXPIRY,
        Permission.HOTSPOT_RESET_MAC,
        Permission.PROBLEMS_HANDLE,
        Permission.SETTINGS_PASSWORD,
    },
    Role.FIELD_TECH: frozenset(
        {
            Permission.DASHBOARD_VIEW,
            Permission.PACKAGES_VIEW,
            Permission.HOTSPOT_VIEW,
            Permission.HOTSPOT_DETAILS_VIEW,
            Permission.HOTSPOT_RESET_MAC,
            Permission.PROBLEMS_VIEW,
            Permission.PROBLEMS_HANDLE,
            Permission.ROUTERS_VIEW,
            Permission.SETTINGS_PASSWORD,
        }
    ),
    Role.VIEWER: _VIEWS,
}

_RANK: Mapping[Role, int] = {Role.SUPER_ADMIN: 2, Role.ADMIN: 1}


def is_beyond(role: Role, own: Role) -> bool:
    """Whether a role stands above another one; STAFF and those beside it stand above nobody."""
    return _RANK.get(role, 0) > _RANK.get(own, 0)


def permissions_of(
    role: Role, added: Collection[Permission] = (), removed: Collection[Permission] = ()
) -> frozenset[Permission]:
    """What somebody may do: a role's own, with those added and without those taken away; the latter win.

    A SUPER_ADMIN may do everything, whatever was taken away, so that nobody can be locked out of a box for good.
    """
    if role is Role.SUPER_ADMIN:
        return _ALL
    return (_OF_ROLE[role] | frozenset(added)) - frozenset(removed)
