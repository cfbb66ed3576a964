"""The rights of the services are one table, and the page shows it."""

from pathlib import Path

import pytest

from infra.services import Service
from streams.rights import CLI, RIGHTS, Operation, Resource, rights_of, rights_table
from streams.topics import Topic

PAGE = Path(__file__).parents[3] / "infra" / "docs" / "security.md"


def test_the_page_shows_the_table() -> None:
    assert rights_table() in PAGE.read_text(encoding="utf-8"), f"the page should hold:\n{rights_table()}"


def test_every_service_and_the_command_line_are_in_the_table() -> None:
    assert RIGHTS.keys() == {*Service, CLI}


@pytest.mark.parametrize("service", RIGHTS)
def test_a_topic_that_is_written_has_somebody_who_reads_it(service: str) -> None:
    """Besides, no right is listed twice."""
    read = {topic for rights in RIGHTS.values() for topic in rights.reads}
    assert set(RIGHTS[service].writes) <= read
    listed = rights_of(service, "p")
    assert len(set(listed)) == len(listed)


def test_only_the_learner_announces_closes_and_only_the_selector_dispatches() -> None:
    def writers(topic: Topic) -> set[str]:
        return {service for service, rights in RIGHTS.items() if topic in rights.writes} - {CLI}

    assert writers(Topic.POLICY_VERSIONS) == writers(Topic.GROUPS_CLOSED) == {Service.LEARNER}
    assert writers(Topic.PROMPTS) == {Service.SELECTOR}


def test_names_have_the_runs_prefix() -> None:
    [group] = [right for right in rights_of(Service.ROUTER, "run-1") if right.resource is Resource.GROUP]
    assert (group.name, group.operation) == ("run-1.router", Operation.READ)
    assert all(right.name.startswith("run-1.") for service in RIGHTS for right in rights_of(service, "run-1"))
