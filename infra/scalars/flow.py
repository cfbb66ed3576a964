"""Scalars of what flows: stages, engines, groups, the run."""

from prometheus_client import Counter, Gauge, Histogram

from infra.scalars.row import SECONDS, MetricSection, Scalar, each
from infra.services import Service

_READERS = ("rtv", "genrm", "difficulty", "crosscheck", "selector", "rollout", "learner")
"""Stages that decode what they read; the router looks at headers only."""


class FlowMetrics(MetricSection):
    messages_total = Scalar(
        Counter,
        labels=("stage", "topic"),
        unit="records",
        meaning="Records processed, by stage and topic.",
        healthy="Grows in every stage while the run trains.",
        otherwise="A stage does not move: check its log and consumer_lag_messages.",
    )
    dead_letters_total = Scalar(
        Counter,
        labels=("stage", "reason"),
        starts=(
            *((stage, "DecodeError") for stage in _READERS),
            ("router", "RoutingError"),
            ("router", "UnknownRouteError"),
            ("difficulty", "ValueError"),
            ("selector", "SignatureError"),
            ("rollout", "SignatureError"),
            ("rollout", "ElsewhereError"),
        ),
        unit="records",
        meaning="Records set aside unchanged, by stage and reason.",
        healthy="0.",
        otherwise="Use `rewardstream dead-letters list` and `show`, and `replay` once the cause is fixed.",
    )
    trace_records_dropped_total = Scalar(
        Counter,
        labels=("reason",),
        starts=each("queue", "export"),
        unit="spans and events",
        meaning="Spans and events of traces that did not reach the collector. `queue`: tracing.queue of them waited "
        "already. `export`: the collector did not take them.",
        healthy="0.",
        otherwise="Training does not wait for a collector, traces have holes. export: start it, or check "
        "tracing.endpoint. queue: lower tracing.ratio.",
    )
    outage_seconds = Scalar(
        Gauge,
        labels=("part",),
        unit="seconds",
        meaning="How long the process has waited for a part that does not answer: broker, database or store.",
        healthy="0.",
        otherwise="What is held waits, for the part's outage_seconds in the settings; start the part again.",
    )
    clock_skew_seconds = Scalar(
        Gauge,
        unit="seconds",
        meaning="By how much the newest records that the process has read lie in its future: its own clock is behind, "
        "or that of their writer ahead.",
        healthy="Below a second.",
        otherwise="Correct the clocks (NTP). Deadlines follow the dispatcher's; times in metrics are wrong.",
    )
    end_to_end_seconds = Scalar(
        Histogram,
        labels=("stage",),
        buckets=SECONDS,
        unit="seconds",
        meaning="From a group's dispatch to the end of the stage.",
        healthy="Far below admission.deadline_seconds.",
        otherwise="Near it: groups will expire; the slow stage is the one where the seconds jump.",
    )
    consumer_lag_messages = Scalar(
        Gauge,
        labels=("stage", "topic"),
        unit="records",
        meaning="Records of a topic that the stage has not read yet.",
        healthy="Goes up and down, bounded by the admission slots times group_size.",
        otherwise="Only rises: add replicas of the stage, up to topics.partitions.",
    )
    consumer_lag_seconds = Scalar(
        Gauge,
        labels=("stage",),
        unit="seconds",
        meaning="Age of the oldest record that the stage works on.",
        healthy="Below the seconds of a step times the allowed staleness.",
        otherwise="Above: records will be too old to train on by the time they are scored.",
    )
    event_loop_lag_seconds = Scalar(
        Gauge,
        labels=("stage",),
        unit="seconds",
        meaning="How late the event loop of a stage was at most in the last 30 seconds, or is now.",
        healthy="Far below a second.",
        otherwise="Something computes in the loop, or the cores are too few; heartbeats and fetches come as late.",
    )
    no_progress_seconds = Scalar(
        Gauge,
        labels=("stage",),
        unit="seconds",
        meaning="For how long a stage has finished nothing although records wait for it.",
        healthy="At most the seconds of a batch, or of a response.",
        otherwise="Its log says on which group and record it stands, and what it finished last.",
    )
    rollouts_total = Scalar(
        Counter,
        labels=("domain", "finish_reason"),
        unit="responses",
        meaning="Responses published, by domain and finish reason.",
        healthy="finish reason `length` below a tenth.",
        otherwise="More are cut off: raise max_new_tokens, or penalise length.",
    )
    tickets_skipped_total = Scalar(
        Counter,
        labels=("reason",),
        starts=each("overdue", "duplicate", "closed", "other_run"),
        unit="groups",
        meaning="Groups that an engine did not generate, by reason.",
        healthy="0.",
        otherwise="overdue: there are too few engines for the slots. duplicate: a ticket was delivered twice, which is "
        "harmless. closed: its group was over when a worker read it, as after another worker's death.",
    )
    aborted_samples_total = Scalar(
        Counter,
        labels=("reason",),
        starts=each("lost", "expired", "closed"),
        unit="samples",
        meaning="Samples that an engine did not generate to their end, by reason.",
        healthy="0, and a few per worker that joins or leaves.",
        otherwise="lost: another worker has the ticket; a steady rate means that workers come and go, see their logs. "
        "expired: there are too few engines for the slots. closed: the learner gave the group up, see "
        "groups_closed.",
    )
    generated_tokens_total = Scalar(
        Counter,
        unit="tokens",
        meaning="Tokens that engines sampled.",
        healthy="A steady rate.",
        otherwise="The rate falls while engine_running is high: another process uses the device.",
    )
    engine_running = Scalar(
        Gauge,
        unit="responses",
        meaning="Responses that the engine decodes at the same time.",
        healthy="Near engine.max_running while the run trains; falls at the end of a synchronous step.",
        otherwise="Low: the engine waits for tickets; raise admission.staleness or groups_per_step.",
    )
    engine_policy_version = Scalar(
        Gauge,
        unit="version",
        meaning="Policy version that the engine has loaded.",
        healthy="policy_version, or one less for a moment.",
        otherwise="Further behind: check weights_refused and weight_swap_seconds.",
    )
    weights_refused_total = Scalar(
        Counter,
        labels=("reason",),
        starts=each("unreadable", "mismatch", "unsigned", "elsewhere"),
        unit="attempts",
        meaning="Announced weights that the engine did not load, by reason.",
        healthy="0.",
        otherwise="unreadable: the engine cannot reach the folder or URL (publish_to). mismatch: the files are "
        "incomplete or wrong. unsigned, elsewhere: whoever announced them lacks the key, or names a place outside of "
        "weights.places; the dead letters hold the announcement.",
    )
    weight_swap_seconds = Scalar(
        Histogram,
        buckets=SECONDS,
        unit="seconds",
        meaning="Time to load new weights into the engine.",
        healthy="Below a tenth of a step.",
        otherwise="Above: use a faster disk or store between learner and engine.",
    )
    admission_slots = Scalar(
        Gauge,
        labels=("state",),
        unit="groups",
        meaning="Slots of the admission window, `open` (in use) and `free`.",
        healthy="free near 0 while the run trains.",
        otherwise="free stays high: the selector does not dispatch, see its log. open does not change: see "
        "groups_closed.",
    )
    groups_dispatched_total = Scalar(
        Counter,
        labels=("purpose", "domain"),
        unit="groups",
        meaning="Groups dispatched, by purpose and domain.",
        healthy="The domains have the proportions of domain_shares.",
        otherwise="A domain is missing: no prompts of it are selected.",
    )
    domain_share = Scalar(
        Gauge,
        labels=("kind", "domain"),
        unit="fraction",
        meaning="Share of each domain. `asked`: by selector.domain_shares at this version. `trained`: of the groups "
        "that were trained, among the newest 512 dispatched.",
        healthy="trained follows asked.",
        otherwise="trained is lower: the domain's groups are filtered, because their answers score alike; select its "
        "prompts again, or ask for a larger share.",
    )
    groups_closed_total = Scalar(
        Counter,
        labels=("outcome", "reason"),
        starts=(
            *((outcome, "") for outcome in ("trained", "stale", "expired", "failed")),
            *(("filtered", reason) for reason in ("zero_variance", "cut_off", "measured")),
        ),
        unit="groups",
        meaning="Groups that ended, by outcome; filtered groups also by reason.",
        healthy="Most train groups are trained; expired, failed and stale together are below a tenth.",
        otherwise="zero_variance is high: prompts are too easy or too hard; select prompts again. expired: engines or "
        "scorers are slow. failed: check the scorers. stale: admission and max_staleness do not match.",
    )
    run_phase = Scalar(
        Gauge,
        labels=("phase",),
        unit="0 or 1",
        meaning="1 for the current phase of the run.",
        healthy="The phases follow in order.",
        otherwise="The run stays in drain or an evaluation: the selector's log says what it waits for.",
    )
    restarts_total = Scalar(
        Counter,
        labels=("service",),
        starts=each(*Service, "broker", "postgres"),
        unit="processes",
        meaning="Processes that the local stack restarted, by service.",
        healthy="0.",
        otherwise="Read the end of the service's log in logs/ of the run.",
    )
