"""Makes the artifacts that the repository keeps, all from the model as shipped: `python -m infra.demo.keep [FOLDER]`.

Invariant: what is kept was made by the same code that a demo runs if nothing is kept. It takes about ten minutes
on two cores; FOLDER, for work in progress, keeps what was made if it is interrupted.
"""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.demo.plan import Plan
from infra.demo.prepare import KEPT, make_kept, plan_of
from infra.settings.load import load, with_changes
from workers.models.model_files import demo_model_name

KINDS = ("sft", "genrm", "measures", "references", "base")
"""Policy and judge as adapters, what the judge's measurement found, the references that the Bradley-Terry model picked,
and the held-out scores of the shipped model. Whatever has the size of a model is made by each demo."""


def demo_plan() -> Plan:
    """The plan of a demo with the packaged recipe and the shipped model. Raises ModelFilesError without its wheel."""
    return plan_of(load("demo").settings, demo_model_name())


def keep(root: Path, kept: Path = KEPT) -> None:
    """Makes under `root` what is missing there, and replaces `kept`."""
    settings = with_changes(load("demo").settings, run={"prepared": root})
    make_kept(settings, _print_end)
    plan = demo_plan()
    for kind in KINDS:
        shutil.rmtree(kept / kind, ignore_errors=True)
        shutil.copytree(root / plan.name(kind), kept / kind)


def _print_end(what: str, done: int, total: int) -> None:
    if done == total:
        print(f"{what}: done", flush=True)


def main() -> None:
    if len(sys.argv) > 1:
        keep(Path(sys.argv[1]))
        return
    with TemporaryDirectory() as folder:
        keep(Path(folder))


if __name__ == "__main__":
    main()
