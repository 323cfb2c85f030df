"""A gateway whose open files are used up."""

import http.client
import resource
from pathlib import Path

import psutil

from tests.support.metrics_scrape import Scrape
from tests.support.servers.server import free_port
from tests.support.system import running_system

SPARE = 5
CLIENTS = 12


def test_files_used_up(tmp_path: Path) -> None:
    """A connection without a file waits for that of an idle one: none is dropped, and it is logged once and counted."""
    metrics = free_port()
    with running_system(tmp_path, {"STUDIO_METRICS_PORT": str(metrics)}) as system:
        gateway = system.start_gateway()
        system.client.close()
        most = psutil.Process(gateway.pid).num_fds() + SPARE
        resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (most, most))
        clients = [http.client.HTTPConnection("127.0.0.1", system.port, timeout=20) for _ in range(CLIENTS)]
        for client in clients:
            client.request("GET", "/livez")
            assert client.getresponse().read()
        for client in clients:
            client.close()

        system.wait_for_log('"outcome": "no-file".*"event": "too many connections"')
        scrape = Scrape(f"http://127.0.0.1:{metrics}")
        assert scrape("studio_connections_over_limit_total", outcome="no-file") >= CLIENTS - SPARE
        assert system.log().count("too many connections") == 1
