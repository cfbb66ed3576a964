"""Prometheus metrics of every process: prefix `rewardstream_`, base units, no ids as labels.

Defined in one place so that a dashboard has one list to draw from; each process serves those it moves. What each means
and when it is healthy stands in `infra.scalars`.
"""

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from infra.scalars import of_metric
from infra.weighted_histogram import WeightedHistogram


def _named(name: str) -> tuple[str, str]:
    """Name and help text, from the table of scalars."""
    return f"rewardstream_{name}", of_metric(name).help


_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_SCORES = tuple(step / 10 for step in range(11))

messages_total = Counter(*_named("messages"), ["stage", "topic"])
dead_letters_total = Counter(*_named("dead_letters"), ["stage", "reason"])
end_to_end_seconds = Histogram(*_named("end_to_end_seconds"), ["stage"], buckets=_SECONDS)
consumer_lag_messages = Gauge(*_named("consumer_lag_messages"), ["stage", "topic"])
consumer_lag_seconds = Gauge(*_named("consumer_lag_seconds"), ["stage"])

rollouts_total = Counter(*_named("rollouts"), ["domain", "finish_reason"])
tickets_skipped_total = Counter(*_named("tickets_skipped"), ["reason"])
generated_tokens_total = Counter(*_named("generated_tokens"))
engine_running = Gauge(*_named("engine_running"))
engine_policy_version = Gauge(*_named("engine_policy_version"))
weights_refused_total = Counter(*_named("weights_refused"), ["reason"])
weight_swap_seconds = Histogram(*_named("weight_swap_seconds"), buckets=_SECONDS)

scorer_requests_total = Counter(*_named("scorer_requests"), ["scorer", "status"])
scorer_seconds = Histogram(*_named("scorer_seconds"), ["scorer"], buckets=_SECONDS)
score = Histogram(*_named("score"), ["route", "domain"], buckets=_SCORES)
judge_uncovered_mass = Histogram(*_named("judge_uncovered_mass"), buckets=_SCORES)
canary_false_positives_total = Counter(*_named("canary_false_positives"))
canaries_total = Counter(*_named("canaries"))
canary_rate = Gauge(*_named("canary_false_positive_share"))
canary_alarm = Gauge(*_named("canary_alarm"))
judge_pairs_total = Counter(*_named("judge_pairs"))
judge_order_flips_total = Counter(*_named("judge_order_flips"))
judge_suspicious_total = Counter(*_named("judge_suspicious"))
judge_prefix_hit_rate = Gauge(*_named("judge_prefix_hit_rate"))
scorer_unavailable = Gauge(*_named("scorer_unavailable"), ["stage"])
_ROUTES = ["domain", "verifier", "judge"]
calibration_pairs = Gauge(*_named("calibration_pairs"), _ROUTES)
calibration_agreement = Gauge(*_named("calibration_agreement"), _ROUTES)
calibration_over_scoring = Gauge(*_named("calibration_over_scoring"), _ROUTES)
calibration_under_scoring = Gauge(*_named("calibration_under_scoring"), _ROUTES)
calibration_mean_difference = Gauge(*_named("calibration_mean_difference"), _ROUTES)
verifier_kills_total = Counter(*_named("verifier_kills"), ["reason"])
sandbox_isolation = Gauge(*_named("sandbox_isolation"), ["name", "missing"])

admission_slots = Gauge(*_named("admission_slots"), ["state"])
groups_dispatched_total = Counter(*_named("groups_dispatched"), ["purpose", "domain"])
groups_closed_total = Counter(*_named("groups_closed"), ["outcome", "reason"])
run_phase = Gauge(*_named("run_phase"), ["phase"])
heldout_score = Gauge(*_named("heldout_score"), ["label", "domain"])

policy_version = Gauge(*_named("policy_version"))
learner_tokens_total = Counter(*_named("learner_tokens"), ["kind"])
learner_step_seconds = Histogram(*_named("learner_step_seconds"), ["phase"], buckets=_SECONDS)
_VERSIONS = (0, 1, 2, 3, 4, 6, 8, 16)
staleness_versions = Histogram(*_named("staleness_versions"), buckets=_VERSIONS)
token_staleness_versions = WeightedHistogram(*_named("token_staleness_versions"), _VERSIONS)
learner_reward = Gauge(*_named("learner_reward"), ["domain"])
learner_loss = Gauge(*_named("learner_loss"), ["kind"])
learner_entropy = Gauge(*_named("learner_entropy"))
learner_clip_fraction = Gauge(*_named("learner_clip_fraction"))
learner_gradient_norm = Gauge(*_named("learner_gradient_norm"), ["model"])
learner_logprob_diff = Gauge(*_named("learner_logprob_diff"), ["kind"])
learner_importance_weight = Gauge(*_named("learner_importance_weight"))
learner_importance_clip_fraction = Gauge(*_named("learner_importance_clip_fraction"))
learner_kl = Gauge(*_named("learner_kl"))
learner_shaped_reward = Gauge(*_named("learner_shaped_reward"))
learner_skipped_updates_total = Counter(*_named("learner_skipped_updates"))
response_tokens = Histogram(*_named("response_tokens"), ["domain"], buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512))
logger_failures_total = Counter(*_named("logger_failures"), ["logger"])
restarts_total = Counter(*_named("restarts"), ["service"])


def serve(host: str, port: int) -> None:
    """Start the endpoint; port 0 starts none. Raises OSError where the port is taken."""
    if port:
        start_http_server(port, addr=host)
