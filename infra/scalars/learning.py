"""Scalars of the learner's steps and of the held-out evaluations."""

from prometheus_client import Counter, Gauge, Histogram

from infra.scalars.row import SECONDS, MetricSection, OnlyLogged, Scalar, each
from infra.scalars.weighted_histogram import WeightedHistogram

_VERSIONS = (0, 1, 2, 3, 4, 6, 8, 16)


class LearningMetrics(MetricSection):
    learner_reward = Scalar(
        Gauge,
        labels=("domain",),
        logged="reward/{domain}",
        field="rewards",
        unit="score, 0 to 1",
        meaning="Mean score of the step's responses per domain, before shaping.",
        healthy="Rises over tens of steps; single steps have noise of about 1 / sqrt(responses).",
        otherwise="Flat: check groups_closed for zero variance (too easy or too hard) and check learning_rate. Rises "
        "while heldout_score does not: the policy exploits the reward; read responses in the report and calibrate the "
        "judge against a verifier.",
    )
    reward_all = Scalar(
        OnlyLogged,
        logged="reward/all",
        field="reward",
        unit="score, 0 to 1",
        meaning="Mean score of the step's responses over all domains, before shaping.",
        healthy="See learner_reward.",
        otherwise="See learner_reward.",
    )
    learner_shaped_reward = Scalar(
        Gauge,
        logged="reward_shaped",
        field="shaped_reward",
        unit="score, 0 to 1",
        meaning="Mean reward that the step optimised: the scores after overlong penalty and KL.",
        healthy="Close to the reward; the gap is the cost of shaping.",
        otherwise="The gap grows: responses run into the token limit (response_tokens), or the policy moves away from "
        "its reference (kl).",
    )
    heldout_score = Scalar(
        Gauge,
        labels=("label", "domain"),
        logged="heldout/{domain}",
        unit="score, 0 to 1",
        meaning="Mean score on held-out prompts, by domain and `overall`.",
        healthy="Rises with the reward, at least half as far.",
        otherwise="Falls while the reward rises: stop, take an earlier version, and look for responses that the scorer "
        "overrates.",
    )
    learner_loss = Scalar(
        Gauge,
        labels=("kind",),
        logged="loss/{kind}",
        field={"policy": "policy_loss", "value": "value_loss", "positive_nll": "nll_loss"},
        unit="nats; squared score for `value`",
        meaning="Losses of the step, each before its coefficient: `policy` (clipped surrogate), `value`, "
        "`positive_nll`.",
        healthy="policy: near 0, of either sign; it does not measure progress. value: falls at first, then follows the "
        "variance of the reward. positive_nll: about the entropy.",
        otherwise="value rises for tens of steps: lower learner.value.learning_rate, or pre-train the value model.",
    )
    learner_entropy = Scalar(
        Gauge,
        logged="entropy",
        field="entropy",
        unit="nats per token",
        meaning="Mean entropy of the policy's distribution over the tokens trained on.",
        healthy="Falls slowly and stays above a tenth of its first value.",
        otherwise="Collapses: raise clip_high, add objective.entropy or a KL term, or lower the learning rate. Keeps "
        "rising: the policy drifts into noise; check logprob_diff and kl.",
    )
    learner_clip_fraction = Scalar(
        Gauge,
        logged="clip_fraction",
        field="clip_fraction",
        unit="fraction of tokens",
        meaning="Tokens whose ratio was clipped.",
        healthy="0.002 to 0.1 with token ratios; 0.05 to 0.3 with objective.ratio = sequence.",
        otherwise="Higher: updates are too large or samples too old; lower learning_rate, minibatches or "
        "admission.staleness. 0: each batch has a single update, or the learning rate is far too low.",
    )
    ratio = Scalar(
        OnlyLogged,
        logged="ratio",
        field="ratio",
        unit="ratio",
        meaning="Mean PPO ratio: the policy's probabilities over those of the clip's denominator.",
        healthy="0.99 to 1.01.",
        otherwise="See clip_fraction.",
    )
    learner_importance_weight = Scalar(
        Gauge,
        logged="importance_weight",
        field="importance_weight",
        unit="ratio",
        meaning="Mean of p_proximal / p_behaviour before truncation: how far the step's policy is from the sampling "
        "policies.",
        healthy="0.95 to 1.05; a wider range with more staleness.",
        otherwise="Outside: engine and learner disagree (logprob_diff), or samples are too old (staleness).",
    )
    learner_importance_clip_fraction = Scalar(
        Gauge,
        logged="importance_clip_fraction",
        field="importance_clip_fraction",
        unit="fraction of tokens",
        meaning="Tokens whose importance weight was truncated or rejected.",
        healthy="Below 0.01.",
        otherwise="See importance_weight; these tokens were generated and scored, and are not fully used.",
    )
    learner_kl = Scalar(
        Gauge,
        logged="kl",
        field="kl",
        unit="nats per token",
        meaning="Estimated KL divergence from the policy to its reference; 0 if there is no reference.",
        healthy="Grows slowly, to a few hundredths with a KL term and to a few tenths without.",
        otherwise="Jumps: an update went wrong, check gradient_norm. Grows while heldout_score does not: raise "
        "kl.coefficient.",
    )
    learner_gradient_norm = Scalar(
        Gauge,
        labels=("model",),
        logged="gradient_norm/{model}",
        field={"policy": "policy_gradient_norm", "value": "value_gradient_norm"},
        unit="norm",
        meaning="Gradient norm before clipping, mean over the step's updates, of `policy` and `value`.",
        healthy="Within a factor of ten of its median.",
        otherwise="Spikes: single bad batches, which gradient_clip bounds. Drifts up: lower the learning rate.",
    )
    learner_logprob_diff = Scalar(
        Gauge,
        labels=("kind",),
        logged="logprob_diff/{kind}",
        field={"mean": "logprob_diff_mean", "max": "logprob_diff_max"},
        unit="nats",
        meaning="|learner - engine| log-probability of the same tokens under the same version, before any update, over "
        "responses that met no update of the engine's weights: `mean`, `max`.",
        healthy="mean below 0.02, and below 1e-4 if both compute in float32; max below 1. A small model that generates "
        "in bfloat16 is at 0.04.",
        otherwise="Higher: engine and learner do not run the same policy, because of a different precision or "
        "temperature, or weights that did not arrive. Fix this first: training on such samples is not on-policy.",
    )
    explained_variance = Scalar(
        OnlyLogged,
        logged="explained_variance",
        field="explained_variance",
        unit="fraction",
        meaning="Fraction of the returns' variance that the value model explained before the step.",
        healthy="Rises from about 0 to 0.3 and more.",
        otherwise="Stays negative: the values are worse than a constant; pre-train them, or set advantage = group.",
    )
    value_only = Scalar(
        OnlyLogged,
        logged="value_only",
        field="value_only",
        unit="0 or 1",
        meaning="1 if the step trained the value model only (value pre-training).",
        healthy="1 for the first steps of a run that pre-trains the value model, then 0.",
        otherwise="1 for too long: lower learner.value.pretrain_steps.",
    )
    masked_fraction = Scalar(
        OnlyLogged,
        logged="masked_fraction",
        field="masked_fraction",
        unit="fraction of responses",
        meaning="Responses without loss because the token limit cut them off (overlong.mask).",
        healthy="Below 0.05.",
        otherwise="Higher: raise max_new_tokens, or penalise length before the limit.",
    )
    learner_skipped_updates_total = Scalar(
        Counter,
        logged="skipped_updates",
        field="skipped_updates",
        unit="updates",
        meaning="Updates that were skipped because a gradient was not finite.",
        healthy="0.",
        otherwise="Look at the batches in bad-batches/ of the run; divergence_guard.skips_in_a_row of them end the "
        "run.",
    )
    staleness_versions = Scalar(
        Histogram,
        buckets=_VERSIONS,
        logged="staleness/{kind}",
        field={"mean": "staleness_mean", "max": "staleness_max"},
        unit="versions",
        meaning="Versions between a group's oldest token and its step: `mean` and `max` over the step's groups.",
        healthy="At most S + ceil((W - 1) / P) (trainer/curriculum/admission.py), plus one while an engine loads; 0 "
        "if S = 0.",
        otherwise="Higher: engines load new versions late (engine_policy_version, weight_swap_seconds, "
        "weights_refused).",
    )
    token_staleness_versions = Scalar(
        WeightedHistogram,
        buckets=_VERSIONS,
        logged="token_staleness/{kind}",
        field={"mean": "token_staleness"}
        | {quantile: f"token_staleness_quantiles.{quantile}" for quantile in ("p50", "p90", "p99", "max")},
        unit="versions",
        meaning="Versions between each token trained on and its step: `mean`, and the quantiles `p50`, `p90`, `p99`, "
        "`max`.",
        healthy="mean about S.",
        otherwise="Far below S: the learner waits for engines, add some. At the bound: engines wait for the learner.",
    )
    response_tokens = Scalar(
        Histogram,
        labels=("domain",),
        buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
        logged="response_tokens",
        field="response_tokens",
        unit="tokens",
        meaning="Length of the responses trained on.",
        healthy="Changes slowly, and its upper tail stays below the limit.",
        otherwise="Grows into the limit: add an overlong penalty, or raise the limit. Shrinks to a few tokens: the "
        "reward favours empty answers; read responses.",
    )
    learner_tokens_total = Scalar(
        Counter,
        labels=("kind",),
        starts=each("target", "computed"),
        logged="tokens/{kind}",
        field={"target": "targets", "computed": "tokens"},
        unit="tokens",
        meaning="Tokens that the learner processed: `target` carry loss; `computed` also counts prompts, once per "
        "group.",
        healthy="Steady.",
        otherwise="Falls: steps have fewer or shorter groups, check groups_closed and response_tokens.",
    )
    groups = Scalar(
        OnlyLogged,
        logged="groups",
        field="groups",
        unit="groups",
        meaning="Groups in the step.",
        healthy="admission.groups_per_step; fewer only at the end of a run.",
        otherwise="Fewer: no group arrived for learner.batch_wait_seconds; check the selector and the engines.",
    )
    trajectories = Scalar(
        OnlyLogged,
        logged="trajectories",
        field="trajectories",
        unit="responses",
        meaning="Responses in the step.",
        healthy="groups times selector.group_size.",
        otherwise="See groups.",
    )
    learner_step_seconds = Scalar(
        Histogram,
        labels=("phase",),
        buckets=SECONDS,
        logged="seconds/{phase}",
        field="seconds",
        unit="seconds",
        meaning="Seconds of the step by phase: `total` and its parts. `background`: writing and sending the previous "
        "version while this step ran; `wait`: how long the step's first update waited for that, part of `optimise`.",
        healthy="Steady; wait near 0; publish (a copy of the weights) and checkpoint far below optimise.",
        otherwise="wait is high: the disk or store is slow, or checkpoint_every is too small. total is high while "
        "engines wait: use a larger learner, or fewer groups per step.",
    )
    policy_version = Scalar(
        Gauge,
        field="version",
        unit="version",
        meaning="The newest policy version, in the learner and as the selector knows it.",
        healthy="Grows with each step.",
        otherwise="Does not grow: see the alert LearnerStalled (infra/prometheus/alerts.yml), admission_slots and "
        "groups_closed.",
    )
    logger_failures_total = Scalar(
        Counter,
        labels=("logger",),
        starts=each("tensorboard", "wandb"),
        unit="calls",
        meaning="Calls that TensorBoard or W&B did not accept. Training continues without them.",
        healthy="0.",
        otherwise="The first failure is in the learner's or the selector's log, with its reason: usually a full disk.",
    )
