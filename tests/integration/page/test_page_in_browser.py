"""The page in headless Chromium, as a person uses it. Skips without Chromium."""

import json
from pathlib import Path

import pytest
from support.chromium import Tab
from support.page_run import LONG, SCRIPT, add_step

from infra.page.serving.export import ExportFolderError, export
from infra.page.serving.routes import PageData

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def shown(tab: Tab, view: str) -> None:
    tab.wait_for(f"document.querySelector('main')?.dataset.view === '{view}' && document.querySelector('main h1')")


def focused(tab: Tab) -> str:
    return str(tab.run("document.activeElement.textContent"))


def test_keys_alone_lead_from_the_start_page_to_a_rollout_and_back(tab: Tab, page) -> None:
    tab.open(page.url)
    shown(tab, "overview")
    tab.press("Tab")
    assert focused(tab) == "Skip to the content"
    tab.press("Enter")
    assert tab.run("document.activeElement.id") == "main"
    for _ in range(3):  # what the run lacks comes before the steps
        tab.press("j")
        if focused(tab) == "step 2":
            break
    assert focused(tab) == "step 2"
    tab.press("j")
    tab.press("k")
    assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.press("Enter")
    shown(tab, "step")
    assert focused(tab) == "Step 2"
    tab.press("j")
    tab.press("Enter")
    shown(tab, "group")
    tab.press("j")
    tab.press("Enter")
    shown(tab, "rollout")
    assert tab.run("location.hash") == "#/rollout/2/0"
    tab.press("ArrowRight")
    tab.wait_for("document.title.startsWith('Rollout 2/1')")
    for view in ("group", "step", "overview"):
        tab.press("u")
        shown(tab, view)


def test_hostile_text_stays_text(tab: Tab, page) -> None:
    for route, view in (
        ("rollout/2/0", "rollout"),
        ("group/2", "group"),
        ("step/2", "step"),
        ("rollouts", "rollouts"),
        ("open", "open"),
        ("prompt/prompt-sums", "prompt"),
    ):
        tab.open(f"{page.url}#/{route}")
        shown(tab, view)
        assert "<script>" in tab.text()
        assert tab.run("document.querySelectorAll('main script, main img, main b b').length") == 0
        assert "broken" not in tab.run("document.title")
    tab.open(f"{page.url}#/rollout/2/0")
    shown(tab, "rollout")
    assert tab.run("document.querySelector('.said').textContent") == SCRIPT


def test_characters_that_hide_or_reorder_are_shown_and_long_texts_are_cut(tab: Tab, page) -> None:
    tab.open(f"{page.url}#/rollout/2/1")
    shown(tab, "rollout")
    said = tab.run("document.querySelector('.said').textContent")
    assert said == "safeU+202EgnihtemosU+202CU+200B\u00d72 end"
    tab.open(f"{page.url}#/rollout/2/2")
    tab.wait_for("document.querySelector('.more')")
    assert tab.run("document.querySelector('.said').textContent.length") == 4000
    tab.run("document.querySelector('.more').click()")
    assert tab.run("document.querySelector('.said').textContent.length") == len(LONG)


def test_every_view_has_landmarks_names_and_a_title(tab: Tab, page) -> None:
    nameless = """[...document.querySelectorAll('a, button, input, select, svg[role], [role=region], table')].filter(
        (one) => !(one.getAttribute('aria-label') || (one.closest('label') || one).textContent.trim())).length"""
    menu = (("selection", "selection"), ("monitors", "monitors"), ("compare", "compare"), ("dead-letters", "letters"))
    for route, view in (("", "overview"), ("step/2", "step"), ("group/2", "group"), ("rollouts", "rollouts"), *menu):
        tab.open(f"{page.url}#/{route}")
        shown(tab, view)
        assert tab.run("['header', 'main', 'nav', 'footer'].every((name) => document.querySelector(name))")
        assert tab.run("document.querySelectorAll('h1').length") == 1
        assert tab.run(nameless) == 0
        assert tab.run("document.title").endswith("Rewardstream")


def test_a_chart_is_read_with_the_arrows_and_as_a_table(tab: Tab, page) -> None:
    tab.open(page.url)
    shown(tab, "overview")
    tab.wait_for("document.querySelector('.chart svg')")
    tab.run("document.querySelector('.chart .canvas').focus()")
    tab.press("ArrowLeft")
    assert tab.text(".chart .readout") == "version 1"
    assert "0.25" in tab.text(".chart .legend")
    tab.run("document.querySelector('.chart summary').click()")
    tab.wait_for("document.querySelector('.chart table')")
    assert "sums" in tab.text(".chart table")
    tab.run("document.querySelector('.chart .canvas').focus()")
    tab.press("ArrowLeft")
    tab.press("Enter")
    shown(tab, "step")


@pytest.mark.parametrize(
    "route",
    [
        *("", "step/2", "group/2", "rollout/2/2", "rollouts", "open", "prompt/prompt-sums"),
        *("selection", "monitors", "compare", "dead-letters"),
    ],
)
def test_a_phone_scrolls_one_way_only(tab: Tab, page, route: str) -> None:
    tab.size(390, 844, phone=True)
    tab.open(f"{page.url}#/{route}")
    tab.wait_for("document.querySelector('main h1')")
    assert tab.run("document.documentElement.scrollWidth") <= 390


def test_dark_and_light_have_ink_that_stands_out(tab: Tab, page) -> None:
    for dark in (False, True):
        tab.size(1280, 900, dark=dark)
        tab.open(page.url)
        shown(tab, "overview")
        colours = tab.run(
            "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor].map((c) =>"
            " c.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0))"
        )
        assert (colours[0] > colours[1]) == dark
        assert abs(colours[0] - colours[1]) > 400


def test_news_appear_and_keep_what_was_opened_and_an_absence_is_said(tab: Tab, page, data: PageData) -> None:
    tab.open(page.url)
    shown(tab, "overview")
    tab.run("document.querySelector('.chart summary').click()")
    add_step(page.folder, 3)
    tab.run("document.dispatchEvent(new Event('visibilitychange'))")
    tab.wait_for("document.querySelector('main').innerText.includes('step 3')")
    assert tab.run("document.querySelector('.chart details').open")


def test_a_filter_is_an_address_and_survives_a_reload(tab: Tab, page) -> None:
    tab.open(f"{page.url}#/rollouts")
    shown(tab, "rollouts")
    tab.run("document.querySelector('[name=score]').value = 'one'")
    tab.run("document.querySelector('[name=score]').dispatchEvent(new Event('change', {bubbles: true}))")
    tab.wait_for("location.hash.includes('score=one') && document.querySelectorAll('tbody tr').length === 5")
    tab.call("Page.reload")
    tab.wait_for("document.querySelectorAll('tbody tr').length === 5")
    assert tab.run("document.querySelector('[name=score]').value") == "one"


def test_an_export_opens_from_a_file_and_holds_the_same(tab: Tab, page, data: PageData, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    assert export(data, out) == 6
    with pytest.raises(ExportFolderError, match="name a folder that does not"):
        export(data, out)
    for path in ("trend", "steps/2", "groups/2", "rollouts/2/0", "prompts/prompt-sums"):
        kept = json.loads((out / "api" / f"{path}.json").read_bytes())
        tab.open("about:blank")
        tab.open(f"{page.url}api/{path}.json")
        tab.wait_for("document.body && document.body.innerText.startsWith('{')")
        assert json.loads(tab.text("body")) == kept
    file = (out / "index.html").as_uri()
    for route, view in (("", "overview"), ("step/2", "step"), ("group/2", "group"), ("prompt/prompt-sums", "prompt")):
        tab.open("about:blank")
        tab.open(f"{page.url}#/{route}")
        shown(tab, view)
        live = tab.text()
        tab.open("about:blank")
        tab.open(f"{file}#/{route}")
        shown(tab, view)
        assert tab.text() == live
    for query in ("score=one&sort=longest", "domain=words&outcome=trained", "text=onerror&version=0", "sort=worst"):
        rows = "[...document.querySelectorAll('tbody tr td:first-child')].map((cell) => cell.textContent)"
        found = []
        for base in (page.url, file):
            tab.open("about:blank")
            tab.open(f"{base}#/rollouts?{query}")
            shown(tab, "rollouts")
            found.append(tab.run(rows))
        assert found[0] == found[1] != []
