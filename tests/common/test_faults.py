"""Faults of servers and disks are recognised by what they answer, and told once with their cure."""

import errno
import sqlite3
from pathlib import Path

import pytest
from aio_pika.exceptions import ProbableAuthenticationError
from aiormq.exceptions import (
    AMQPConnectionError,
    ChannelAccessRefused,
    ChannelPreconditionFailed,
    IncompatibleProtocolError,
)
from botocore.exceptions import (
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
)
from botocore.parsers import ResponseParserError
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse
from structlog.testing import capture_logs

from services.common.errors import BackendRefused, BackendUnavailable, StorageDenied
from services.common.faults.amqp import amqp_fault
from services.common.faults.disk import file_fault, sqlite_fault
from services.common.faults.redis import redis_fault, refuses
from services.common.faults.refusals import Fault, Refusals
from services.common.faults.s3 import s3_client_fault, s3_fault
from services.common.telemetry.logging import _masked

ADDRESS = {"host": "db.example", "port": 6380}
BROKER = "amqp://studio:secret@mq.example/photos"


def _in_the_log(fault: Fault) -> bool:
    """Return whether the log shows the cure whole: it masks what may be a secret, as after `password:`."""
    return bool(_masked(fault.cure) == fault.cure)


@pytest.mark.parametrize(
    ("answer", "cure"),
    [
        ("READONLY You can't write against a read only replica.", "redis-cli -h db.example -p 6380 REPLICAOF NO ONE"),
        ("ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write", "REPLICAOF NO ONE"),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "primary"),
        ("LOADING Redis is loading the dataset in memory", "INFO persistence"),
        ("MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk.", "BGSAVE"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "CONFIG SET maxmemory"),
        ("NOREPLICAS Not enough good replicas to write.", "min-replicas-to-write"),
        ("CLUSTERDOWN The cluster is down", "single or a replicated Redis"),
        ("MOVED 3999 127.0.0.1:6381", "single or a replicated Redis"),
        ("CROSSSLOT Keys in request don't hash to the same slot", "single or a replicated Redis"),
        ("NOAUTH Authentication required.", ":PASSWORD@HOST"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "ACL SETUSER"),
        ("NOPERM this user has no permissions to run the 'set' command", "~studio:*"),
        (
            "ERR The user executing the script can't run this command or subcommand script: 1, on @user_script:1.",
            "+@all",
        ),
        ("ERR ACL failure in script: User default has no permissions to run the 'set' command script: 1.", "+@all"),
        ("DENIED Redis is running in protected mode because protected mode is enabled", "requirepass"),
        ("ERR DB index is out of range", "/0"),
        ("BUSY Redis is busy running a script.", "SCRIPT KILL"),
        ("ERR max number of clients reached", "CONFIG SET maxclients"),
        ("ERR unknown command 'EVALSHA', with args beginning with: ", "rename-command"),
        ("ERR Unknown Redis command called from script script: 1, on @user_script:1.", "rename-command"),
    ],
)
def test_redis_refuses(answer: str, cure: str) -> None:
    """Each of Redis' words by which it serves no one like us has a cure, with the server's address in it."""
    exc = BaseParser.parse_error(answer)  # type: ignore[no-untyped-call]

    fault = redis_fault(exc, ADDRESS)

    assert refuses(exc)
    assert fault is not None
    assert cure in fault.cure
    assert "CLI" not in fault.cure
    assert _in_the_log(fault)


@pytest.mark.parametrize(
    "answer", ["NOSCRIPT No matching script.", "WRONGTYPE Operation against a key", "ERR syntax error"]
)
def test_redis_answers(answer: str) -> None:
    """A mistake in the call itself is no fault of the server, and closes no connection."""
    exc = BaseParser.parse_error(answer)  # type: ignore[no-untyped-call]
    assert not refuses(exc)
    assert redis_fault(exc, ADDRESS) is None


@pytest.mark.parametrize(
    ("exc", "cure"),
    [
        (ProbableAuthenticationError("ACCESS_REFUSED - Login was refused"), "rabbitmqctl change_password studio"),
        (
            ChannelAccessRefused("ACCESS_REFUSED - access to exchange 'x'"),
            "rabbitmqctl set_permissions -p photos studio",
        ),
        (
            ChannelPreconditionFailed(
                "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'studio.jobs.sd15' in vhost 'photos'"
            ),
            "rabbitmqctl delete_queue -p photos studio.jobs.sd15",
        ),
        (
            ChannelPreconditionFailed(
                "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'studio.jobs' in vhost 'photos'"
            ),
            "rabbitmqadmin -V photos delete exchange name=studio.jobs",
        ),
        (ConnectionError("NOT_ALLOWED - vhost photos not found"), "rabbitmqctl add_vhost photos"),
        (IncompatibleProtocolError("no AMQP"), "no RabbitMQ: correct host and port in STUDIO_BROKER_URL"),
        (ConnectionError("NOT_ALLOWED - access to vhost 'photos' refused for user 'studio'"), "set_permissions"),
    ],
)
def test_rabbitmq_refuses(exc: Exception, cure: str) -> None:
    """A refusal of RabbitMQ names the command that allows it, which never holds the password."""
    fault = amqp_fault(exc, BROKER)
    assert fault is not None
    assert fault.lasting
    assert cure in fault.cure
    assert "secret" not in fault.cure
    assert _in_the_log(fault)


@pytest.mark.parametrize(
    "exc", [ConnectionRefusedError("refused"), ChannelPreconditionFailed("unknown delivery tag 1")]
)
def test_rabbitmq_is_away(exc: Exception) -> None:
    """A broker that is away needs no operator's decision."""
    assert amqp_fault(exc, BROKER) is None


@pytest.mark.parametrize(
    ("code", "status", "cure"),
    [
        ("InvalidAccessKeyId", 403, "STUDIO_S3_ACCESS_KEY"),
        ("SignatureDoesNotMatch", 403, "STUDIO_S3_SECRET_KEY"),
        ("AccessDenied", 403, "s3:PutObject"),
        ("Whatever", 403, "s3:PutObject"),
        ("NoSuchBucket", 404, "aws s3 mb s3://photos --endpoint-url http://s3"),
        ("RequestTimeTooSkewed", 403, "timedatectl"),
        ("ExpiredToken", 400, "renew"),
        ("AuthorizationHeaderMalformed", 400, "region="),
        ("PermanentRedirect", 301, "region="),
        ("XMinioStorageFull", 507, "no room"),
    ],
)
def test_s3_refuses(code: str, status: int, cure: str) -> None:
    """Each refusal of an S3 server has a cure."""
    fault = s3_fault({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "photos", "http://s3")
    assert fault is not None
    assert cure in fault.cure
    assert _in_the_log(fault)


@pytest.mark.parametrize(("code", "status"), [("SlowDown", 503), ("InternalError", 500), ("NoSuchKey", 404)])
def test_s3_answers(code: str, status: int) -> None:
    """An error that passes, or that is an answer, is no fault."""
    assert s3_fault({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "photos", None) is None


@pytest.mark.parametrize(
    ("number", "cure", "lasting"),
    [
        (errno.ENOSPC, "df -h", False),
        (errno.EDQUOT, "df -h", False),
        (errno.EROFS, "mount", True),
        (errno.EACCES, "ls -ld /data/jobs/x", True),
        (errno.ENOSPC, "df -i", False),
        (errno.EEXIST, "ls -ld /data/jobs/x", False),
        (errno.ENOTDIR, "ls -ld /data/jobs/x", False),
        (errno.ELOOP, "another folder", False),
        (errno.ENOENT, "mount it again", False),
        (errno.EMFILE, "ulimit -n", False),
        (errno.ENFILE, "LimitNOFILE", False),
        (errno.EISDIR, "another folder in the settings", False),
    ],
)
def test_disk_refuses(number: int, cure: str, lasting: bool) -> None:
    """A full disk is to be freed, a read-only one to be made writable."""
    fault = file_fault(OSError(number, "no", "/data/jobs/x"), Path("/data"))
    assert fault is not None
    assert (cure in fault.cure, fault.lasting) == (True, lasting)
    assert file_fault(OSError(errno.EIO, "no"), Path("/data")) is None


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (sqlite3.SQLITE_FULL, "df -h"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "ls -ld"),
        (sqlite3.SQLITE_CORRUPT, ".recover"),
        (sqlite3.SQLITE_NOTADB, "backup"),
        (sqlite3.SQLITE_CANTOPEN, "ls -ld"),
        (sqlite3.SQLITE_CANTOPEN, "df -i /data"),
        (sqlite3.SQLITE_IOERR_SHMMAP, "STUDIO_DATA_DIR"),
        (sqlite3.SQLITE_IOERR_LOCK, "disk of this machine"),
        (sqlite3.SQLITE_PROTOCOL, "no locks"),
    ],
)
def test_sqlite_refuses(code: int, cure: str) -> None:
    """Each fault of the database file has a cure that names the file."""
    exc = sqlite3.OperationalError("no")
    exc.sqlite_errorcode = code
    fault = sqlite_fault(exc, Path("/data/studio.db"))
    assert fault is not None
    assert cure in fault.cure
    assert "/data/studio.db" in fault.cure


def test_cure_is_told_once() -> None:
    """A fault is told once until it is mended, with its reason and its cure; one that passes is not told."""
    refusals, fault = Refusals("statuses"), Fault("CONFIG SET maxmemory")
    with capture_logs() as logs:
        errors = [refusals.error(f"full {number}", fault) for number in range(3)]
        refusals.error("away", None)
        refusals.mended()
        refusals.error("full again", fault)
    assert [line["reason"] for line in logs] == ["full 0", "full again"]
    assert {line["cure"] for line in logs} == {fault.cure}
    assert {type(error) for error in errors} == {BackendUnavailable}
    assert errors[0].advice == "statuses unavailable: full 0. CONFIG SET maxmemory"


def test_lasting_fault_has_its_error() -> None:
    """An error that no time mends is a refusal; of the object store it is denied, as a worker must know."""
    fault = Fault("chmod", lasting=True)
    assert type(Refusals("broker").error("no", fault)) is BackendRefused
    assert type(Refusals("objects").error("no", fault)) is StorageDenied
    assert Refusals("redis").error("no", fault, "cache").backend == "cache"


@pytest.mark.parametrize(
    ("exc", "cure"),
    [
        (NoCredentialsError(), "correct STUDIO_S3_ACCESS_KEY and STUDIO_S3_SECRET_KEY"),
        (PartialCredentialsError(provider="explicit", cred_var="aws_secret_access_key"), "STUDIO_S3_SECRET_KEY"),
        (ProfileNotFound(profile="none"), "AWS_PROFILE"),
        (ResponseParserError("Unable to parse response, invalid XML received"), "endpoint in STUDIO_OBJECTS_URL"),
    ],
)
def test_s3_is_not_asked_or_not_understood(exc: Exception, cure: str) -> None:
    """Keys that are missing and a server of another kind have their settings as the cure."""
    fault = s3_client_fault(exc)
    assert fault is not None
    assert cure in fault.cure
    assert _in_the_log(fault)


def test_s3_is_away() -> None:
    """A server that is away needs no operator's decision."""
    assert s3_client_fault(EndpointConnectionError(endpoint_url="http://s3")) is None


UNTRUSTED = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1006)"
PLAIN = "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"


@pytest.mark.parametrize(("reason", "cure"), [(UNTRUSTED, "renew the certificate"), (PLAIN, "the scheme without TLS")])
def test_tls_refuses(reason: str, cure: str) -> None:
    """A certificate that is not trusted, and a server without TLS, are told with the setting, by every client."""
    faults = {
        "STUDIO_STATUSES_URL": redis_fault(RedisConnectionError(f"Error 1 connecting to h:1. {reason}"), ADDRESS),
        "STUDIO_BROKER_URL": amqp_fault(AMQPConnectionError(1, reason), BROKER),
        "STUDIO_OBJECTS_URL": s3_client_fault(SSLError(endpoint_url="https://s3", error=OSError(reason))),
    }
    for setting, fault in faults.items():
        assert fault is not None
        assert fault.lasting
        assert setting in fault.cure
        assert cure in fault.cure
        assert _in_the_log(fault)


def test_command_speaks_tls() -> None:
    """The command that mends a Redis with TLS speaks TLS as well."""
    exc = BaseParser.parse_error("READONLY You can't write against a read only replica.")  # type: ignore[no-untyped-call]
    fault = redis_fault(exc, ADDRESS, tls=True)
    assert fault is not None
    assert "redis-cli --tls -h db.example -p 6380 REPLICAOF NO ONE" in fault.cure


@pytest.mark.parametrize("text", ["Protocol Error: b'HTTP/1.1 400'", 'Protocol error, got "H" as reply type byte'])
def test_no_redis(text: str) -> None:
    """An answer of another kind of server, as each of redis-py's parsers tells it, has the setting as its cure."""
    fault = redis_fault(InvalidResponse(text), ADDRESS)
    assert fault is not None
    assert "correct host and port in STUDIO_STATUSES_URL" in fault.cure
