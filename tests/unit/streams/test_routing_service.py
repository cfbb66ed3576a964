import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.dead_letters import parse
from streams.messages import Route
from streams.records import Output, Record
from streams.services.routing import Routing, in_share


def routing(share: float = 0.0) -> Routing:
    topics = {Route.RTV: "to-rtv", Route.GENRM: "to-genrm"}
    return Routing(stage="router", topics=topics, dead_letters="dead", shadow_share=share)


def record(route: bytes | None, key: bytes = b"r1:4") -> Record:
    headers = (("schema", b"Rollout"), *((("route", route),) if route is not None else ()))
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


def test_a_shadow_copy_is_marked_and_only_verified_prompts_have_one() -> None:
    main, shadow = routing(1.0).route(record(b"rtv"))
    assert (main.topic, shadow.topic) == ("to-rtv", "to-genrm")
    assert ("shadow", b"1") in shadow.headers
    assert ("shadow", b"1") not in main.headers
    assert shadow.value == main.value
    assert len(routing(1.0).route(record(b"genrm"))) == 1


@given(key=st.binary(max_size=40), share=st.floats(0, 1), more=st.floats(0, 1))
def test_a_group_is_in_the_share_for_ever_and_in_every_larger_one(key, share, more) -> None:
    assert in_share(key, share) == in_share(key, share)
    low, high = sorted((share, more))
    assert in_share(key, high) or not in_share(key, low)
    assert not in_share(key, 0.0)
    assert in_share(key, 1.0)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_share_is_met_over_the_groups_of_a_run(share) -> None:
    hits = sum(in_share(f"run:{seq}".encode(), share) for seq in range(4000))
    assert abs(hits / 4000 - share) < 0.03
