"""A Ray cluster on this machine: a head without cores and two workers of one core each.

Run as a program it prints what a RunningCluster knows as a line of JSON and lives until its
standard input ends. A process of its own, because Ray leaves threads and signal handlers behind.
Everything listens on the loopback alone, and nothing is asked of the network: no usage statistics.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# Ray takes 127.0.0.1 for a mistake, except where it believes to be on a person's own machine.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "120",  # 30 are too few beside other tests
}
_ROOT = Path(__file__).resolve().parent.parent
_STORE_BYTES = 150_000_000  # the model and the vectors under way


@dataclass(frozen=True)
class RunningCluster:
    """Its addresses, the process that knows of all machines, and the raylet of each of them."""

    address: str
    client_address: str  # for those who are not part of it
    head: int
    workers: tuple[int, ...]

    def kill_worker(self, number: int) -> None:
        """As when the power of the machine fails; what the raylet started ends with it."""
        os.kill(self.workers[number], signal.SIGKILL)

    def kill_head(self) -> None:
        """As when the power of the first machine fails."""
        os.kill(self.head, signal.SIGKILL)


@contextmanager
def running_cluster(path: Path = _ROOT) -> Iterator[RunningCluster]:
    """A cluster, ready for work; `path` is where its machines find the program, if it is there."""
    # Not pytest's folder: its name is longer than the name of a socket may be.
    with TemporaryDirectory(prefix="wj") as folder:
        log = Path(folder) / "output.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=os.environ | ENVIRONMENT | {"PYTHONPATH": str(path), "RAY_TMPDIR": folder},
                text=True,
            )
        with process:
            if process.stdin is None or process.stdout is None:
                raise AssertionError("no pipes")
            line = process.stdout.readline()
            assert line, log.read_text("utf-8")
            told = json.loads(line)
            yield RunningCluster(
                told["address"], told["client_address"], told["head"], tuple(told["workers"])
            )
            process.stdin.close()


def _serve() -> None:
    from ray.cluster_utils import Cluster

    with socket.create_server(("127.0.0.1", 0)) as free:
        client_port = free.getsockname()[1]
    cluster = Cluster()
    machine: dict[str, Any] = {"node_ip_address": "127.0.0.1", "object_store_memory": _STORE_BYTES}
    head = cluster.add_node(
        num_cpus=0, include_dashboard=False, ray_client_server_port=client_port, **machine
    )
    nodes = [cluster.add_node(num_cpus=1, wait=False, **machine) for _ in range(2)]
    cluster.wait_for_nodes()
    told = {
        "address": cluster.address,
        "client_address": f"ray://127.0.0.1:{client_port}",
        "head": head.all_processes["gcs_server"][0].process.pid,
        "workers": [node.all_processes["raylet"][0].process.pid for node in nodes],
    }
    print(json.dumps(told), flush=True)
    sys.stdin.read()
    cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    _serve()
