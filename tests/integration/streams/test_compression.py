"""Topics that the broker compresses: every kind of client reads them, and the log is smaller."""

from collections.abc import Callable

from kafka.errors import IncompatibleBrokerVersion
from support.stage_loop import StageLoop, rollout

from streams.clients.connect import make_admin
from streams.codec import decode, encode
from streams.messages import ScoredTrajectory
from streams.topics import Topic

ROLLOUTS = 20


def test_rollouts_pass_the_stages_and_take_less_room(make_loop: Callable[..., StageLoop], bootstrap: str) -> None:
    """Router and RTV read with aiokafka, this process with kafka-python. The embedded broker compresses nothing."""
    loop = make_loop(topics={"compression": "zstd"})
    sent = [
        rollout(number, f"{'Let us add, step by step. ' * 100}The answer is {number}") for number in range(ROLLOUTS)
    ]
    loop.send(*sent)
    with loop.serving("router"), loop.serving("rtv"):
        scored = [decode(record.value, ScoredTrajectory) for record in loop.read(Topic.SCORED, ROLLOUTS)]
    assert sorted((message.rollout for message in scored), key=lambda each: each.seq) == sent

    raw = sum(len(encode(each)) for each in sent)
    stored = stored_bytes(loop, bootstrap)
    for topic in (Topic.ROLLOUTS, Topic.RTV_REQUESTS, Topic.SCORED) if stored else ():
        assert 0 < stored[loop.topic(topic)] < raw / 3


def stored_bytes(loop: StageLoop, bootstrap: str) -> dict[str, int]:
    """Bytes of each topic on the broker's disk; empty for the embedded broker, which does not tell."""
    admin = make_admin(loop.settings.broker, bootstrap)
    try:
        answers = admin.describe_log_dirs([loop.topic(topic) for topic in Topic])
    except IncompatibleBrokerVersion:
        return {}
    finally:
        admin.close()
    topics = [topic for answer in answers for folder in answer["log_dirs"] for topic in folder["topics"]]
    return {topic["name"]: sum(part["partition_size"] for part in topic["partitions"]) for topic in topics}
