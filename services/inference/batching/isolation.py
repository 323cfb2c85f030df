"""The rule for redelivered jobs: they run when the worker holds nothing else."""

from collections.abc import Iterable

from services.inference.batching.request import BatchRequest, RequestState


class Isolation:
    """Keeps the requests that the worker holds, and decides which job it may call beside them.

    When a worker goes down, each job it holds is charged an attempt, and it cannot be told which of them took it down.
    So a redelivered job, which may have taken a worker down, is called only when the worker holds no other job. Until
    the redelivered job is done and its call has ended, no other job is called. A job is held from its call until its
    outputs are stored, and at least until the call of the model that it is part of has ended.
    """

    def __init__(self) -> None:
        self._held: set[BatchRequest] = set()
        self._in_call: frozenset[BatchRequest] = frozenset()

    def hold(self, request: BatchRequest) -> None:
        self._held.add(request)

    def release(self, request: BatchRequest) -> None:
        self._held.discard(request)

    def call_began(self, requests: Iterable[BatchRequest]) -> None:
        """Note the jobs of a call: a canceled one leaves before the model thread is done with it."""
        self._in_call = frozenset(requests)

    def call_ended(self) -> None:
        self._in_call = frozenset()

    def holds(self, request: BatchRequest) -> bool:
        """True if the job has been called and its outputs are not stored yet."""
        return request in self._held

    def may_call(self, request: BatchRequest) -> bool:
        """True if this job may be called beside those that are held."""
        others = (self._held | self._in_call) - {request}
        if request.redelivered:
            return not others
        return not any(
            other.redelivered and (other in self._in_call or other.state is not RequestState.DONE) for other in others
        )
