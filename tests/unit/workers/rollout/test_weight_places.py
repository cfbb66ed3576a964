"""Announced weights lie where the settings say, whatever the announcement's path looks like."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.settings.load import load
from infra.settings.sources import Option
from workers.rollout.weight_places import ElsewhereError, WeightPlaces


def refused(places: WeightPlaces, uri: str) -> bool:
    try:
        places.require(uri)
    except ElsewhereError:
        return True
    return False


def places_of(tmp_path: Path, **options: str) -> WeightPlaces:
    given = {"run.id": "r1", "run.folder": str(tmp_path)} | {key.replace("__", "."): v for key, v in options.items()}
    return WeightPlaces.of(load(options=[Option(path, value, "-") for path, value in given.items()]).settings)


def test_the_runs_own_folder_is_the_place_unless_versions_are_published_elsewhere(tmp_path: Path) -> None:
    own = places_of(tmp_path)
    assert not refused(own, str(tmp_path / "r1" / "versions" / "lineage000-v000001"))
    assert refused(own, str(tmp_path / "r2" / "versions" / "lineage000-v000001"))
    published = places_of(tmp_path, learner__publish_to="s3://bucket/runs/")
    assert published.places == ("s3://bucket/runs/r1",)
    assert not refused(published, "s3://bucket/runs/r1/lineage000-v000001")
    assert refused(published, str(tmp_path / "r1" / "versions" / "lineage000-v000001"))


def test_a_link_out_of_the_place_is_followed(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "place" / "link").symlink_to(tmp_path / "other")
    assert refused(WeightPlaces((str(tmp_path / "place"),)), str(tmp_path / "place" / "link"))


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/runs/r10/v1",
        "s3://bucket/runs/r1/../r2/v1",
        "s3://bucket/runs/r1/%2e%2e/r2",
        "s3://bucket/runs/r1//x",
        "s3://bucket/runs/r1/x?y=z",
        "filecache::s3://bucket/runs/r1/x",
        "s3://bucket/runs/r1/x::https://elsewhere",
        "https://bucket/runs/r1/x",
        "s3://evil@bucket/runs/r1/x",
        "S3://bucket/runs/r1/x",
        "",
    ],
)
def test_a_url_that_only_looks_like_the_place_is_refused(uri: str) -> None:
    assert refused(WeightPlaces(("s3://bucket/runs/r1",)), uri)


@given(st.lists(st.sampled_from(["..", "a", ".", "policies", ""]), max_size=6))
def test_no_path_leads_out_of_the_place(parts: list[str]) -> None:
    uri = "/".join(["/no/such/policies", *parts])
    inside = Path(uri).resolve().is_relative_to("/no/such/policies")
    assert refused(WeightPlaces(("/no/such/policies",)), uri) != inside
