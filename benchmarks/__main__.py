"""`python -m benchmarks [NAME ...] [--json]`: measure, print one figure a line, exit with 1 when a goal is missed.

The command also replaces the sections of these benchmarks in docs/benchmarks.md. Another model or device than the
shipped model on the CPU has its own sections.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.report import write_report
from benchmarks.subject import SHIPPED, Subject
from services.common.telemetry.logging import configure_logging

NAMES = (
    "chart",
    "saturation",
    "overhead",
    "looplag",
    "arrivals",
    "memory",
    "scale",
    "floor",
    "connections",
    "polls",
    "submit",
    "sweep",
    "intake",
    "peers",
    "changes",
)
OF_A_MODEL = ("chart", "saturation", "peers")  # these accept another model, another device and a number of rounds


def main() -> int:
    parser = argparse.ArgumentParser(prog="just bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(NAMES)}; all of them by default")
    parser.add_argument(
        "--models",
        type=Path,
        default=SHIPPED.models,
        metavar="TOML",
        help="measure the default model of this catalogue",
    )
    parser.add_argument("--device", default=SHIPPED.device, help="cuda, cuda:1 ... (default: cpu)")
    parser.add_argument("--rounds", type=int, metavar="N", help="number of repetitions of chart, saturation and peers")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line and nothing else to stdout")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    subject = Subject(arguments.models.absolute(), arguments.device)
    names = arguments.names or NAMES
    if (subject != SHIPPED or arguments.rounds) and not set(names) <= set(OF_A_MODEL):
        parser.error(f"--models, --device and --rounds are for {', '.join(OF_A_MODEL)}")
    configure_logging("warning")  # to standard error: standard output is for figures
    met = True
    for name in names:
        benchmark = import_module(f"benchmarks.{name}")
        of_a_model = (subject, arguments.rounds or benchmark.ROUNDS) if name in OF_A_MODEL else ()
        figures = []
        for figure in benchmark.run(*of_a_model):
            figure.print(as_json=arguments.json)
            figures.append(figure)
            met = met and figure.ok
        write_report(subject.section(name), str(benchmark.__doc__), figures)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
