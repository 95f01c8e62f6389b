"""A stand-in MikroTik hotspot router that speaks the real wires on loopback.

The API refuses every command and argument that the version played does not have. What real routers answer is
documented for some cases only; where it is not, the plainest behaviour is played.
"""

from __future__ import annotations

from easyisp_edge.lab.mikrotik.console import ApiUser
from easyisp_edge.lab.mikrotik.devices import ActiveDevice, Device
from easyisp_edge.lab.mikrotik.errors import TrapError
from easyisp_edge.lab.mikrotik.faults import Fault, FaultKind, Throttle
from easyisp_edge.lab.mikrotik.gates import Destination
from easyisp_edge.lab.mikrotik.options import MikrotikOptions, RadiusServer
from easyisp_edge.lab.mikrotik.router import MikrotikLab
from easyisp_edge.lab.mikrotik.system_tables import ALL_POLICIES

__all__ = [
    "ALL_POLICIES",
    "ActiveDevice",
    "ApiUser",
    "Destination",
    "Device",
    "Fault",
    "FaultKind",
    "MikrotikLab",
    "MikrotikOptions",
    "RadiusServer",
    "Throttle",
    "TrapError",
]
