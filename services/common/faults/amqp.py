"""The answers of RabbitMQ that an operator has to do something about."""

import re
from typing import Final
from urllib.parse import unquote, urlsplit

from aio_pika.exceptions import AuthenticationError, ProbableAuthenticationError
from aiormq.exceptions import ChannelAccessRefused, ChannelPreconditionFailed, IncompatibleProtocolError

from services.common.faults.refusals import Fault
from services.common.faults.tls import tls_fault

URL: Final = "STUDIO_BROKER_URL"
BLOCKED: Final = Fault(
    "RabbitMQ takes no messages while memory or disk run low: rabbitmq-diagnostics alarms names it; free some, "
    "or start it with other limits (vm_memory_high_watermark, disk_free_limit)"
)
_DECLARED = re.compile(r"(queue|exchange) '([^']+)'")


def amqp_fault(exc: BaseException, url: str) -> Fault | None:
    """Return the fault, None for one that passes. `url` is the broker's."""
    parts, text = urlsplit(url), str(exc)
    user, vhost = unquote(parts.username or "guest"), unquote(parts.path[1:]) or "/"
    allow = f"rabbitmqctl set_permissions -p {vhost} {user} '^studio\\.' '^studio\\.' '^studio\\.'"
    if isinstance(exc, AuthenticationError | ProbableAuthenticationError) or "Login was refused" in text:
        change, add = f"rabbitmqctl change_password {user} PASSWORD", f"rabbitmqctl add_user {user} PASSWORD"
        return Fault(f"User or password in {URL} is wrong: correct it, or {change}, or {add} and {allow}", lasting=True)
    if isinstance(exc, ChannelAccessRefused) or "refused for user" in text:
        return Fault(f"The user in {URL} may not do this: {allow}", lasting=True)
    if ("vhost" in text and "not found" in text) or "Connection.OpenOk" in text:  # as aiormq tells it
        return Fault(f"There is no such virtual host: rabbitmqctl add_vhost {vhost}, then {allow}", lasting=True)
    if isinstance(exc, ChannelPreconditionFailed) and "inequivalent" in text:
        return _declared_otherwise(text, vhost)
    if isinstance(exc, IncompatibleProtocolError):
        return Fault(f"What answers there is no RabbitMQ: correct host and port in {URL}", lasting=True)
    return tls_fault(exc, URL, f"end {URL} with ?cafile=FILE")


def _declared_otherwise(text: str, vhost: str) -> Fault:
    found = _DECLARED.search(text)
    kind, name = found.groups() if found else ("queue", "NAME")
    if kind == "queue":
        delete = f"rabbitmqctl delete_queue -p {vhost} {name}"
    else:
        delete = f"rabbitmqadmin -V {vhost} delete exchange name={name}"
    return Fault(
        f"The {kind} {name} was declared with other arguments, which cannot be changed: "
        f"empty it, then {delete}, and start again",
        lasting=True,
    )
