"""`studio dead`: the dead letters, for operators.

The commands ask the backends that the settings name: they work while no gateway runs, and take no key.
"""

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from services.cli.exits import run
from services.cli.options import AsJson
from services.cli.tables import dead_letter_table, print_table
from services.common.errors import BackendUnavailable, JobRemoved, StudioError
from services.common.ports import MAX_DEAD_LETTERS

if TYPE_CHECKING:
    from services.api.core.dead_letters import DeadLetters

T = TypeVar("T")
MessageId = Annotated[str, typer.Argument(help="The letter's message id, as `list` shows it.")]

dead_commands = typer.Typer(help="Dead letters: messages that no worker understood, or that took every worker down.")


@dead_commands.command("list")
def list_(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, max=MAX_DEAD_LETTERS, help="Most letters to list.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the oldest first.

    Exit codes: 0 done, 3 the backends cannot be reached.
    """
    from services.api.v1.dead_letters import DeadLetterView

    letters = _with_dead_letters(context, lambda dead: dead.list(limit))
    rows = [DeadLetterView.of(letter).model_dump(mode="json") for letter in letters]
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        print_table(dead_letter_table(rows))


@dead_commands.command()
def show(context: typer.Context, message_id: MessageId) -> None:
    """Print a dead letter with its body and its job, as JSON.

    Exit codes: 0 done, 2 there is no such letter, 3 the backends cannot be reached.
    """
    from services.api.v1.dead_letters import WholeDeadLetterView

    async def look(dead: "DeadLetters") -> WholeDeadLetterView:
        letter = await dead.get(message_id)
        try:
            return WholeDeadLetterView.of(letter, await dead.job(letter))
        except JobRemoved:
            return WholeDeadLetterView.of(letter, None)

    print(json.dumps(_with_dead_letters(context, look).model_dump(mode="json"), indent=2))


@dead_commands.command()
def replay(context: typer.Context, message_id: MessageId) -> None:
    """Try a dead letter again, and print the outcome.

    The letter goes back to its queue unchanged. If its job is over, a new job with the same parameters is made instead,
    and its id is printed.

    Exit codes: 0 done, 2 there is no such letter or no job can be made of it, 3 the backends cannot be reached.
    """
    job = _with_dead_letters(context, lambda dead: dead.replay(message_id))
    print("requeued" if job is None else f"resubmitted as {job.job_id}")


@dead_commands.command()
def drop(context: typer.Context, message_id: MessageId) -> None:
    """Delete a dead letter for good; its job stays unchanged.

    Exit codes: 0 done, 2 there is no such letter, 3 the backends cannot be reached.
    """
    _with_dead_letters(context, lambda dead: dead.drop(message_id))
    print("dropped")


def _with_dead_letters(context: typer.Context, use: "Callable[[DeadLetters], Awaitable[T]]") -> T:
    from services.api.core.dead_letters import DeadLetters
    from services.api.core.gateway import Gateway
    from services.common.backends import open_backends

    settings, catalogue = context.obj

    async def work() -> T:
        async with open_backends(settings) as backends:
            try:
                return await use(DeadLetters(Gateway(backends, catalogue, settings), backends.broker))
            except BackendUnavailable:
                raise
            except StudioError as exc:
                raise ValueError(str(exc)) from exc

    return run(work())
