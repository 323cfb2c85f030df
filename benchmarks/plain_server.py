"""`python -m benchmarks.plain_server hypercorn|uvicorn`: serves a constant answer with the options of our gateway."""

import asyncio
import os
import sys
from typing import Any, cast

import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from benchmarks.uvicorn_gateway import OPTIONS
from services.api.server import serve
from services.common.settings import Settings

# Headers and body are as long as those of a queued job, since both cost a server time.
BODY = b'{"about":"as long as a job that waits"}'.ljust(800)
HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(BODY)),
    *((b"x-header-%d" % number, b"no-store, same-origin, camera=()") for number in range(11)),
]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


def main() -> None:
    port = int(os.environ["STUDIO_PORT"])
    if sys.argv[1] == "uvicorn":
        uvicorn.run(app, host="127.0.0.1", port=port, **cast("dict[str, Any]", OPTIONS))
    else:
        uvloop.run(serve(cast("Any", app), Settings(host="127.0.0.1", port=port), asyncio.Event()))


if __name__ == "__main__":
    main()
