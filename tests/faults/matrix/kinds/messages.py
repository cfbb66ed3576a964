"""Messages that come twice, in another order, or that no service would write."""

from collections.abc import Sequence

from faults.matrix.kinds.base import FaultKind
from faults.matrix.run import MatrixRun
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from support.hostile_messages import hostile_records
from support.messages import Keyed, announced, closed, rollout, started, ticket, verdict

from streams.codec import DecodeError, decode
from streams.messages import GroupClosed, LineageStarted, PolicyVersion, PromptTicket, Rollout, ScoredTrajectory
from streams.records import Record
from streams.topics import Topic

FLOWING = (
    *(Topic.PROMPTS, Topic.ROLLOUTS, Topic.RTV_REQUESTS, Topic.GENRM_REQUESTS, Topic.SCORED),
    *(Topic.GROUPS_CLOSED, Topic.POLICY_VERSIONS),
)
_COUNT = 24
_FAR = 10**12
"""No group has this number."""


class Duplicates(FaultKind):
    name, target, needs = "duplicates", "log", "broker"
    what = "the newest records of each topic are written again"

    def inject(self, run: MatrixRun) -> None:
        copies = [record for topic in FLOWING for record in run.recent(topic, _COUNT)]
        run.write(copies)
        self.detail = f"{len(copies)} records"


class Reordered(FaultKind):
    name, target, needs = "reordered", "log", "broker"
    what = "older records of all topics are written again, shuffled"

    def inject(self, run: MatrixRun) -> None:
        copies = [record for topic in FLOWING for record in run.recent(topic, 8 * _COUNT)]
        self.random.shuffle(copies)
        run.write(copies[: len(FLOWING) * _COUNT])
        self.detail = f"{min(len(copies), len(FLOWING) * _COUNT)} records"


class Poison(FaultKind):
    name, target, needs = "poison", "log", "broker"
    what = "hostile records (bytes, tombstones, schemas, types, values, headers, keys, other runs) in seven topics"

    def inject(self, run: MatrixRun) -> None:
        records = [record for topic in FLOWING for record in self._drawn(run, topic)]
        run.write(records)
        self.detail = f"{len(records)} records"

    def _drawn(self, run: MatrixRun, topic: Topic) -> Sequence[Record]:
        messages = _messages(run.id)
        others = [one for several in messages.values() for one in several]
        records = st.sampled_from(messages[topic]).flatmap(lambda one: hostile_records(one, run.topic(topic), others))
        found: list[Record] = []

        @seed(self.random.getrandbits(32))
        @settings(
            max_examples=_COUNT,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(records)
        def collect(record: Record) -> None:
            found.append(record)

        collect()
        compacted = topic is Topic.POLICY_VERSIONS  # a broker refuses a record without a key there
        return [one for one in found if not (_is_plausible(one, run.id) or (compacted and one.key is None))]


def _messages(run_id: str) -> dict[Topic, list[Keyed]]:
    made = rollout(_FAR, 0, run_id=run_id)
    return {
        Topic.PROMPTS: [ticket(_FAR, run_id=run_id)],
        Topic.ROLLOUTS: [made],
        Topic.RTV_REQUESTS: [made],
        Topic.GENRM_REQUESTS: [made],
        Topic.SCORED: [verdict(made, 1.0)],
        Topic.GROUPS_CLOSED: [closed(_FAR, _FAR, run_id=run_id), started(99, 0, run_id=run_id)],
        Topic.POLICY_VERSIONS: [announced(10**6, run_id=run_id)],
    }


def _is_plausible(record: Record, run_id: str) -> bool:
    """Whether it reads as a sound message of this run, whatever its headers say: whoever can write those can take a run
    over.
    """
    for kind in (PromptTicket, Rollout, ScoredTrajectory, GroupClosed, LineageStarted, PolicyVersion):
        try:
            message = decode(record.value, kind)
        except DecodeError:
            continue
        inner = message.rollout if isinstance(message, ScoredTrajectory) else message
        if inner.run_id == run_id:
            return True
    return False


KINDS = [Duplicates, Reordered, Poison]
