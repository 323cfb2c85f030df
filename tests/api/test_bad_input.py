"""Hostile and broken input, over raw sockets against a real server."""

import json

import pytest

from tests.api.bad_rows import LIMIT, ROWS, Row
from tests.api.live import LiveGateway
from tests.api.wire import chunked, get


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_bad_input(live: LiveGateway, row: Row) -> None:
    """Every bad input has its status and problem, tells nothing of our insides, makes no job and breaks nothing."""
    before = len(live.live_jobs())

    [answer] = live.exchange(*row.request)

    assert answer.status == row.status, answer.body
    assert len(live.live_jobs()) - before == (row.status == 202)
    assert b"Traceback" not in answer.body
    assert b".py" not in answer.body
    if row.code is None:
        assert answer.body == b""
        assert answer.headers["Connection"] == "close"
    else:
        assert answer.headers["X-Request-Id"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in answer.headers
    if row.code:
        problem = json.loads(answer.body)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (problem["code"], problem["type"]) == (row.code, f"/problems/{row.code}")
        assert problem["status"] == row.status
        assert problem["request_id"] == answer.headers["X-Request-Id"]
        assert len(answer.body) < 3000
    if row.code == "validation-error":
        assert all({"pointer", "detail"} <= error.keys() for error in json.loads(answer.body)["errors"])
    if row.allow is not None:
        assert answer.headers["Allow"] == row.allow
    assert live.exchange(*get("/livez"))[0].status == 200


def test_pipelined_requests_are_all_answered(live: LiveGateway) -> None:
    """A hundred requests sent at once on one connection get a hundred answers (row 55)."""
    answers = live.exchange(*(get("/livez") * 100), answers=100)

    assert {answer.status for answer in answers} == {200}


def test_unread_body_does_not_cost_the_connection(live: LiveGateway) -> None:
    """A body that nobody reads is answered, read to its end, and the connection then serves the next request."""
    flood = chunked(b" " * 40 * LIMIT, target="/nowhere")

    first, second = live.exchange(*flood, *get("/livez"), answers=2)

    assert (first.status, second.status) == (404, 200)
