"""The answers of Redis by which it does not serve us: none of them is the fault of the call."""

import re
from collections.abc import Mapping
from typing import Any, Final

from redis.exceptions import AuthenticationError

from services.common.faults.refusals import Fault
from services.common.faults.tls import tls_fault

URL: Final = "STUDIO_STATUSES_URL"
_CLUSTER: Final = Fault(f"This is a Redis Cluster: point {URL} at a single or a replicated Redis", lasting=True)
_COMMANDS: Final = Fault(
    f"The server in {URL} lacks a command: it has to be a whole Redis, with scripts; `rename-command` hides some",
    lasting=True,
)
_FOREIGN: Final = Fault(f"What answers there is no Redis: correct host and port in {URL}", lasting=True)
_RIGHTS: Final = Fault(
    f"The user in {URL} may not do this: CLI ACL SETUSER NAME on '~studio:*' '&studio:*' +@all -@admin", lasting=True
)

# By the word that the answer begins with. `CLI` stands for redis-cli with the address.
_FAULTS: Final[Mapping[str, Fault]] = {
    "READONLY": Fault(
        f"This Redis is a replica: point {URL} at the primary, or make this one it: CLI REPLICAOF NO ONE"
    ),
    "MASTERDOWN": Fault(f"This replica has lost its primary: point {URL} at the primary, or CLI REPLICAOF NO ONE"),
    "LOADING": Fault("Redis loads its data: wait for it; CLI INFO persistence says how far it is"),
    "MISCONF": Fault(
        "Redis cannot save to its disk: free the disk (CLI CONFIG GET dir), then CLI BGSAVE; "
        "or do without: CLI CONFIG SET stop-writes-on-bgsave-error no"
    ),
    "OOM": Fault(
        "Redis is full and may not evict: give it more memory, CLI CONFIG SET maxmemory 2gb, "
        "or keep records for a shorter time, STUDIO_RETENTION_SECONDS"
    ),
    "NOREPLICAS": Fault("Too few replicas are connected: start them, or CLI CONFIG SET min-replicas-to-write 0"),
    "BUSY": Fault("A script holds up Redis: CLI SCRIPT KILL"),
    "CLUSTERDOWN": _CLUSTER,
    "MOVED": _CLUSTER,
    "ASK": _CLUSTER,
    "CROSSSLOT": _CLUSTER,
    "NOAUTH": Fault(
        f"Redis asks for a password, and {URL} has none: write it before the host, as in :PASSWORD@HOST", lasting=True
    ),
    "WRONGPASS": Fault(
        f"User or password in {URL} is wrong: correct it, or give it to the user: CLI ACL SETUSER NAME '>PASSWORD'",
        lasting=True,
    ),
    "NOPERM": _RIGHTS,
    "DENIED": Fault(f"Redis is in protected mode: set a password (CLI CONFIG SET requirepass) and put it into {URL}"),
    "The user executing the script": _RIGHTS,  # so Redis 7.0 says it of a command inside a script
    "ACL failure in script": _RIGHTS,  # and so does Redis 8
    "max number of clients": Fault(
        "Redis takes no more connections: stop a program that has many, then CLI CONFIG SET maxclients 10000"
    ),
    "unknown command": _COMMANDS,
    "Unknown Redis command": _COMMANDS,  # inside a script
    "Protocol Error": _FOREIGN,
    "Protocol error": _FOREIGN,  # as hiredis says it
    "DB index": Fault(f"There is no database of this number: end {URL} with /0", lasting=True),
}
_WORD: Final = re.compile(rf"\b({'|'.join(_FAULTS)})\b")


def redis_fault(exc: BaseException, address: Mapping[str, Any], *, tls: bool = False) -> Fault | None:
    """Return the fault, None where the call failed for another reason. `address` are the pool's arguments."""
    if found := _FAULTS.get(_word(exc)):
        return Fault(found.cure.replace("CLI", _cli(address, tls=tls)), found.lasting)
    return tls_fault(exc, URL, f"end {URL} with ?ssl_ca_certs=FILE")


def refuses(answer: object) -> bool:
    """Return whether this answer to one call says that the server serves no client like us now."""
    return isinstance(answer, Exception) and _word(answer) in _FAULTS


def _word(exc: BaseException) -> str:
    """Return the word that the answer begins with; from inside a script, before Redis 7, it is in the text."""
    word = str(getattr(exc, "status_code", None) or "")
    if word not in _FAULTS and (found := _WORD.search(str(exc))):
        word = found[0]
    if word not in _FAULTS and isinstance(exc, AuthenticationError):
        return "NOAUTH" if "required" in str(exc) else "WRONGPASS"
    return word


def _cli(address: Mapping[str, Any], *, tls: bool) -> str:
    safely = " --tls" if tls else ""
    return f"redis-cli{safely} -h {address.get('host', 'localhost')} -p {address.get('port', 6379)}"
