"""Scalars of verifiers and judges."""

from infra.scalars.table import Scalar

_UNAVAILABLE = "The judge's server, or the verifiers' process; records wait meanwhile."

SCORING = (
    Scalar(
        "scorer_requests", "", "verdicts", "Verdicts by scorer and status.", "infra_error below one in a hundred.",
        _UNAVAILABLE,
    ),
    Scalar(
        "scorer_seconds", "", "seconds", "Seconds a verdict, by scorer.", "Far below the scorer's timeout.",
        "Near it: larger judge, more rtv.workers, or a verifier that some answers make slow.",
    ),
    Scalar(
        "score", "", "score, 0 to 1", "Scores by route and domain.", "Spread over the range, in each domain.",
        "All at one end: prompts too easy or too hard, or a scorer that always says the same.",
    ),
    Scalar(
        "judge_uncovered_mass", "", "share", "Probability that the judge gave to no verdict word.", "Below 0.1.",
        "Above: the prompt or template does not fit the judge model.",
    ),
    Scalar(
        "judge_suspicious", "", "verdicts", "Verdicts with too little mass on their words.", "Below one in a hundred.",
        "As of judge_uncovered_mass.",
    ),
    Scalar(
        "canary_false_positives", "", "verdicts", "Canaries, wrong by construction, that the judge called right.",
        "Below genrm.canary_alarm of the canaries.",
        "The judge can be fooled by form: fine-tune it on such cases, or route to verifiers.",
    ),
    Scalar("canaries", "", "verdicts", "Canaries judged.", "A steady rate.", "None: genrm's canaries are off."),
    Scalar(
        "canary_false_positive_share", "", "share", "Share of the latest canaries called right.",
        "Below genrm.canary_alarm.", "As of canary_false_positives.",
    ),
    Scalar(
        "canary_alarm", "", "0 or 1", "1 while that share is past genrm.canary_alarm.", "0.",
        "As of canary_false_positives.",
    ),
    Scalar("judge_pairs", "", "pairs", "Pairs judged in both orders.", "A steady rate.", "None: pairs are off."),
    Scalar(
        "judge_order_flips", "", "pairs", "Pairs whose winner changed with the order.", "Below a fifth of judge_pairs.",
        "Above: the judge goes by position; a larger judge, or both orders averaged.",
    ),
    Scalar(
        "judge_prefix_hit_rate", "", "share", "Prompt tokens that vLLM found computed.",
        "Above 0.5 where a rubric is long.", "Lower: another server behind the same endpoint, or a cache too small.",
    ),
    Scalar(
        "scorer_unavailable", "", "0 or 1", "1 while a batch is held through an outage, by stage.", "0.", _UNAVAILABLE,
    ),
    Scalar(
        "calibration_pairs", "", "rollouts", "Rollouts that RTV and GenRM both scored.", "100 and more.",
        "Fewer: raise router.shadow_share, or wait.",
    ),
    Scalar(
        "calibration_agreement", "", "share", "Share of those pairs with one opinion.", "Above 0.9.",
        "Below: read the pairs in the report; one of both is wrong.",
    ),
    Scalar(
        "calibration_over_scoring", "", "share", "Share of what the verifier calls wrong that the judge passes.",
        "Below 0.1.", "Above: this is what a policy learns to exploit. Tune the judge, or route to the verifier.",
    ),
    Scalar(
        "calibration_under_scoring", "", "share",
        "Share of what the verifier passes that the judge does not.", "Below 0.1.",
        "Above: right answers go unpaid; the judge is too strict, or misses forms.",
    ),
    Scalar(
        "calibration_mean_difference", "", "score", "Mean of the judge's score less the verifier's.",
        "Between -0.1 and 0.1.", "As of over- and under-scoring.",
    ),
    Scalar(
        "verifier_kills", "", "processes", "Verifier processes killed, by reason.", "A few an hour.",
        "Many: answers that make a verifier slow or large; the reason tells which limit.",
    ),
    Scalar(
        "sandbox_isolation", "", "0 or 1", "1 for the isolation in force, and what it lacks.", "bubblewrap.",
        "subprocess: install bubblewrap, or do not run programs of a model on this machine.",
    ),
)  # fmt: skip
