"""Formats by their RFCs, patterns by ECMA-262, multiples as they are written."""

import json
import time
from typing import Any

import pytest

from streams.messages import Question, Status
from workers.verifiers.base import Verdict
from workers.verifiers.text.ecma_pattern import EcmaPatternError, compile_ecma
from workers.verifiers.text.json import JsonVerifier
from workers.verifiers.text.json_formats import FORMATS

FORMAT_CASES = {
    "date": (
        ["2024-02-29", "0000-02-29", "9999-12-31"],
        ["2023-02-29", "2024-2-9", "2024-02-29 ", "٢٠٢٤-02-29", "24-02-29"],
    ),
    "time": (
        ["10:00:00Z", "23:59:60Z", "10:00:00.123456789+05:30", "00:59:60+01:00", "10:00:00z"],
        ["10:00:00", "24:00:00Z", "10:00:60Z", "10:00Z", "10:00:00+5:30", "10:00:00.Z", "10:00:00Z\n"],
    ),
    "date-time": (
        ["2024-02-29T10:00:00Z", "1998-12-31T23:59:60Z", "2024-01-01t00:00:00-00:00"],
        [
            "yesterday at noon",
            "2024-02-29 10:00",
            "2024-02-29 10:00:00Z",
            "2024-02-30T10:00:00Z",
            "2024-02-29T10:00:00",
        ],
    ),
    "duration": (
        ["P4DT12H30M5S", "P1Y2M", "PT0S", "P2W", "PT36H"],
        ["P", "PT", "P1Y2W", "P1Y1D", "1D", "P1.5D", "PT1D", "P"],
    ),
    "email": (
        ["joe@example.com", "te~st@example.com", '"joe bloggs"@example.com', "a@[127.0.0.1]", "a@[IPv6:::1]", "a+b@x"],
        [
            "@",
            "joe.bloggs@",
            "@x",
            ".a@b.c",
            "a..b@c.d",
            "a b@c.d",
            "a@b c",
            "é@x.org",
            "a@b@c",
            "a@-b.c",
            "joe@example..com",
        ],
    ),
    "idn-email": (["실례@실례.테스트", "é@x.org"], ["2962", "@é"]),
    "hostname": (
        ["www.example.com", "a", "xn--4gbwdl.xn--wgbh1c", "1.2", "a" * 63],
        ["-bad-.example..org", "", "a_b", "a" * 64, "a.b.", "a--b.", "ab--cd", "é.org"],
    ),
    "ipv4": (
        ["0.1.10.0", "255.255.255.255"],
        ["256.0.0.1", "01.0.0.1", "1.2.3", "1.2.3.4.5", "1٢.0.0.1", "0x7f.0.0.1"],
    ),
    "ipv6": (
        ["::1", "::ffff:192.168.0.1", "1:2:3:4:5:6:7:8"],
        ["12345::", "::1%eth0", "1::2::3", "1:2:3", "::1/64", " ::1"],
    ),
    "uri": (
        ["http://foo.bar/?q=%20#x", "urn:oasis:names", "mailto:a@b.c", "http://[::1]:80/", "a:"],
        [
            "//x/y",
            "/abc",
            "a b:c",
            "http:// x",
            "\\\\WINDOWS\\share",
            ":// no",
            "http://[1",
            "http://a/<b>",
            "http://x/%zz",
            "bar,baz:x",
            "http://é.org",
        ],
    ),
    "uri-reference": (
        ["/abc", "#frag", "", "//a/b", "a/b:c"],
        ["\\\\WINDOWS\\fileshare", "#a\\b", "a:b c", "1:2", "%"],
    ),
    "iri": (["http://ƒøø.ßår/?∂éœ=πîx#πîüx"], ["http://2001:0db8::7334", "/abc", "\\\\WIN", "âππ"]),
    "iri-reference": (["/âππ", "#ƒ"], ["\\\\WIN\\é", "#a\\b"]),
    "uri-template": (["http://x/{a:1}/{b}", "{/a,b*}", "plain"], ["http://x/{a:1}/{b", "{}", "a}", "{a b}", "{a:0}"]),
    "json-pointer": (["", "/foo/0", "/a~1b/~0", "/ "], ["foo", "#/a", "/~2", "/~"]),
    "relative-json-pointer": (["0", "1/a", "0#", "12"], ["/a", "01", "-1", "1a", "٣"]),
    "uuid": (
        ["2EB8AA08-AA98-11EA-B4AA-73B441D16380"],
        [
            "2eb8aa08aa9811eab4aa73b441d16380",
            "2eb8aa08-aa98-11ea-b4aa-73b441d1638",
            "{2eb8aa08-aa98-11ea-b4aa-73b441d16380}",
        ],
    ),
    "regex": (
        [r"^\d+$", r"(?<n>a)\k<n>", r"\p{L}", r"[^]", r"\cA"],
        [r"\Z", r"\a", "^(abc]", "a++", "(?P<n>a)", "(", "[b-a]", r"\p{Nope}", "*"],
    ),
}


def judged(schema: Any, value: Any) -> Verdict:
    question = Question(prompt="?", verifier="json", options={"schema": schema})
    return JsonVerifier().verify(question, value if isinstance(value, str) else json.dumps(value))


@pytest.mark.parametrize("name", sorted(FORMAT_CASES))
def test_a_format_is_that_of_its_standard(name: str) -> None:
    good, bad = FORMAT_CASES[name]
    schema = {"properties": {"v": {"format": name}}}
    assert {text: judged(schema, {"v": text}).score for text in good} == dict.fromkeys(good, 1.0)
    assert {text: judged(schema, {"v": text}).score for text in bad} == dict.fromkeys(bad, 0.0)
    assert judged(schema, {"v": 12}).score == 1.0  # a format says nothing of what is no text


def test_every_format_of_the_standard_is_checked() -> None:
    assert FORMATS.keys() - FORMAT_CASES.keys() == {"idn-hostname"}
    assert judged({"format": "idn-hostname"}, '"실례.테스트"').score == 1.0
    assert judged({"format": "idn-hostname"}, '"〮한국"').score == 0.0
    assert judged({"format": "favourite-colour"}, '"x"').score == 1.0


def _wrapped(text: str) -> str:
    return json.dumps({"v": text})


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"^\d+$", ["12"], ["٣٤", "12\n", "1२"]),
        (r"^\w+$", ["a_1"], ["é", "naïve", "日本"]),
        (r"^\W$", ["é", " "], ["a"]),
        (r"^\s$", ["\ufeff", "\u2003", "\t"], ["\x1c", "\x85", "a"]),
        (r"^\S$", ["\x85", "a"], ["\u00a0"]),
        (r"\bé", ["aé"], ["é", " é"]),
        (r"^.$", ["\x85", "🐲", "é"], ["\n", "\u2028", "ab"]),
        (r"^\p{L}+$", ["été"], ["a1"]),
        (r"^\P{L}$", ["1"], ["a"]),
        (r"^[\p{Lu}\d]+$", ["É1"], ["é"]),
        (r"^\p{Script=Greek}+$", ["αβ"], ["ab"]),
        (r"^\p{ASCII}+$", ["a~"], ["é"]),
        (r"b", ["abc"], ["ac"]),
        (r"^a|b$", ["ac", "cb"], ["ca"]),
        (r"^a$", ["a"], ["a\n", "b\na"]),
        (r"(?<=a)b", ["ab"], ["cb"]),
        (r"(?<!a+)b", ["cb"], ["aab"]),
        (r"^\cC$", ["\x03"], ["C", "\\cC"]),
        (r"^\/\-\@\_?$".replace(r"\_", "_"), ["/-@", "/-@_"], ["/"]),
        (r"^[\]\-a&&b]+$", ["]-a&b"], ["c"]),
        (r"^[[]$", ["["], ["]"]),
        (r"^[^]$", ["\n"], [""]),
        (r"[]", [], ["a", ""]),
        (r"^\x41B\u{43}\u{1F600}\uD83D\uDE00$", ["ABC😀😀"], ["ABC😀"]),
        (r"^🐲*$", ["", "🐲🐲"], ["🐉"]),
        (r"^(a)?\1b$", ["b", "aab"], ["ab"]),
        (r"^\1(a)$", ["a"], ["aa"]),
        (r"^(?<x>a|b)\k<x>$", ["aa"], ["ab"]),
        (r"^[\b]$", ["\b"], ["b"]),
        (r"^\0$", ["\x00"], ["0"]),
        (r"^a{2}$", ["aa"], ["a"]),
        (r"^a{,2}$", ["a{,2}"], ["a"]),
        (r"^(?:)$", [""], ["a"]),
        (r"^[\w-]+$", ["a-b"], ["é"]),
        (r"^[^\W\d]+$", ["ab_"], ["a1", "é"]),
        (r"^#\s~&&$", ["# ~&&"], ["#"]),
    ],
)
def test_a_pattern_is_that_of_ecma_262(pattern: str, good: list[str], bad: list[str]) -> None:
    for schema in ({"pattern": pattern}, {"properties": {"v": {"pattern": pattern}}}):
        wrap = json.dumps if "pattern" in schema else _wrapped
        verdicts = {text: judged(schema, wrap(text)) for text in (*good, *bad)}
        assert {text: found.score for text, found in verdicts.items()} == dict.fromkeys(good, 1.0) | dict.fromkeys(
            bad, 0.0
        )


@pytest.mark.parametrize("keyword", ["patternProperties", "additionalProperties", "unevaluatedProperties"])
def test_property_names_are_matched_by_the_same_rules(keyword: str) -> None:
    schema = {"patternProperties": {r"^\d+$": True, r"^\p{Lu}": {"type": "integer"}}}
    if keyword != "patternProperties":
        schema[keyword] = False
    assert judged(schema, {"12": 1, "É": 3}).score == 1.0
    assert judged(schema, {"É": "x"}).score == 0.0
    assert judged(schema, {"٣٤": 1}).score == (1.0 if keyword == "patternProperties" else 0.0)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\Z",
        r"\A",
        r"\h",
        "a++",
        "a*+",
        "(?P<n>a)",
        "(?#c)",
        "(?i)a",
        "(",
        ")",
        "[",
        "a)",
        "*",
        r"\2(a)",
        "\\",
        r"\p",
        r"\p{Nope}",
        r"\u{110000}",
        "[b-a]",
        "x{2,1}",
        r"(?<a>.)(?<a>.)",
        r"\k<a>",
    ],
)
def test_what_ecma_262_refuses_is_the_prompts_defect(pattern: str) -> None:
    with pytest.raises(EcmaPatternError):
        compile_ecma(pattern)
    for schema in (
        {"pattern": pattern},
        {"patternProperties": {pattern: {}}},
        {"properties": {"a": {"pattern": pattern}}},
    ):
        found = judged(schema, {"b": 1})
        assert (found.score, found.status) == (None, Status.INFRA_ERROR), schema


@pytest.mark.parametrize(
    ("pattern", "text"), [("^(a+)+$", "a" * 60 + "!"), ("^(.*)*x$", "y" * 60), (r"(\w+\s?)*:$", "w " * 60)]
)
def test_a_pattern_that_takes_too_long_is_a_timeout(pattern: str, text: str) -> None:
    """Without an end it would take years."""
    found = judged({"pattern": pattern}, json.dumps(text))
    assert (found.score, found.status) in {(0.0, Status.TIMEOUT), (0.0, Status.WRONG)}


@pytest.mark.parametrize(
    ("divisor", "good", "bad"),
    [
        (0.1, ["92.6", "0", "1", "0.3", "1e3", "-7.7", "1e-1"], ["92.65", "0.05", "1e-2"]),
        (0.01, ["300.52", "19.99", "4.35", "0.07"], ["300.525"]),
        (0.001, ["5.1", "1.005"], ["5.1001"]),
        (0.0001, ["0.0075", "4.5"], ["0.00751"]),
        (1e-8, ["12391239123", "1e-8"], ["1e-9"]),
        (2.5, ["5", "7.5", "1e300"], ["6"]),
        (3, ["9", "9.0", str(3 * 10**50)], ["10", "9.5", str(3 * 10**50 + 1)]),
        (10**30, [str(10**31)], [str(10**31 + 1)]),
        (0.123456789, ["0.123456789", "0"], ["1e308"]),
    ],
)
def test_a_multiple_is_one_of_the_numbers_as_written(divisor: float, good: list[str], bad: list[str]) -> None:
    for text in good:
        assert judged({"multipleOf": divisor}, text).score == 1.0, text
    for text in bad:
        assert judged({"multipleOf": divisor}, text).score == 0.0, text


@pytest.mark.parametrize(
    ("response", "score"),
    [
        ('<answer>{"a": 1}</answer>', 1.0),
        ('So it is <answer>\n```json\n{"a": 1}\n```\n</answer>, I think.', 1.0),
        ('<Answer> {"a": 1} </ANSWER> <answer>{"a": 1.0}</answer>', 1.0),
        ('<answer>{"a": 1}</answer> <answer>{"a": 2}</answer>', 0.0),
        ('Well. <answer>{"a": 1}', 1.0),
        ('<answer>{"a": 1', 0.0),
        ("<answer></answer>", 0.0),
        ('<answer>a is 1</answer> {"a": 1}', 0.0),
        ('- so:\n\n    ```json\n    {"a": 1}\n    ```', 1.0),
        ('```json\n{"a": 1}\n```\nUse `<answer>` tags.', 1.0),
    ],
)
def test_json_in_answer_tags(response: str, score: float) -> None:
    question = Question(prompt="?", verifier="json", ground_truth='{"a": 1}')
    assert JsonVerifier().verify(question, response).score == score


def test_tags_within_a_value_are_its_own() -> None:
    for text in ('{"a": "<answer>1</answer>"}', '```json\n{"a": "<answer>1</answer>"}\n```'):
        question = Question(prompt="?", verifier="json", ground_truth='{"a": "<answer>1</answer>"}')
        assert JsonVerifier().verify(question, text).score == 1.0


def test_integers_of_any_size_stand_in_schema_reference_and_response() -> None:
    huge = 10**60
    assert judged({"const": huge}, str(huge)).score == 1.0
    assert judged({"maximum": huge}, str(huge + 1)).score == 0.0
    assert JsonVerifier().verify(Question(prompt="?", ground_truth=str(huge)), str(huge)).score == 1.0


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize(
    "text", ["a" * 9_999, "a." * 4_999, "/" * 9_999, "{a}" * 3_333, "é" * 9_999, ":" * 9_999, '"' * 9_999]
)
def test_no_text_keeps_a_format_busy(name: str, text: str) -> None:
    started = time.process_time()
    FORMATS[name](text)
    assert time.process_time() - started < 20  # a search that backtracks takes hours
