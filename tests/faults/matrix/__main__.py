"""`make faults`: the fault matrix. It says what it does on stderr, and writes a table and a JSON line per injection.

An interrupted matrix goes on where it stopped; `--fresh` begins anew. `--minutes` bounds the time, and takes each kind
once first. Needs KAFKA_HOME; disks are filled only where file systems can be mounted.
"""

import argparse
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

from faults.matrix.driver import Matrix, plan, say
from faults.matrix.kinds.registry import KINDS
from faults.matrix.results import Results, table
from faults.matrix.soak import Soak

_ROOT = Path(__file__).parents[3]
_PAGE = _ROOT / "infra" / "docs" / "faults.md"
_EACH = 12
"""Injections per kind: more than 500 in all."""


def main() -> int:
    arguments = _parse()
    if "KAFKA_HOME" not in os.environ:
        say("KAFKA_HOME is not set: the matrix needs Apache Kafka")
        return 2
    names = arguments.kinds.split(",") if arguments.kinds else list(KINDS)
    if unknown := set(names) - KINDS.keys():
        say(f"no kind {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
        return 2
    if arguments.soak:
        return _soak(arguments.soak, arguments.out)
    lines = arguments.out.with_suffix(".jsonl")
    if arguments.fresh:
        lines.unlink(missing_ok=True)
    results = Results(lines)
    with tempfile.TemporaryDirectory(prefix="rewardstream-faults-") as folder:
        matrix = Matrix(
            results=results,
            wanted=plan(results, names, 1 if arguments.minutes and not arguments.each else arguments.each or _EACH),
            kinds=KINDS,
            seed=arguments.seed,
            overlap=arguments.overlap,
            run_injections=arguments.run_injections,
            until=time.monotonic() + (arguments.minutes or 1e9) * 60,
            keep=arguments.keep,
            folder=Path(folder),
            lasting=arguments.lasting,
        )
        say(f"seed {matrix.seed}: {matrix.wanted.total()} injections of {len(matrix.wanted)} kinds are to be made")
        for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts what runs in its background with one ignored
            signal.signal(number, signal.default_int_handler)
        try:
            matrix.go()
        except KeyboardInterrupt:
            say("interrupted: the same command goes on")
        finally:
            title = "The fault matrix" if arguments.out == _PAGE else arguments.out.stem.capitalize()
            what = {name: kind.what for name, kind in KINDS.items()}
            page = table(results, what, title, _command())
            arguments.out.write_text(page, encoding="utf-8")
    print(page)
    return 0 if results.sound else 1


def _soak(minutes: float, out: Path) -> int:
    """Writes its page beside the matrix's."""
    with tempfile.TemporaryDirectory(prefix="rewardstream-faults-") as folder:
        soak = Soak(minutes, Path(folder))
        soak.go()
    page = soak.table()
    out.with_name("soak.md").write_text(page, encoding="utf-8")
    print(page)
    return 0 if soak.sound else 1


def _command() -> str:
    """The command as it was given, without where its page goes."""
    given = re.sub(r"--out \S+ ?", "", " ".join(sys.argv[1:])).strip()
    return f"make faults ARGS='{given}'" if given else "make faults"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=0.0, help="end after this time; every kind once")
    parser.add_argument("--kinds", default="", help="names of kinds, separated by commas")
    parser.add_argument("--each", type=int, default=0, help=f"injections per kind ({_EACH})")
    parser.add_argument("--soak", type=float, default=0.0, help="no faults: this many minutes with a slow learner")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overlap", type=int, default=10, help="faults that may be open together")
    parser.add_argument("--lasting", type=int, default=0, help="seconds of each fault that lasts; otherwise drawn")
    parser.add_argument("--run-injections", type=int, default=100, help="injections per run")
    parser.add_argument("--fresh", action="store_true", help="begin anew")
    parser.add_argument("--out", type=Path, default=_PAGE, help="the page; JSON lines go beside it")
    parser.add_argument("--keep", type=Path, default=None, help="folder that keeps the runs with their logs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
