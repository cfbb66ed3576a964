"""Prometheus metrics of every process: prefix `rewardstream_`, base units, no ids as labels.

Defined in one place so that a dashboard has one list to draw from; each process serves those it moves.
"""

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from infra.weighted_histogram import WeightedHistogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_SCORES = tuple(step / 10 for step in range(11))

messages_total = Counter("rewardstream_messages", "Records processed.", ["stage", "topic"])
dead_letters_total = Counter("rewardstream_dead_letters", "Records set aside.", ["stage", "reason"])
end_to_end_seconds = Histogram(
    "rewardstream_end_to_end_seconds", "From dispatch to the end of the stage.", ["stage"], buckets=_SECONDS
)
consumer_lag_messages = Gauge("rewardstream_consumer_lag_messages", "Records not yet read.", ["stage", "topic"])
consumer_lag_seconds = Gauge("rewardstream_consumer_lag_seconds", "Age of the oldest record in work.", ["stage"])

rollouts_total = Counter("rewardstream_rollouts", "Rollouts published.", ["domain", "finish_reason"])
tickets_skipped_total = Counter("rewardstream_tickets_skipped", "Tickets not generated.", ["reason"])
generated_tokens_total = Counter("rewardstream_generated_tokens", "Tokens sampled by the engine.")
engine_running = Gauge("rewardstream_engine_running", "Continuations in the engine.")
engine_policy_version = Gauge("rewardstream_engine_policy_version", "Version that the engine holds.")
weights_refused_total = Counter("rewardstream_weights_refused", "Announced weights not loaded.", ["reason"])
weight_swap_seconds = Histogram("rewardstream_weight_swap_seconds", "Loading new weights.", buckets=_SECONDS)

scorer_requests_total = Counter("rewardstream_scorer_requests", "Verdicts.", ["scorer", "status"])
scorer_seconds = Histogram("rewardstream_scorer_seconds", "Seconds a verdict.", ["scorer"], buckets=_SECONDS)
score = Histogram("rewardstream_score", "Scores.", ["route", "domain"], buckets=_SCORES)
judge_uncovered_mass = Histogram("rewardstream_judge_uncovered_mass", "Mass on no verdict.", buckets=_SCORES)
canary_false_positives_total = Counter("rewardstream_canary_false_positives", "Canaries called right.")
canaries_total = Counter("rewardstream_canaries", "Canaries judged.")
canary_rate = Gauge("rewardstream_canary_false_positive_share", "Share of the latest canaries called right.")
canary_alarm = Gauge("rewardstream_canary_alarm", "1 while that share is past genrm.canary_alarm.")
judge_pairs_total = Counter("rewardstream_judge_pairs", "Pairs judged in both orders.")
judge_order_flips_total = Counter("rewardstream_judge_order_flips", "Pairs whose winner changed with the order.")
judge_suspicious_total = Counter("rewardstream_judge_suspicious", "Verdicts with too little mass on their words.")
judge_prefix_hit_rate = Gauge("rewardstream_judge_prefix_hit_rate", "Prompt tokens that vLLM found computed, a share.")
scorer_unavailable = Gauge("rewardstream_scorer_unavailable", "1 while a batch is held through an outage.", ["stage"])
_ROUTES = ["domain", "verifier", "judge"]
calibration_pairs = Gauge("rewardstream_calibration_pairs", "Rollouts scored by RTV and GenRM.", _ROUTES)
calibration_agreement = Gauge("rewardstream_calibration_agreement", "Share of pairs with one opinion.", _ROUTES)
calibration_over_scoring = Gauge(
    "rewardstream_calibration_over_scoring", "Share of what the verifier calls wrong that the judge passes.", _ROUTES
)
calibration_under_scoring = Gauge(
    "rewardstream_calibration_under_scoring", "Share of what the verifier passes that the judge does not.", _ROUTES
)
calibration_mean_difference = Gauge(
    "rewardstream_calibration_mean_difference", "Mean of the judge's score less the verifier's.", _ROUTES
)
verifier_kills_total = Counter("rewardstream_verifier_kills", "Verifier processes killed.", ["reason"])
sandbox_isolation = Gauge(
    "rewardstream_sandbox_isolation", "1 for the isolation in force, and what it lacks.", ["name", "missing"]
)

admission_slots = Gauge("rewardstream_admission_slots", "Slots of the admission window.", ["state"])
groups_dispatched_total = Counter("rewardstream_groups_dispatched", "Groups dispatched.", ["purpose", "domain"])
groups_closed_total = Counter("rewardstream_groups_closed", "Groups by outcome.", ["outcome", "reason"])
run_phase = Gauge("rewardstream_run_phase", "1 for the phase the run is in.", ["phase"])
heldout_score = Gauge("rewardstream_heldout_score", "Mean held-out score.", ["label", "domain"])

policy_version = Gauge("rewardstream_policy_version", "The learner's version.")
learner_tokens_total = Counter("rewardstream_learner_tokens", "Tokens trained on.", ["kind"])
learner_step_seconds = Histogram("rewardstream_learner_step_seconds", "Step by phase.", ["phase"], buckets=_SECONDS)
_VERSIONS = (0, 1, 2, 3, 4, 6, 8, 16)
staleness_versions = Histogram(
    "rewardstream_staleness_versions", "Versions between a group's oldest token and its step.", buckets=_VERSIONS
)
token_staleness_versions = WeightedHistogram(
    "rewardstream_token_staleness_versions", "Versions between a token and its step.", _VERSIONS
)
learner_reward = Gauge("rewardstream_learner_reward", "Mean score of the last step.", ["domain"])
learner_loss = Gauge("rewardstream_learner_loss", "Loss of the last step.", ["kind"])
learner_entropy = Gauge("rewardstream_learner_entropy", "Mean token entropy of the last step, nats.")
learner_clip_share = Gauge("rewardstream_learner_clip_share", "Share of tokens clipped in the last step.")
learner_gradient_norm = Gauge("rewardstream_learner_gradient_norm", "Before clipping.", ["model"])
learner_logprob_difference = Gauge(
    "rewardstream_learner_logprob_difference", "Engine against learner, on tokens of the held version.", ["kind"]
)
learner_importance_weight = Gauge(
    "rewardstream_learner_importance_weight", "Mean of p_proximal / p_behaviour in the last step, before truncation."
)
learner_weight_cut_share = Gauge(
    "rewardstream_learner_weight_cut_share", "Share of tokens whose importance weight was truncated or rejected."
)
learner_kl = Gauge("rewardstream_learner_kl", "Estimated KL to the reference in the last step, nats a token.")
learner_shaped_reward = Gauge("rewardstream_learner_shaped_reward", "Mean reward of the last step after shaping.")
learner_skipped_updates_total = Counter(
    "rewardstream_learner_skipped_updates", "Updates not taken, because a gradient was not finite."
)
response_tokens = Histogram(
    "rewardstream_response_tokens", "Response length.", ["domain"], buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
)
restarts_total = Counter("rewardstream_restarts", "Processes restarted by the local stack.", ["service"])


def serve(host: str, port: int) -> None:
    """Start the endpoint; port 0 starts none. Raises OSError where the port is taken."""
    if port:
        start_http_server(port, addr=host)
