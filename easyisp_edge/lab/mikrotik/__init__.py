"""A stand-in MikroTik hotspot router that speaks the real wires on loopback.

The API refuses every command and argument that the version played does not have. What real routers answer is
documented for some cases only; where it is not, the plainest behaviour is played.
"""

from __future__ import annotations

from easyisp_edge.lab.mikrotik.console import ApiUser
from easyisp_edge.lab.mikrotik.errors import TrapError
from easyisp_edge.lab.mikrotik.faults import Fault, FaultKind
from easyisp_edge.lab.mikrotik.gates import Destination
from easyisp_edge.lab.mikrotik.options import MikrotikOptions, RadiusServer
from easyisp_edge.lab.mikrotik.router import ActiveDevice, Device, MikrotikLab

__all__ = [
    "ActiveDevice",
    "ApiUser",
    "Destination",
    "Device",
    "Fault",
    "FaultKind",
    "MikrotikLab",
    "MikrotikOptions",
    "RadiusServer",
    "TrapError",
]
