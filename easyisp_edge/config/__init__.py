"""What the files in `config/` declare: read once, refused as a whole when wrong, never changed after."""

from easyisp_edge.config.configuration import Config
from easyisp_edge.config.gateway_types import Environment, GatewaySource, GatewayType, SubType
from easyisp_edge.config.gateways import Gateway, Pull
from easyisp_edge.config.models import Callbacks, Control, Edge, Freeradius, Limits, Mpesa, Portal, ShortPayment, Tenant
from easyisp_edge.config.problems import ConfigError, Problem
from easyisp_edge.config.reading import load_config
from easyisp_edge.config.routers import Router, RouterApi, RouterMode, RouterRadius

__all__ = [
    "Callbacks",
    "Config",
    "ConfigError",
    "Control",
    "Edge",
    "Environment",
    "Freeradius",
    "Gateway",
    "GatewaySource",
    "GatewayType",
    "Limits",
    "Mpesa",
    "Portal",
    "Problem",
    "Pull",
    "Router",
    "RouterApi",
    "RouterMode",
    "RouterRadius",
    "ShortPayment",
    "SubType",
    "Tenant",
    "load_config",
]
