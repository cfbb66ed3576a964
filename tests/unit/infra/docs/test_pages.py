"""The pages name only commands, options, settings, recipes and alerts that exist."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from infra.cli.main import app
from infra.settings.load import load
from infra.settings.reference import describe_settings
from infra.settings.sources import Option
from infra.settings.spellings import SPELLINGS
from infra.settings.tree import Settings

ROOT = Path(__file__).resolve().parents[4]
PACKAGES = ("streams", "workers", "trainer", "infra")
MADE = ("infra/settings/README.md", "infra/scalars/README.md")
"""Pages that are written from the code."""
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *(page for package in PACKAGES for page in (ROOT / package).rglob("*.md"))]
    if page.name != "CHANGELOG.md" and str(page.relative_to(ROOT)) not in MADE
)
GUIDES = ROOT / "infra" / "docs"
_LINE = re.compile(r"^(?:    )?(?:[A-Z_]+=\S+ )*rewardstream (.*)$", re.MULTILINE)
_INLINE = re.compile(r"`(?:[A-Z_]+=\S+ )*rewardstream ([^`]+)`")
_DOTTED = re.compile(r"`([a-z_]+(?:\.[a-z_0-9]+)+)(?: ?=[^`]*)?`")
_TOML = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_OPTIONS = {setting.path for section in describe_settings() for setting in section.settings}
_BENCHES = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "tests/bench").glob("*.py")))
_SECTIONS = {path.rpartition(".")[0] for path in _OPTIONS} | {path.partition(".")[0] for path in _OPTIONS}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands(text: str) -> Iterator[str]:
    """Each command line of a page; `runs list | prune` is two."""
    for line in [*_LINE.findall(text), *(" ".join(found.split()) for found in _INLINE.findall(text))]:
        first, *others = (part.strip() for part in line.partition("  #")[0].split(" | "))
        yield first
        yield from (f"{first.split()[0]} {other}" for other in others)


def check_command(line: str) -> None:
    """Raises ValueError if it names a command, an option or a setting that there is not."""
    words = [word for word in shlex.split(re.sub(r"[\[\]]", "", line), comments=True) if word != "..."]
    command = typer.main.get_command(app)
    context = typer.Context(command)
    try:
        while hasattr(command, "resolve_command") and words:
            name, command, words = command.resolve_command(context, words)
            context = typer.Context(command, parent=context, info_name=name)
        values, rest, _ = command.make_parser(context).parse_args(words)
    except Exception as error:  # the usage errors of typer's own click, which it does not export
        raise ValueError(str(error)) from error
    if rest:
        raise ValueError(f"too many words: {rest}")
    for given in values.get("assignments") or []:
        path = given.partition("=")[0]
        if not is_setting(path) and path not in SPELLINGS:
            raise ValueError(f"no setting {path}")


def is_measure(path: str) -> bool:
    """Whether it is a line of `make bench`, some of which begin like a section."""
    return not is_setting(path) and ".".join(path.split(".")[:2]) in _BENCHES


def is_setting(path: str) -> bool:
    """Whether it is an option, a section, or an entry of an option that is a table."""
    return path in _OPTIONS | _SECTIONS or path.rpartition(".")[0] in _OPTIONS


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_exist(page):
    wrong = []
    for line in commands(page.read_text(encoding="utf-8")):
        try:
            check_command(line)
        except ValueError as error:
            wrong.append(f"{line}: {error}")
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_exist(page):
    named = _DOTTED.findall(page.read_text(encoding="utf-8"))
    ours = [path for path in named if path.partition(".")[0] in Settings.model_fields and not is_measure(path)]
    files = re.compile(r"\.(py|md|toml|jsonl?|yml)$")
    assert [path for path in ours if not is_setting(path) and not files.search(path)] == []


@pytest.mark.parametrize("page", sorted(GUIDES.glob("*.md")), ids=name_of)
def test_settings_in_toml_are_valid(page):
    def flatten(table, prefix=""):
        for key, value in table.items():
            path = f"{prefix}{key}"
            if isinstance(value, dict) and path not in _OPTIONS:
                yield from flatten(value, f"{path}.")
            else:
                yield Option(path, value, "page")

    for block in _TOML.findall(page.read_text(encoding="utf-8")):
        load("demo", list(flatten(tomllib.loads(block))))


def test_alerts_and_metrics_that_guides_name_exist():
    rules = (ROOT / "infra/prometheus/alerts.yml").read_text(encoding="utf-8")
    alerts = set(re.findall(r"alert: (\w+)", rules))
    for page in sorted(GUIDES.glob("*.md")):
        named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`", page.read_text(encoding="utf-8")))
        assert named <= alerts, page.name


def test_the_index_leads_to_every_guide():
    index = (GUIDES / "README.md").read_text(encoding="utf-8")
    guides = [page.name for page in GUIDES.glob("*.md") if page.name != "README.md"]
    assert [name for name in guides if f"({name})" not in index] == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("tran", "No such command"),
        ("runs lst", "No such command"),
        ("train --promts x", "No such option"),
        ("train --set learner.leraning_rate=1", "no setting"),
        ("version now", "too many words"),
    ],
)
def test_what_does_not_exist_is_refused(line, reason):
    with pytest.raises(ValueError, match=reason):
        check_command(line)
