from __future__ import annotations

import pytest

from easyisp_edge.domain.networks import network_of


@pytest.mark.parametrize(
    ("source", "network"),
    [
        ("196.201.214.200", "196.201.214.200"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("::ffff:196.201.214.200", "196.201.214.200"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_who_has_many_addresses_is_counted_once(source: str, network: str) -> None:
    """A customer of IPv6 has a network of 2**64 of them."""
    assert network_of(source) == network
