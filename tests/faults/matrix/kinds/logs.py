"""What an administrator does to the log under a run: partitions that are added, records that retention removes."""

from faults.matrix.kinds.base import FaultKind
from faults.matrix.run import MatrixRun
from kafka import KafkaAdminClient
from kafka import TopicPartition as KafkaPartition

from streams.clients import make_admin
from streams.topics import Topic

_MOST_PARTITIONS = 5
_GROWING = (Topic.PROMPTS, Topic.ROLLOUTS, Topic.RTV_REQUESTS, Topic.GENRM_REQUESTS, Topic.SCORED, Topic.GROUPS_CLOSED)


def _admin(run: MatrixRun) -> KafkaAdminClient:
    return make_admin(run.resolved.broker, run.stack.broker.direct)


class PartitionsAdded(FaultKind):
    name, target, needs = "partitions-added", "partitions", "broker"
    what = "a topic gets one partition more"

    def inject(self, run: MatrixRun) -> None:
        name = run.topic(self.random.choice(_GROWING))
        count = run.partitions()[name]
        if count >= _MOST_PARTITIONS:
            return
        admin = _admin(run)
        try:
            admin.create_partitions({name: count + 1})
        finally:
            admin.close()
        self.detail = f"{name.rpartition(run.id + '.')[2]}: {count + 1}"


class Retention(FaultKind):
    name, target, needs, apart = "retention", "log", "broker", "retention"
    what = "every record of a topic is deleted, read or not"

    def inject(self, run: MatrixRun) -> None:
        topic = self.random.choice(_GROWING)
        name = run.topic(topic)
        admin = _admin(run)
        try:
            admin.delete_records({KafkaPartition(name, number): -1 for number in range(run.partitions()[name])})
        finally:
            admin.close()
        self.detail = str(topic)


KINDS = [PartitionsAdded, Retention]
