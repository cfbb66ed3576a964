"""A selector that restarts owes each domain what it owed, also after alarms changed the shares."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from support.scored_groups import send_group

from infra.db.models import DispatchFactors, Group
from trainer.curriculum import dispatch_factors
from trainer.curriculum.schedule import Schedule
from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows

DOMAINS = "abc"
RUN = "r"


@pytest.fixture
def prompts(engine):
    """domain -> id of its prompt."""
    made = [parse_row({"domain": domain, "prompt": domain, "verifier": "exact"}, Defaults()) for domain in DOMAINS]
    ingest_rows(engine, made)
    return {row.domain: row.id for row in made}


FACTORS = st.dictionaries(st.sampled_from(DOMAINS), st.sampled_from([0.0, 0.25, 0.5]), max_size=2)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(FACTORS, st.integers(0, 6)), min_size=1, max_size=4))
def test_a_restart_goes_on_where_it_was_through_alarms(engine, prompts, rounds):
    with engine.begin() as connection:
        connection.execute(delete(Group))
        connection.execute(delete(DispatchFactors))
    selected = {domain: [prompt] for domain, prompt in prompts.items()}
    shares = {"a": 2.0}
    whole = Schedule(0, shares, selected)
    for factors, count in rounds:
        if factors != whole.factors:
            with engine.begin() as connection:
                dispatch_factors.store(connection, RUN, factors)
            whole.factors = factors
        again = Schedule(0, shares, selected)
        with engine.begin() as connection:
            dispatch_factors.replay(connection, RUN, again)
        assert again.factors == whole.factors
        assert again._owed == whole._owed
        for _ in range(count):
            prompt = whole.next(3)
            assert again.next(3) == prompt
            send_group(engine, RUN, prompt, [], 3)
