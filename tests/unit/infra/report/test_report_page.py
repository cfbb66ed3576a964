"""The page: whole in itself, honest about what it shows, and safe with what a model writes."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.report_rows import START, group, response

from infra.db.calibration import Calibration
from infra.report.build import write_page
from infra.report.collect import EvaluatedVersion, QuarantinedPrompt, RunRecord, SelectionKind, SelectionSummary
from infra.report.render_page import number
from infra.report.summary import RunFacts, summarise

NASTY = '<script>alert("x")</script> & {{ 7 * 7 }}'
ESCAPED = "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; {{ 7 * 7 }}"


@pytest.fixture
def record() -> RunRecord:
    groups = tuple(
        group(seq, domain="writing", staleness=seq % 2, version=seq + 1, closed_at=START + timedelta(seconds=seq + 2))
        for seq in range(4)
    )
    responses = tuple(
        response(f"p{number}", label, score, "writing", why=NASTY, text=f"{NASTY} the sea is calm {number}")
        for number in range(5)
        for label, score in (("before", 0.0), ("after", number / 4))
    )
    selections = SelectionSummary(
        rounds=2,
        kinds=(
            SelectionKind("writing", "new", False, "quarantined", 1, 0.25),
            SelectionKind("writing", "new", False, "rule", 3, 0.75),
            SelectionKind("writing", "new", True, "rule", 2, 0.125),
            SelectionKind("writing", "new", True, "unseen", 1, None),
        ),
        quarantined=(QuarantinedPrompt(NASTY, "writing", "suspicious: 4 of 4 responses agree"),),
    )
    return RunRecord("run", "finished", START, START, START, groups, responses, selections, {"p1": NASTY})


def page(record: RunRecord, folder: Path) -> str:
    facts = RunFacts(wall_seconds=1.0, prepare_seconds=0.0, broker="embedded", seed=0, audit={"violations": []})
    history = [
        {"seconds": 20.0 * step, "policy_version": step, "entropy": 1.0, "clip_fraction": 0.0, "loss": {"policy": 0.1},
         "gradient_norm": {"policy": 1.0}, "generated_tokens": 100.0 * step, "target_tokens": 10.0 * step}
        for step in range(4)
    ]  # fmt: skip
    summary = summarise(record, history, facts)
    return write_page(folder, summary, record, history, {"settings": "settings.json"}).read_text()


def test_the_routes_are_compared_where_both_scored(record: RunRecord, tmp_path: Path) -> None:
    assert "GenRM compared with RTV" not in page(record, tmp_path)
    found = Calibration("writing", "exact@1", "genrm-hf@abc", 40, 30, 5, 3, -0.25)
    shown = page(replace(record, calibration=(found,)), tmp_path)
    section = shown[shown.index("<h2>GenRM compared with RTV") :]
    section = section[: section.index("</section>")]
    for cell in ("exact@1", "genrm-hf@abc", "40", "0.8", "0.5", "0.1", "-0.25"):
        assert cell in section


def test_evaluated_versions_are_shown_with_the_run_that_evaluated_them(record: RunRecord, tmp_path: Path) -> None:
    assert "rewardstream evaluate" not in page(record, tmp_path)
    found = EvaluatedVersion("20260101-eval", 1, 12, "overall", 40, 0.5, 0.4, 0.625)
    shown = page(replace(record, evaluated_versions=(found,)), tmp_path)
    assert "rewardstream evaluate" in shown
    for cell in ("20260101-eval", "0.500 [0.400, 0.625]"):
        assert cell in shown


def test_everything_is_inside_the_page(record: RunRecord, tmp_path: Path) -> None:
    text = page(record, tmp_path)
    assert len(re.findall(r'src="data:image/png;base64,', text)) == 5
    assert not re.search(r'(src|href)="(?!data:|#part-)', text)
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {
        "heldout",
        "reward",
        "learner",
        "outcomes",
        "throughput",
    }


def test_the_contents_lead_to_every_section_and_colours_follow_the_reader(record: RunRecord, tmp_path: Path) -> None:
    text = page(record, tmp_path)
    linked = re.findall(r'<a href="#(part-\d+)">([^<]+)</a>', text)
    sections = re.findall(r'<section id="(part-\d+)">\s*<h2>([^<]+)</h2>', text)
    assert linked == sections
    assert len(sections) > 3
    style = text.partition("<style>")[2].partition("</style>")[0]
    dark = style.partition("(prefers-color-scheme: dark)")[2].partition("\n")[0]
    used = set(re.findall(r"var\((--\w+)\)", style))
    assert used == set(re.findall(r"(--\w+):", dark)), "a colour that the dark page does not have"


def test_what_a_model_writes_is_text(record: RunRecord, tmp_path: Path) -> None:
    text = page(record, tmp_path)
    assert "<script" not in text
    assert f"<pre>{ESCAPED} the sea is calm 4</pre>" in text
    assert f"<td>{ESCAPED}</td>" in text


def test_what_a_user_names_is_text(record: RunRecord, tmp_path: Path) -> None:
    named = [
        replace(row, domain=NASTY, scorer=NASTY, why=NASTY, status=NASTY, score=(row.score or 0) / 2)
        for row in record.responses
    ]
    groups = [replace(row, domain=NASTY.replace("$", ""), reason=NASTY) for row in record.groups]
    selections = SelectionSummary(
        1, (SelectionKind(NASTY, NASTY, False, "rule", 1, None),), (QuarantinedPrompt(NASTY, NASTY, NASTY),)
    )
    found = Calibration(NASTY, NASTY, NASTY, 40, 30, 5, 3, -0.25)
    changed = replace(
        record,
        run_id=NASTY,
        groups=tuple(groups),
        responses=tuple(named),
        selections=selections,
        calibration=(found,),
    )
    text = page(changed, tmp_path)
    assert "<script" not in text
    assert f"<h1>Run {ESCAPED}</h1>" in text


def test_samples_are_the_largest_gain_the_median_and_the_largest_loss(record: RunRecord, tmp_path: Path) -> None:
    shown = re.findall(r"after \[(\d\.\d\d)\]", page(record, tmp_path))
    assert shown == ["1.00", "0.50", "0.00"]


def test_prompts_that_were_set_aside_are_named(record: RunRecord, tmp_path: Path) -> None:
    assert "suspicious: 4 of 4 responses agree" in page(record, tmp_path)


def test_the_selection_is_counted_by_kind_and_by_reason(record: RunRecord, tmp_path: Path) -> None:
    shown = re.sub(r"\s*\n\s*", "", page(record, tmp_path))
    section = shown[shown.index("<h2>Selection of prompts") :]
    rows = re.findall(r"<tr>(.*?)</tr>", section[: section.index("</section>")])
    cells = [[re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)] for row in rows]
    assert ["writing", "new", "7", "3", "0.125", "0.458"] in cells
    assert ["out: by its rule", "3"] in cells
    assert ["in: not measured", "1"] in cells


def test_collapse_onto_a_template_is_an_alarm(record: RunRecord, tmp_path: Path) -> None:
    varied = [
        response(f"q{number}", "before", 0.0, "writing", text=f"word{number} is like no other") for number in range(30)
    ]
    same = [response(f"q{number}", "after", 1.0, "writing", text="The sea is calm and wide") for number in range(30)]
    assert "No alarm." in page(replace(record, responses=tuple(varied)), tmp_path)
    assert "Alarm in writing" in page(replace(record, responses=(*varied, *same)), tmp_path)


def test_a_run_that_was_cut_short_has_a_page(record: RunRecord, tmp_path: Path) -> None:
    empty = replace(record, groups=(), responses=(), selections=SelectionSummary())
    facts = RunFacts(wall_seconds=1.0, prepare_seconds=0.0, broker="embedded", seed=0)
    path = write_page(tmp_path, summarise(empty, [], facts), empty, [], {})
    assert "not audited" in path.read_text()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "\N{EN DASH}"), (0.5, "0.5"), (1234, "1,234"), (0.12345, "0.123"), ("a", "a"), (True, "yes")],
)
def test_numbers(value: object, shown: str) -> None:
    assert number(value) == shown
