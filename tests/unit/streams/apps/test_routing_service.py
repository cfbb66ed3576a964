import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.apps.routing import RoutingHandler, in_share
from streams.dead_letters import parse
from streams.messages import Question, Route
from streams.records import Output, Record
from streams.route_headers import route_headers


def routing(share: float = 0.0) -> RoutingHandler:
    topics = {Route.RTV: "to-rtv", Route.GENRM: "to-genrm"}
    return RoutingHandler(stage="router", topics=topics, dead_letters="dead", shadow_share=share)


def record(route: bytes | None, shadow_route: bytes | None = None, key: bytes = b"r1:4") -> Record:
    named = (("route", route), ("shadow_route", shadow_route))
    headers = (("schema", b"Rollout"), *((name, value) for name, value in named if value is not None))
    return Record("rollouts", 1, 7, 1.0, key, b"\x00not even MessagePack", headers)


@pytest.mark.parametrize(("route", "topic"), [(b"rtv", "to-rtv"), (b"genrm", "to-genrm")])
def test_a_record_goes_where_its_header_says_with_key_body_and_headers_untouched(route, topic) -> None:
    source = record(route)
    assert asyncio.run(routing().handle([source])) == [Output(topic, source.key, source.value, source.headers)]


@pytest.mark.parametrize("route", [None, b"", b"RTV", b"\xff\xfe"])
def test_an_unknown_route_is_a_dead_letter_that_says_so(route) -> None:
    source = record(route)
    [output] = routing().route(source)
    assert (output.topic, output.key, output.value) == ("dead", source.key, source.value)
    letter = parse(Record("dead", 0, 0, 2.0, output.key, output.value, output.headers))
    assert letter.error_class == "UnknownRouteError"
    assert "expected one of rtv, genrm" in letter.reason
    assert (letter.topic, letter.partition, letter.offset, letter.stage) == ("rollouts", 1, 7, "router")


@pytest.mark.parametrize(("route", "other"), [(b"rtv", b"genrm"), (b"genrm", b"rtv")])
def test_a_shadow_copy_goes_to_the_other_route_marked_and_otherwise_untouched(route, other) -> None:
    source = record(route, other)
    main, shadow = routing(1.0).route(source)
    assert main == Output(f"to-{route.decode()}", source.key, source.value, source.headers)
    assert shadow == Output(f"to-{other.decode()}", source.key, source.value, (*source.headers, ("shadow", b"1")))
    assert routing(0.0).route(source) == [main]


def test_what_the_other_route_could_not_score_has_no_shadow() -> None:
    assert len(routing(1.0).route(record(b"rtv"))) == 1


def test_a_shadow_route_that_is_none_is_a_dead_letter_and_not_half_a_rollout() -> None:
    [output] = routing(1.0).route(record(b"rtv", b"nowhere"))
    assert output.topic == "dead"


BOTH = Question(prompt="?", verifier="math", ground_truth="5")
PICKED = Question(prompt="?", references=("so",))
CHECKED = Question(prompt="?", verifier="code", options={"tests": {}})
VETOED = Question(prompt="?", veto="math", ground_truth="5")


@pytest.mark.parametrize(
    ("question", "headers"),
    [
        (BOTH, {"route": "rtv", "shadow_route": "genrm"}),
        (CHECKED, {"route": "rtv"}),  # a judge would have nothing to compare with: a copy would be a dead letter
        (PICKED, {"route": "genrm"}),
        (VETOED, {"route": "genrm", "shadow_route": "rtv"}),
    ],
)
def test_headers_say_who_scores_and_who_else_could(question, headers) -> None:
    assert route_headers(question) == headers


@given(key=st.binary(max_size=40), share=st.floats(0, 1), more=st.floats(0, 1))
def test_a_group_is_in_the_share_for_ever_and_in_every_larger_one(key, share, more) -> None:
    assert in_share(key, share) == in_share(key, share)
    low, high = sorted((share, more))
    assert in_share(key, high) or not in_share(key, low)
    assert not in_share(key, 0.0)
    assert in_share(key, 1.0)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_shadow_share_is_met_over_the_groups_of_a_run(share) -> None:
    hits = sum(in_share(f"run:{seq}".encode(), share) for seq in range(4000))
    assert abs(hits / 4000 - share) < 0.03
