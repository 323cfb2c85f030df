"""What was last answered of each job. Most polls find nothing changed, and then there is nothing to write anew."""

from collections import OrderedDict
from typing import Final

from services.api.core.queue_positions import Place
from services.api.http.job_views import JobView
from services.common.schemas import StatusRecord

MOST: Final = 1_000  # jobs, a kilobyte or two each


class JobViewCache:
    def __init__(self, public_url: str | None) -> None:
        self._public_url = public_url
        self._last: OrderedDict[str, tuple[StatusRecord, Place | None, bytes]] = OrderedDict()

    def of(self, record: StatusRecord, place: Place | None) -> bytes:
        """The JSON of `JobView`."""
        known, where, content = self._last.get(record.job_id, (None, None, b""))
        if known != record or where != place:
            content = JobView.of(record, self._public_url, place).model_dump_json().encode()
            self._last[record.job_id] = record, place, content
            if len(self._last) > MOST:
                self._last.popitem(last=False)
        return content
