"""The settings as a page: `python -m infra.settings.page` writes README.md next to this file."""

from pathlib import Path

from infra.settings.reference import SectionReference, SettingReference, describe_settings
from infra.settings.spellings import SPELLINGS

PAGE = Path(__file__).parent / "README.md"

_HEAD = """\
# Settings: every option, with its default and the reason for it

Made from the sections in this folder by `python -m infra.settings.page`; `rewardstream settings [NAME]` prints the
same. Later sources win: default, KAFKA_HOME, recipe (TOML), environment
(`REWARDSTREAM_LEARNER__LEARNING_RATE=1e-5`), command line (`--set learner.learning_rate=1e-5`).
"""


def page() -> str:
    return "\n".join([_HEAD + _list_spellings(), *(_section_table(section) for section in describe_settings())])


def _list_spellings() -> str:
    words = ", ".join(f"`{other}` for `{own}`" for other, own in SPELLINGS.items())
    return f"These spellings are accepted too: {words}.\n"


def _section_table(section: SectionReference) -> str:
    head = ("option", "default", "allowed", "unit", "meaning")
    rows = [head, ("---",) * len(head), *(_table_row(setting) for setting in section.settings)]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return f"## {section.path}\n\n{section.meaning}\n\n{table}"


def _table_row(setting: SettingReference) -> tuple[str, ...]:
    texts = (f"`{setting.path}`", f"`{setting.default_text}`", setting.allowed, setting.unit, setting.meaning)
    return tuple(text.replace("|", "\\|") for text in texts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
