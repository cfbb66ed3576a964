"""Scalars of what flows: stages, engines, groups, the run."""

from infra.scalars.table import Scalar

FLOW = (
    Scalar(
        "messages", "", "records", "Records processed, by stage and topic.",
        "Grows in every stage while the run trains.",
        "A stage that stands still: its log, and consumer_lag_messages.",
    ),
    Scalar(
        "dead_letters", "", "records", "Records set aside untouched, by stage and reason.", "0.",
        "`rewardstream dead-letters list`, `show`, and `replay` once the cause is mended.",
    ),
    Scalar(
        "end_to_end_seconds", "", "seconds", "From a group's dispatch to the end of the stage.",
        "Far below admission.deadline_seconds.",
        "Near it: groups will expire; the stage where the seconds jump is the slow one.",
    ),
    Scalar(
        "consumer_lag_messages", "", "records", "Records of a topic that the stage has not read.",
        "Goes up and down; bounded by the admission slots times group_size.",
        "Only rises: give the stage more replicas, up to topics.partitions.",
    ),
    Scalar(
        "consumer_lag_seconds", "", "seconds", "Age of the oldest record that the stage works on.",
        "Below a step's seconds times the allowed staleness.",
        "Above: what is scored now will be too old to train on.",
    ),
    Scalar(
        "rollouts", "", "responses", "Responses published, by domain and finish reason.",
        "finish reason `length` below a tenth.", "More cut off: raise max_new_tokens, or penalise length.",
    ),
    Scalar(
        "tickets_skipped", "", "groups", "Groups that an engine did not generate, by reason.", "0.",
        "overdue: too few engines for the slots. Otherwise the reason says it.",
    ),
    Scalar(
        "generated_tokens", "", "tokens", "Tokens that engines sampled.", "A steady rate.",
        "The rate falls while engine_running is high: another process takes the device.",
    ),
    Scalar(
        "engine_running", "", "responses", "Responses that the engine decodes together.",
        "Near engine.max_running while the run trains; falls at the end of a synchronous step.",
        "Low: the engine waits for tickets; raise admission.staleness or groups_per_step.",
    ),
    Scalar(
        "engine_policy_version", "", "version", "Version that the engine holds.",
        "policy_version, or one less for a moment.", "Further behind: weights_refused, weight_swap_seconds.",
    ),
    Scalar(
        "weights_refused", "", "attempts", "Announced weights that the engine did not load, by reason.", "0.",
        "unreadable: the engine does not reach the folder or URL (publish_to). mismatch: torn or wrong files.",
    ),
    Scalar(
        "weight_swap_seconds", "", "seconds", "Loading new weights into the engine.", "Below a tenth of a step.",
        "Above: a faster disk or store between learner and engine.",
    ),
    Scalar(
        "admission_slots", "", "groups", "Slots of the admission window, `open` and `free`.",
        "free near 0 while the run trains.",
        "free stays high: the selector does not dispatch, see its log. open stands still: see groups_closed.",
    ),
    Scalar(
        "groups_dispatched", "", "groups", "Groups dispatched, by purpose and domain.",
        "Domains in the proportions of domain_shares.", "A domain is missing: it has no selected prompts.",
    ),
    Scalar(
        "groups_closed", "", "groups", "Groups that ended, by outcome, and by reason where filtered.",
        "trained is most of the train groups; expired, failed and stale below a tenth together.",
        "zero_variance high: prompts are too easy or too hard, select anew. expired: slow engines or scorers. failed: "
        "scorers. stale: admission and max_staleness do not fit.",
    ),
    Scalar(
        "run_phase", "", "0 or 1", "1 for the phase that the run is in.", "Phases come in their order.",
        "Stands in drain or an evaluation: the selector's log says what it waits for.",
    ),
    Scalar(
        "restarts", "", "processes", "Processes that the local stack restarted, by service.", "0.",
        "The service's log under logs/ of the run, from its end.",
    ),
)  # fmt: skip
