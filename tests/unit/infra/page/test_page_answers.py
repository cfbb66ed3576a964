"""What the server answers, without a socket; `PageData` stands in by what it reads."""

import pytest

from infra.advice.story import UnknownNameError
from infra.page.serving.answers import POLICY, answer, asset, is_own_host, static
from infra.page.serving.routes import table_query

EVERYWHERE = "0.0.0.0"  # noqa: S104 (the name of a setting; nothing listens)


class Nothing:
    """The one path that it knows."""

    def read(self, path, query):
        if path != "open":
            raise UnknownNameError(f"there is no view {path!r}")
        return {"asked": query, "broken": float("nan")}


def ask(target, method="GET", host="127.0.0.1:80", bound="127.0.0.1"):
    return answer(Nothing(), method, target, host, bound)


@pytest.mark.parametrize(
    ("host", "bound", "own"),
    [
        ("127.0.0.1:8000", "127.0.0.1", True),
        ("localhost:8000", "127.0.0.1", True),
        ("[::1]:8000", "127.0.0.1", True),
        ("evil.example:8000", "127.0.0.1", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("10.1.2.3:8000", "127.0.0.1", False),
        ("", "127.0.0.1", False),
        ("10.1.2.3:8000", EVERYWHERE, True),
        ("evil.example", EVERYWHERE, False),
        ("trainer-1:80", "trainer-1", True),
    ],
)
def test_only_this_servers_own_names_are_answered(host, bound, own):
    assert is_own_host(host, bound) == own
    assert (ask("/", host=host, bound=bound).status == 200) == own


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_but_reading_is_answered(method):
    refused = ask("/api/open.json", method)
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("target", ["/", "/main.js", "/api/open.json", "/api/no.json", "/none.html"])
def test_every_answer_forbids_foreign_scripts_and_guesses(target):
    headers = ask(target).headers
    assert headers["Content-Security-Policy"] == POLICY
    assert "unsafe" not in POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "target",
    ["/../pyproject.toml", "/%2e%2e/%2e%2e/pyproject.toml", "/static/../../x", "//etc/passwd", "/views/", "/views"],
)
def test_no_path_leads_out_of_the_pages_own_files(target):
    assert ask(target).status == 404


def test_json_has_null_for_what_is_not_a_number_and_says_what_is_unknown():
    assert ask("/api/open.json?a=b").body == b'{"asked":{"a":"b"},"broken":null}'
    missing = ask("/api/gone.json")
    assert missing.status == 404
    assert b"there is no view 'gone'" in missing.body


@pytest.mark.parametrize("query", [{"nme": "x"}, {"page": "-1"}, {"page": "1e9"}, {"version": "v1"}])
def test_a_wrong_filter_is_refused(query):
    with pytest.raises(ValueError, match=next(iter(query))):
        table_query(query)


def test_the_pages_files_load_nothing_from_elsewhere_and_write_no_markup():
    files = [file for folder in (static(), static() / "views") for file in folder.iterdir() if file.is_file()]
    assert len(files) > 10
    for file in files:
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        for forbidden in (
            "http://",
            "https://",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "eval(",
            "document.write",
        ):
            assert forbidden not in text, f"{file}: {forbidden}"
        assert "\u202e" not in text
    assert asset("views/overview.js") is not None
