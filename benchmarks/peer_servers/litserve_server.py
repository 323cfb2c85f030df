"""LitServe: batching in the inference process, which is restarted when it dies.

One API server process and one inference process run, as by default. `restart_workers` is off by default.
"""

import os
from typing import Any

import litserve
from fastapi import Response

from benchmarks.peer_servers.pictures import BATCH_WINDOW_SECONDS, DEVICE, MAX_BATCH, Pictures


class StudioTiny(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        self.pictures = Pictures()

    def decode_request(self, request: dict[str, Any]) -> dict[str, Any]:
        return request

    def batch(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return inputs

    def predict(self, x: list[dict[str, Any]]) -> list[bytes]:
        return self.pictures.draw([each["prompt"] for each in x], [each["seed"] for each in x])

    def unbatch(self, output: list[bytes]) -> list[bytes]:
        return output

    def encode_response(self, output: bytes) -> Response:
        return Response(output, media_type="image/png")


if __name__ == "__main__":
    api = StudioTiny(max_batch_size=MAX_BATCH, batch_timeout=BATCH_WINDOW_SECONDS, api_path="/generate")
    server = litserve.LitServer(api, accelerator=DEVICE, devices=1, timeout=120, restart_workers=True)
    server.run(host="127.0.0.1", port=int(os.environ["PEER_PORT"]), log_level="warning", generate_client_file=False)
