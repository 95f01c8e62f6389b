"""What the files in `config/` declare: read once, refused as a whole when wrong, never changed after."""

from easyisp_edge.config.configuration import Config
from easyisp_edge.config.gateways import Environment, Gateway, SubType
from easyisp_edge.config.models import Callbacks, Edge, Portal, Tenant
from easyisp_edge.config.problems import ConfigError, Problem
from easyisp_edge.config.reading import load_config
from easyisp_edge.config.routers import Router, RouterApi, RouterMode, RouterRadius

__all__ = [
    "Callbacks",
    "Config",
    "ConfigError",
    "Edge",
    "Environment",
    "Gateway",
    "Portal",
    "Problem",
    "Router",
    "RouterApi",
    "RouterMode",
    "RouterRadius",
    "SubType",
    "Tenant",
    "load_config",
]
