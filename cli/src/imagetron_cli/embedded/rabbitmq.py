"""A private RabbitMQ node from the Debian package: no systemd, no root, nothing shared with the machine's own broker."""

import asyncio
import os
import re
import secrets
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aio_pika
from aio_pika.exceptions import AMQPError

from imagetron_cli.embedded.ports import LOOPBACK, Ports
from imagetron_cli.embedded.process import ProcessSpec
from imagetron_cli.errors import Trouble

PROGRAMS: Final = Path("/usr/lib/rabbitmq/bin")
_NODE: Final = "imagetron@localhost"
"""The data is bound to the node's name. Each node has an epmd of its own, so all may have the same one."""

_PROTOCOL_HEADER: Final = b"AMQP\x00\x00\x09\x01"
_METHOD_FRAME: Final = b"\x01"
_ANSWER_SECONDS: Final = 5.0

_CONFIGURATION: Final = """\
listeners.tcp.default = {address}:{port}
# A laptop with little room must still run; below this the broker stops accepting messages.
disk_free_limit.absolute = 200MB
vm_memory_high_watermark.absolute = 1GB
# The default segments of 512 MB are made for servers; ours hold a few thousand small messages.
raft.wal_max_size_bytes = 33554432
log.file = false
log.console = true
log.console.level = info
"""


async def objection_to(url: str) -> str | None:
    """Why no connection can be made to this broker; None if one can. Never the URL: it has the password."""
    try:
        connection = await asyncio.wait_for(aio_pika.connect(url), _ANSWER_SECONDS)
    except (AMQPError, OSError, ValueError) as error:
        return f"the broker does not answer: {type(error).__name__}"
    await connection.close()
    return None


async def require(url: str) -> None:
    """Raise Trouble if this broker, which is not ours to start, does not answer."""
    if objection := await objection_to(url):
        raise Trouble(f"AMQP_URL: {objection}. Start that broker, or unset AMQP_URL for a private one.")


@dataclass(frozen=True)
class RabbitNode:
    """One node, its data under `folder`. `epmd` (Erlang's port mapper) must run before `broker` starts.

    Run by the broker itself, epmd would become a daemon that nobody owns.
    """

    folder: Path
    port: int
    distribution_port: int
    epmd_port: int

    @classmethod
    def on(cls, ports: Ports, folder: Path) -> "RabbitNode":
        return cls(folder.absolute(), ports.rabbitmq, ports.rabbitmq_distribution, ports.rabbitmq_epmd)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@{LOOPBACK}:{self.port}/"

    def prepare(self) -> None:
        """Write what the node reads: its configuration and the cookie that its tools show."""
        if version() is None:
            raise Trouble(f"RabbitMQ is not installed ({PROGRAMS} is missing): run `make setup`, or set AMQP_URL")
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        (self.folder / "rabbitmq.conf").write_text(_CONFIGURATION.format(address=LOOPBACK, port=self.port))
        (self.folder / "enabled_plugins").write_text("[].\n")
        cookie = home / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(mode=0o600)
            cookie.write_text(secrets.token_hex(16))

    def environment(self) -> dict[str, str]:
        """Complete: nothing of the caller's environment or of /etc/rabbitmq reaches the node or its tools."""
        return {
            "PATH": f"{PROGRAMS}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_FLAGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_NODENAME": _NODE,
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            # Files that do not exist, in the place of the system's.
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "no-environment.conf"),
            "RABBITMQ_CONFIG_FILES": str(self.folder / "no-more" / "*.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "no-advanced.config"),
            # The script then becomes the Erlang machine instead of staying between us and it.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_START_ARGS": "-noinput +B i",
        }

    def epmd(self) -> ProcessSpec:
        return ProcessSpec(
            name="epmd",
            argv=("/usr/bin/epmd", "-port", str(self.epmd_port), "-address", LOOPBACK),
            environment=self.environment(),
            is_ready=lambda: _accepts(self.epmd_port),
            grace_seconds=1,
        )

    def broker(self) -> ProcessSpec:
        return ProcessSpec(
            name="rabbitmq",
            argv=(str(PROGRAMS / "rabbitmq-server"),),
            environment=self.environment(),
            is_ready=lambda: speaks_amqp(self.port),
            # 6 s on two idle cores; tests may run on busy ones.
            ready_within_seconds=90,
            grace_seconds=20,
            folder=self.folder,
        )

    async def ctl(self, *arguments: str) -> str:
        """What `rabbitmqctl` answers. Raises Trouble with its words when it fails. Takes about two seconds."""
        process = await asyncio.create_subprocess_exec(
            str(PROGRAMS / "rabbitmqctl"),
            "-n",
            _NODE,
            *arguments,
            env=self.environment(),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
        )
        output, _ = await process.communicate()
        text = output.decode(errors="replace").strip()
        if process.returncode:
            raise Trouble(f"rabbitmqctl {' '.join(arguments)} failed with status {process.returncode}:\n{text}")
        return text


def version(programs: Path = PROGRAMS) -> str | None:
    """The installed version, told from where the package's links lead; None if there is no package."""
    script = programs / "rabbitmq-server"
    if not os.access(script, os.X_OK):
        return None
    found = re.search(r"rabbitmq_server-([0-9.]+)", str(script.resolve()))
    return found[1] if found else "unknown"


async def speaks_amqp(port: int, *, within_seconds: float = 2) -> bool:
    """Whether the broker opens the AMQP handshake there. It does so when it has booted, not when the port is open."""
    try:
        async with asyncio.timeout(within_seconds):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(_PROTOCOL_HEADER)
                return await reader.read(1) == _METHOD_FRAME
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True
