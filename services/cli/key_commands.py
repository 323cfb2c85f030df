"""`studio keys`: API keys for a gateway."""

import json
from typing import Annotated

import typer

from services.api.auth.keys import ApiKey, Role
from services.cli.exits import USAGE, leave
from services.cli.options import AsJson

key_commands = typer.Typer(help="API keys for people and programs.")


@key_commands.command()
def new(
    *,
    name: Annotated[str, typer.Option(help="Owner of the key; keys of one name share their jobs.")] = "studio",
    role: Annotated[Role, typer.Option(help="An operator sees the jobs of all owners.")] = Role.USER,
    as_json: AsJson = False,
) -> None:
    """Make an API key and print it, once, with the line to keep.

    Put the line into STUDIO_KEYS, or into the file that STUDIO_KEYS_FILE names, of every gateway: it holds a hash of
    the key. Give the key itself to its owner and keep no copy. To revoke the key, remove the line and start the
    gateways again.

    Exit codes: 0 done, 2 the name is not allowed.
    """
    try:
        key, text = ApiKey.new(name, role)
    except ValueError:
        leave(
            USAGE,
            f"{name[:80]!r} is no name for a key: give letters, digits, dots, dashes and underscores, 64 at most, "
            "beginning with a letter or digit",
        )
    if as_json:
        print(json.dumps({"key": text, "line": key.line}, indent=2))
    else:
        print(f"key   {text}\nline  {key.line}")
