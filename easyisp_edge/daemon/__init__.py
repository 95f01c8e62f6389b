"""The one place where the daemon's parts are built and joined, and where its background work lives."""

from easyisp_edge.daemon.doors import Doors
from easyisp_edge.daemon.life import Daemon
from easyisp_edge.daemon.surroundings import Surroundings

__all__ = ["Daemon", "Doors", "Surroundings"]
