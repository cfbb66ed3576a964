"""Every name that a trace holds, in one table: spans, attributes, the event, and the version of their conventions.

Invariant: a name that OpenTelemetry defines is that of the conventions at SCHEMA_URL, letter for letter. Version 1.45
renames some of Kafka's (`kafka.offset` and so on): whoever moves to it changes the names and the URL here, and nothing
elsewhere. Names of `gen_ai` follow the conventions for generative AI, which left the core at 1.42. Our own begin with
`rewardstream.`.
"""

from enum import StrEnum
from typing import Self

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
SCOPE = "rewardstream"
"""Name of the instrumentation scope, and the namespace of the services."""


class Described(StrEnum):
    """A name with its meaning."""

    meaning: str

    def __new__(cls, name: str, meaning: str) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.meaning = meaning
        return member


class SpanName(Described):
    """Names of spans; the two of messaging are followed by the topic, `chat` by the model."""

    SEND = "send", "The selector dispatches a group: the root of the group's trace."
    PROCESS = "process", "A service works on a record, from its decoding to the acknowledgement of what it wrote."
    CHAT = "chat", "An engine generates one response."
    CLOSE = "close group", "The learner holds the group, from its ticket to its closing; linked with verdicts and step."
    STEP = "train step", "A step of the learner, a trace of its own; linked with each group that it trained on."


class Attribute(Described):
    """Attributes of spans and events."""

    SYSTEM = "messaging.system", "`kafka`."
    OPERATION = "messaging.operation.name", "`send` or `process`."
    OPERATION_TYPE = "messaging.operation.type", "`send` or `process`."
    DESTINATION = "messaging.destination.name", "The topic, with the run's prefix."
    TEMPLATE = "messaging.destination.template", "The topic without the run's prefix."
    PARTITION = "messaging.destination.partition.id", "The partition of the record that was read."
    OFFSET = "messaging.kafka.offset", "The offset of the record that was read."
    KEY = "messaging.kafka.message.key", "The record's key: the group's id."
    CONSUMER_GROUP = "messaging.consumer.group.name", "The consumer group of the stage."
    BATCH = "messaging.batch.message_count", "Records that the stage worked on together, in the same time."
    ERROR = "error.type", "Why the record was set aside, the verdict is missing, or the group failed."
    GEN_OPERATION = "gen_ai.operation.name", "`chat`."
    GEN_PROVIDER = "gen_ai.provider.name", "The engine: `hf` or `vllm`."
    GEN_MODEL = "gen_ai.request.model", "The policy's model: the last part of model.path."
    GEN_CONVERSATION = "gen_ai.conversation.id", "The group's id."
    GEN_RESPONSE = "gen_ai.response.id", "The rollout's id."
    GEN_FINISH = "gen_ai.response.finish_reasons", "`stop`, or `length` if the response was cut off."
    GEN_INPUT = "gen_ai.usage.input_tokens", "Tokens of the prompt."
    GEN_OUTPUT = "gen_ai.usage.output_tokens", "Tokens of the response."
    GEN_TEMPERATURE = "gen_ai.request.temperature", "Sampling temperature."
    GEN_TOP_P = "gen_ai.request.top_p", "Nucleus of the sampling."
    GEN_MAX_TOKENS = "gen_ai.request.max_tokens", "Longest response."
    GEN_SEED = "gen_ai.request.seed", "Seed of the group's sampling."
    EVALUATION = "gen_ai.evaluation.name", "The scorer: a verifier's name, or the judge's."
    EVALUATION_SCORE = "gen_ai.evaluation.score.value", "The reward in [0, 1]; missing if there is none."
    EVALUATION_LABEL = "gen_ai.evaluation.score.label", "The verdict's status: `correct`, `wrong`, `judged` and so on."
    EVALUATION_WHY = "gen_ai.evaluation.explanation", "The verdict's reason, at most 1,000 characters."
    RUN = "rewardstream.run.id", "The run (of the resource: each span and event has it)."
    GROUP = "rewardstream.group.id", "The group; its hash is the trace's id."
    PROMPT = "rewardstream.prompt.id", "The prompt."
    DOMAIN = "rewardstream.domain", "The prompt's domain."
    PURPOSE = "rewardstream.purpose", "`train`, `assess` or `eval`."
    SAMPLES = "rewardstream.group.size", "Responses of the group."
    VERSION = "rewardstream.policy.version", "Policy version: the newest that made tokens, or that the step made."
    LINEAGE = "rewardstream.policy.lineage", "Lineage of that version."
    ROUTE = "rewardstream.route", "`rtv` or `genrm`."
    SCORER_VERSION = "rewardstream.scorer.version", "The scorer's version."
    SCORER_SECONDS = "rewardstream.scorer.seconds", "Seconds that this verdict took, within its batch."
    SHADOW = "rewardstream.shadow", "True for a verdict of the other route, which is no reward."
    OUTCOME = "rewardstream.group.outcome", "`trained`, `filtered`, `stale`, `expired` or `failed`."
    REASON = "rewardstream.group.reason", "Why, for a group that was not trained on."
    STALENESS = "rewardstream.group.staleness", "Versions between the oldest token and the step."
    SCORE = "rewardstream.group.mean_score", "Mean reward of the group."
    GROUPS = "rewardstream.step.groups", "Groups of the step."
    TOKENS = "rewardstream.step.tokens", "Response tokens that the step trained on."


class EventName(Described):
    """Names of events, which are records of the log that belong to a span."""

    EVALUATION = "gen_ai.evaluation.result", "A verdict, on the span of the response that it is about."
