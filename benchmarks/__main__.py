"""`python -m benchmarks [NAME ...] [--json]`: measure, print one figure a line, exit 1 when a goal is missed.

What was measured goes into docs/benchmarks.md as well, in place of what stood there of the same benchmarks.
"""

import argparse
import sys
from importlib import import_module

from benchmarks.report import write_report
from services.common.logging import configure_logging

NAMES = (
    "chart",
    "saturation",
    "overhead",
    "looplag",
    "arrivals",
    "memory",
    "scale",
    "floor",
    "polls",
    "submit",
    "peers",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="just bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(NAMES)}; none: all")
    parser.add_argument("--json", action="store_true", help="one JSON object a line and nothing else on stdout")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    configure_logging("warning")  # to standard error: standard output is for figures
    met = True
    for name in arguments.names or NAMES:
        benchmark = import_module(f"benchmarks.{name}")
        figures = []
        for figure in benchmark.run():
            figure.print(as_json=arguments.json)
            figures.append(figure)
            met = met and figure.ok
        write_report(name, str(benchmark.__doc__), figures)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
