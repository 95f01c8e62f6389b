"""The script that makes Debian's FreeRADIUS use the configuration, run for real where it can harm nothing."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.database_address import SqliteAddress
from tests.fakes.freeradius_stage import DATABASES, postgresql, real_parts, stage_configuration
from tests.real_parts import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easyisp_edge.domain.database_address import DatabaseAddress

pytestmark = [pytest.mark.real_part("FreeRADIUS"), pytest.mark.timeout(120)]

INSTALLED = "/etc/freeradius/easyisp-edge"
# Whatever the script changes it changes in folders that are empty, in memory, and nobody else's.
NAMESPACE = """
set -eu
for folder in /etc/default /etc/systemd /etc/freeradius /var/lib; do mount -t tmpfs tmpfs "$folder"; done
echo 'FREERADIUS_OPTIONS="-d /elsewhere"' >/etc/default/freeradius
mkdir -p /etc/freeradius/easyisp-edge/secrets
echo "secret = 'of a router that was taken out'" >/etc/freeradius/easyisp-edge/secrets/router-gone.conf
sh "$1/install.sh" >/dev/null
sh "$1/install.sh"
find /etc/default /etc/systemd /etc/freeradius /var/lib -printf '%M %u:%g %p\\n'
cat /etc/default/freeradius
runuser -u freerad -- "$2" -XC -d /etc/freeradius/easyisp-edge -l stdout | tail -1
"""


@pytest.fixture(params=DATABASES)
def address(request: pytest.FixtureRequest) -> Iterator[DatabaseAddress]:
    """Where the users are to stand: a file that is made, or a server that runs."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield SqliteAddress(Path("/var/lib/easyisp-radius/radius.sqlite"))
        else:
            require("psql", "postgresql-client")
            yield stack.enter_context(postgresql(Path(stack.enter_context(TemporaryDirectory()))))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a folder tree of its own: the installation is not tried")
def test_the_script_installs_what_freeradius_runs_with(address: DatabaseAddress, tmp_path: Path) -> None:
    """Also the second time: FreeRADIUS takes it as the user it runs as, and others can read nothing of it."""
    freeradius, _ = real_parts()
    stage_configuration(
        tmp_path, address, folder=INSTALLED, log_folder="/var/log/freeradius", run_folder="/run/freeradius"
    )
    done = subprocess.run(
        [require("unshare", "util-linux"), "--mount", "sh", "-c", NAMESPACE, "sh", tmp_path, freeradius],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "Configuration appears to be OK"
    assert lines[-2] == f'FREERADIUS_OPTIONS="-d {INSTALLED}"'
    found = [line.split() for line in lines if line.count(" ") == 2 and f" {INSTALLED}" in line]
    assert {mode for mode, _, _ in found} <= {"-rw-r-----", "drwxr-x---", "drwxr-s---"}
    assert {owner for _, owner, _ in found} == {"root:freerad"}
    assert f"{INSTALLED}/secrets/router-main.conf" in {path for _, _, path in found}
    assert f"{INSTALLED}/secrets/router-gone.conf" not in {path for _, _, path in found}
    if isinstance(address, SqliteAddress):
        assert f"-rw-rw---- freerad:freerad {address.path}" in lines
        assert f"drwxrws--- freerad:freerad {address.path.parent}" in lines
        assert "-rw-r--r-- root:root /etc/systemd/system/easyisp-edge.service.d/freeradius.conf" in lines
