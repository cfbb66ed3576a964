"""Memory and CPU of an audit by the number of groups: python tests/bench/bench_audit.py [GROUPS].

A sound history of GROUPS groups with two verdicts each, and one of a quarter of them, each in a process of its own:
from a record's bytes to the report. `audit.NUMBER.peak_rss` is the whole process' peak, whose bound is 300 MB for a run
of any length; `audit.NUMBER.cpu_per_group` has the CPU time, which includes the making of the records.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from measures import measure, note

GROUPS = 100_000
SAMPLES = 2


def main(arguments: list[str]) -> int:
    groups = int(arguments[0]) if arguments else GROUPS
    peaks = {}
    for number in (groups // 4, groups):
        note(f"{number} groups")
        command = [sys.executable, __file__, "--one", str(number)]
        done = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        peaks[number] = done["peak"]
        against = groups // 4
        name = f"audit.{number}.peak_rss"
        ratio = done["peak"] / peaks[against]
        measure(name, done["peak"], "MB", against=f"audit.{against}.peak_rss", ratio=ratio, imports_mb=done["imports"])
        parts = {"read_us": 1e6 * done["read"] / number, "judge_us": 1e6 * done["judge"] / number}
        each = 1e6 * (done["read"] + done["judge"]) / number
        measure(f"audit.{number}.cpu_per_group", each, "us", verdicts_per_group=SAMPLES, **parts)
    return 0


def audit_one(groups: int) -> None:
    """Prints the peak of memory in MB, that of the imports, and the CPU seconds of reading and of judging."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from support.audit_history import spool_long_run

    from trainer.audit.audit import report_on
    from trainer.audit.evidence import KINDS
    from trainer.audit.spool import EvidenceSpool

    imports = peak_mb()
    with EvidenceSpool(KINDS) as spool:
        began = time.process_time()
        evidence = spool_long_run(groups, spool)
        read = time.process_time()
        report = report_on(evidence)
        judged = time.process_time()
    if report.violations or report.counts["verdicts"] != SAMPLES * groups:
        raise SystemExit(f"the audit of a sound history is wrong: {report}")
    print(json.dumps({"peak": peak_mb(), "imports": imports, "read": read - began, "judge": judged - read}))


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        audit_one(int(sys.argv[2]))
    else:
        sys.exit(main(sys.argv[1:]))
