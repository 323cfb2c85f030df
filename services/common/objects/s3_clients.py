"""The clients of the S3 server that `s3://BUCKET?endpoint=URL&region=NAME` names, Amazon's without an endpoint.

Path-style addresses, signature version 4, no checksum headers unless the server asks: older and smaller servers
understand these, too.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import BotoCoreError
from botocore.handlers import add_expect_header
from pydantic import SecretStr

from services.common.errors import StorageDenied
from services.common.faults.s3 import SETTINGS, s3_client_fault
from services.common.network.addresses import s3_endpoint

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client  # of the development dependencies

CHUNK_SECONDS: Final = 10.0
CONNECTIONS: Final = 100  # more than a gateway's downloads: no other call waits for one of these to end


@asynccontextmanager
async def open_s3_clients(
    url: str, access_key: SecretStr | None, secret_key: SecretStr | None, public_endpoint: str | None
) -> AsyncIterator[tuple["S3Client", "S3Client"]]:
    """Yield the client for the server, and the one that signs: for `public_endpoint`, or the same one without it.

    Without keys botocore looks for them where it always does. Raise StorageDenied for settings that cannot be used.
    """
    session = get_session()
    # It makes a put wait for "100 Continue" with no timeout armed, so without end when the server is silent.
    session.unregister("before-call.s3", add_expect_header)  # type: ignore[arg-type]  # stubs know one shape only
    region = parse_qs(urlsplit(url).query).get("region", ["us-east-1"])[0]
    common: dict[str, Any] = {
        "region_name": region,
        "aws_access_key_id": access_key and access_key.get_secret_value(),
        "aws_secret_access_key": secret_key and secret_key.get_secret_value(),
    }
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(_client(session, s3_endpoint(url), common))
            presigner = client
            if public_endpoint:
                presigner = await stack.enter_async_context(_client(session, public_endpoint, common))
        except BotoCoreError as exc:  # it needs no server to find these settings wrong
            fault = s3_client_fault(exc)
            raise StorageDenied(exc, fault.cure if fault else SETTINGS) from exc
        yield client, presigner


def _client(session: AioSession, endpoint: str | None, common: dict[str, Any]) -> Any:
    config = AioConfig(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        connect_timeout=1,
        read_timeout=CHUNK_SECONDS,
        retries={"total_max_attempts": 2, "mode": "standard"},
        max_pool_connections=CONNECTIONS,
        # Servers older than these headers refuse what carries them.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return session.create_client("s3", endpoint_url=endpoint, config=config, **common)
