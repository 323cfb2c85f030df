"""A private RabbitMQ with its own node name, cookie, ports, folders and epmd, and with the definitions we ship."""

import json
import os
import secrets
import subprocess
import time
from pathlib import Path

from tests.support.servers.installation import server_program
from tests.support.servers.server import Server, exchange_line, free_port

SHIPPED = Path(__file__).resolve().parents[3] / "deploy" / "rabbitmq"
INSTALL = "apt-get install rabbitmq-server"
# Debian's /usr/sbin/rabbitmq-server changes to the user rabbitmq, which may not write our folder.
BINARIES = "/usr/lib/rabbitmq/bin"
USER, PASSWORD = "studio", "studio"  # of a server on loopback that lives as long as the tests
USERS = {
    # A server that boots with definitions makes no default user.
    "users": [{"name": USER, "password": PASSWORD, "tags": ["administrator"]}],
    "permissions": [{"user": USER, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
}


class RabbitMQServer(Server):
    name = "rabbitmq"

    def __init__(self, folder: Path, users: str = json.dumps(USERS), first: "RabbitMQServer | None" = None) -> None:
        """`users` are definitions of users and permissions, loaded beside the policies we ship.

        `first` is a node that runs before this one starts: this one uses its epmd and cookie and joins its cluster.
        """
        super().__init__(folder)
        self._users = users
        self._first = first
        self.port = free_port()
        self._distribution_port = free_port()
        self._epmd_port: int = first._epmd_port if first else free_port()
        self._cookie: str = first._cookie if first else secrets.token_hex(16)
        self.node = f"studio-{self.port}@localhost"
        self._program = server_program([f"{BINARIES}/rabbitmq-server", "rabbitmq-server"], INSTALL, folder)
        self._ctl = server_program([f"{BINARIES}/rabbitmqctl", "rabbitmqctl"], INSTALL, folder)
        self._epmd_program = server_program(["epmd"], INSTALL, folder)
        self._epmd: subprocess.Popen[bytes] | None = None
        self._write_configuration()

    @property
    def url(self) -> str:
        return f"amqp://{USER}:{PASSWORD}@127.0.0.1:{self.port}/%2F"

    def command(self) -> list[str]:
        return self._program

    def environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("RABBITMQ_")}
        return own | {
            "HOME": str(self.folder),  # of the Erlang cookie
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            # Two schedulers and no busy waiting: the machine is for the system under test.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
            # Makes the start script exec the Erlang VM, so that our pid is the broker's.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def ready(self) -> bool:
        # The AMQP listener opens last in the boot, after the definitions were loaded.
        return exchange_line(self.port, b"AMQP\x00\x00\x09\x01").startswith(b"\x01")

    def start(self) -> None:
        if self._first is None and self._epmd is None:
            self._epmd = subprocess.Popen(
                [*self._epmd_program, "-port", str(self._epmd_port), "-address", "127.0.0.1"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._await_epmd()
        super().start()

    def close(self) -> None:
        """Stop the broker and its epmd. Repeatable."""
        self.stop()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None

    def ctl(self, *arguments: str) -> str:
        """Run `rabbitmqctl ARGUMENTS`, which takes a second or two, and return its output. Raises RuntimeError."""
        command = [*self._ctl, "--node", self.node, "--quiet", *arguments]
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {arguments[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def sync(self) -> None:
        """Write the directory of quorum queues to disk: call it between the first declaration of a queue and `kill`.

        RabbitMQ 3.10.8 writes that directory every 5 s only. If it is killed earlier, it comes back with a queue that
        has lost its confirmed messages and never elects a leader. The queues of a running system are older.
        """
        self.ctl("eval", "[dets:sync(Table) || Table <- dets:all()].")

    def _await_epmd(self) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                exchange_line(self._epmd_port, b"\x00\x01n")
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise RuntimeError("epmd did not start")

    def _write_configuration(self) -> None:
        definitions = self.folder / "definitions.d"
        definitions.mkdir(exist_ok=True)
        (definitions / "10-policies.json").write_text((SHIPPED / "definitions.json").read_text())
        (definitions / "20-users.json").write_text(self._users)
        cookie = self.folder / ".erlang.cookie"
        cookie.unlink(missing_ok=True)
        cookie.write_text(self._cookie)
        cookie.chmod(0o400)
        (self.folder / "enabled_plugins").write_text("[].\n")
        (self.folder / "advanced.config").write_text("[].\n")
        shipped = (SHIPPED / "rabbitmq.conf").read_text()
        (self.folder / "rabbitmq.conf").write_text(
            shipped.replace("disk_free_limit.absolute = 1GB", "disk_free_limit.absolute = 1MB")
            + f"load_definitions = {definitions}\n"
            "loopback_users = none\n"
            "log.console = true\n"
            "log.file = false\n" + self._cluster()
        )

    def _cluster(self) -> str:
        if self._first is None:
            return ""
        nodes = (self._first.node, self.node)
        named = [f"cluster_formation.classic_config.nodes.{number} = {node}\n" for number, node in enumerate(nodes, 1)]
        return "".join(["cluster_formation.peer_discovery_backend = classic_config\n", *named])
