"""`python -m tests.faults [SCENARIO ...] [--json] [--jobs N]`: break things while jobs run, and count the losses.

The command also writes the results into the table of docs/reliability.md. It exits with 1 when a scenario fails.
`--sabotage` breaks a promise of the system itself and must exit with 1 as well: that proves that the rig notices.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from services.common.telemetry.logging import configure_logging
from tests.faults.backends import Backend, ScenarioBackends, cluster, proxied_stack
from tests.faults.reliability_table import write_table
from tests.faults.result import Result
from tests.faults.runner import run_scenario
from tests.faults.sabotage import SABOTAGES
from tests.faults.scenario import ALL
from tests.faults.scenarios import scenarios
from tests.support.servers.stack import start_stack


def main() -> int:
    arguments = _arguments()
    configure_logging("error")  # to standard error: standard output is for results
    sabotage = arguments.sabotage
    names = arguments.names or ([SABOTAGES[sabotage].scenario] if sabotage else [each.name for each in scenarios()])
    program = ("tests.faults.sabotage", sabotage) if sabotage else ("services",)
    results = []
    for result in _results(names, arguments.backends or ALL, arguments.jobs, program):
        print(result.line(as_json=arguments.json), flush=True)
        results.append(result)
    if not sabotage:
        write_table(results)
    return 0 if all(result.ok for result in results) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="just chaos", description=__doc__)
    known = [scenario.name for scenario in scenarios()]
    parser.add_argument(
        "names", nargs="*", metavar="SCENARIO", help=f"any of {', '.join(known)}; all of them by default"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line and nothing else to stdout")
    parser.add_argument("--jobs", type=int, default=50, help="number of jobs in every scenario (%(default)s)")
    parser.add_argument("--backends", action="append", choices=ALL, help="only these; may be repeated")
    parser.add_argument(
        "--sabotage", choices=SABOTAGES, help="break this promise and run the scenario that must notice"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(known):
        parser.error(f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return arguments


def _results(names: Sequence[str], backends: Sequence[str], jobs: int, program: Sequence[str]) -> Iterator[Result]:
    opened: dict[str, ScenarioBackends] = {"embedded": ScenarioBackends()}
    with ExitStack() as running:
        for scenario in scenarios():
            for backend in scenario.backends:
                if scenario.name not in names or backend not in backends:
                    continue
                if backend not in opened:
                    folder = running.enter_context(tempfile.TemporaryDirectory(prefix="studio-servers-"))
                    opened[backend] = running.enter_context(_servers(backend, Path(folder)))
                yield run_scenario(scenario, opened[backend], jobs, program)


@contextmanager
def _servers(backend: Backend, folder: Path) -> Iterator[ScenarioBackends]:
    if backend == "cluster":
        with cluster(folder) as backends:
            yield backends
    else:
        with start_stack(folder) as stack, proxied_stack(stack) as backends:
            yield backends


if __name__ == "__main__":
    sys.exit(main())
