"""The whole node with its ledger in PostgreSQL, also when that is gone for a while."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.senders import instance, instances
from faults.stage import Stage
from support.orthanc import free_port

GONE_SECONDS = float(os.environ.get("CDS_FAULT_GONE_SECONDS", "8"))
"""The list of faults says 60 s."""


class Cluster:
    """A PostgreSQL of its own in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.as_root = os.geteuid() == 0
        if self.as_root:
            shutil.chown(folder, "postgres")
        self.run("initdb", "-D", str(folder / "db"), "-A", "trust", "-U", "cds", "-E", "UTF8", "--no-sync")

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://cds@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder}"
        self.run("pg_ctl", "-D", str(self.folder / "db"), "-l", str(self.folder / "log"), "-o", options, "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        self.run("pg_ctl", "-D", str(self.folder / "db"), "-m", mode, "-w", "stop")

    def run(self, *command: str) -> None:
        user = "postgres" if self.as_root else getpass.getuser()
        prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if self.as_root else []
        subprocess.run([*prefix, *command], check=True, cwd=self.folder, stdout=subprocess.DEVNULL, timeout=60)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    pytest.importorskip("psycopg", reason="needs the extra 'postgresql'")
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("needs PostgreSQL with initdb and pg_ctl on the PATH: apt-get install postgresql")
    # not under pytest's own folder, where an unprivileged user does not get in
    with tempfile.TemporaryDirectory(prefix="cds-postgresql-") as folder:
        cluster = Cluster(Path(folder))
        cluster.start()
        yield cluster
        cluster.stop()


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("stage"), extra=f'[database]\nurl = "{cluster.url}"\n')
    stage.database = cluster.url
    stage.start()
    yield stage
    stage.close()


def test_the_whole_node_works_on_it(common: Stage) -> None:
    assert common.send(*instances((1, 2), 3), instance(1, 1)) == [0x0000] * 7
    common.check()
    common.send(instance(1, 4))
    common.wait(lambda: len(common.study(1)["reports"]) == 2, "a second revision")
    common.check()


def test_killed_and_started_again_it_goes_on(common: Stage) -> None:
    with common.load(instances((3, 4), 5, size=20_000)) as load:
        common.kill()
        common.start()
        load.finish()
    common.check()


def test_a_database_that_is_gone_holds_up_no_reception(common: Stage, cluster: Cluster) -> None:
    cluster.stop()
    with common.pulse() as pulse:
        with common.load(instances((5, 6), 5, size=20_000)) as load:
            load.finish()
        common.wait(lambda: common.ready()[0] == 503, "/readyz to say so")
        pulse.wait(GONE_SECONDS)
    cluster.start()
    common.check()
    common.wait(lambda: common.ready()[0] == 200, "/readyz to be well again")


def test_a_database_that_goes_in_the_middle_of_the_work_loses_nothing(common: Stage, cluster: Cluster) -> None:
    common.script.write("2.25.7", "slow")
    with common.load(instances((7, 8, 9), 5, size=20_000)) as load:
        common.wait(lambda: common.script.runs("2.25.7"), "an analysis")
        cluster.stop()
        cluster.start()
        load.finish()
    common.check()


def test_a_node_that_starts_without_its_database_says_so(common: Stage, cluster: Cluster) -> None:
    common.stop()
    cluster.stop()
    said = common.refuses_to_start(status=1)
    assert "database" in said
    assert "Traceback" not in said
    cluster.start()
    common.start()
    common.check()
    common.stop()
