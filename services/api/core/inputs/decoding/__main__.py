"""`python -m services.api.core.inputs.decoding ORDER`: opens one file, and answers in a file beside it.

The process bounds itself before it reads a byte: memory, processor time, the length of files. It is the first that the
system ends when memory is short, and yields the processors to the gateway.
"""

import errno
import hashlib
import json
import os
import resource
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from services.api.core.inputs.decoding.form_part import is_form, take_part
from services.api.core.inputs.decoding.kinds import HEAD_BYTES, kind_of
from services.api.core.inputs.decoding.order import ANSWER, Facts, Order, Refusal

_NICE: Final = 5
_FIRST_TO_GO: Final = "1000"


def main() -> None:
    order = Order.decode(sys.argv[1])
    _restrict(order)
    body = Path(order.body)
    body.with_name(ANSWER).write_text(json.dumps(_answer(body, order)), encoding="utf-8")


def _restrict(order: Order) -> None:
    for limit, value in (
        (resource.RLIMIT_AS, order.memory_bytes),
        (resource.RLIMIT_CPU, order.work_seconds),
        (resource.RLIMIT_FSIZE, order.stored_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # macOS has no limit of memory
            resource.setrlimit(limit, (value, value))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")
    os.nice(_NICE)


def _answer(body: Path, order: Order) -> Mapping[str, Any]:
    try:
        facts = _taken(body, order)
        stored = body.with_name(facts.file)
        with stored.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except Refusal as exc:
        return {"refused": exc.reason, "detail": exc.detail}
    except MemoryError:
        return {
            "refused": "too-large",
            "detail": "decoding the file takes more memory than allowed: send a smaller one",
        }
    except OSError as exc:
        if exc.errno != errno.EFBIG:
            raise
        detail = f"the file would take more than {order.stored_bytes} bytes as we store it: send a smaller one"
        return {"refused": "too-large", "detail": detail}
    return {**facts.encode(), "bytes": stored.stat().st_size, "sha256": digest}


def _taken(body: Path, order: Order) -> Facts:
    source = take_part(body, order) if is_form(order.content_type) else body
    with source.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise Refusal("unreadable", "the file is empty")
    if source.stat().st_size > order.max_bytes:
        raise Refusal(
            "too-large", f"the file is longer than {order.max_bytes} bytes, the most taken: send a smaller one"
        )
    kind = kind_of(head)
    if kind.is_sound:
        from services.api.core.inputs.decoding.sound import take_sound

        return take_sound(source, kind, order)
    from services.api.core.inputs.decoding.pictures import take_picture

    return take_picture(source, kind, order)


if __name__ == "__main__":
    main()
