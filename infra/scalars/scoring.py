"""Scalars of verifiers and judges."""

from prometheus_client import Counter, Gauge, Histogram

from infra.scalars.row import SECONDS, MetricSection, Scalar, each

_SCORES = tuple(step / 10 for step in range(11))
_PAIRED_ROUTES = ("domain", "verifier", "judge")
_UNAVAILABLE = "Check the judge's server or the verifier's process; records wait meanwhile."


class ScoringMetrics(MetricSection):
    scorer_requests_total = Scalar(
        Counter,
        labels=("scorer", "status"),
        unit="verdicts",
        meaning="Verdicts by scorer and status.",
        healthy="infra_error below one in a hundred.",
        otherwise=_UNAVAILABLE,
    )
    scorer_seconds = Scalar(
        Histogram,
        labels=("scorer",),
        buckets=SECONDS,
        unit="seconds",
        meaning="Seconds per verdict, by scorer.",
        healthy="Far below the scorer's timeout.",
        otherwise="Near it: the judge needs more capacity, rtv.workers is too low, or some answers slow a verifier "
        "down.",
    )
    score = Scalar(
        Histogram,
        labels=("route", "domain"),
        buckets=_SCORES,
        unit="score, 0 to 1",
        meaning="Scores by route and domain.",
        healthy="Spread over the range in each domain.",
        otherwise="All at one end: prompts are too easy or too hard, or a scorer always gives the same verdict.",
    )
    judge_off_verdict_mass = Scalar(
        Histogram,
        buckets=_SCORES,
        unit="probability",
        meaning="Probability that the judge gave to tokens other than the verdict words.",
        healthy="Below 0.1.",
        otherwise="Above: the prompt or the chat template does not suit the judge model.",
    )
    judge_suspicious_total = Scalar(
        Counter,
        unit="verdicts",
        meaning="Verdicts with too little probability on the verdict words.",
        healthy="Below one in a hundred.",
        otherwise="See judge_off_verdict_mass.",
    )
    canary_false_positives_total = Scalar(
        Counter,
        unit="verdicts",
        meaning="Canaries (answers that are wrong by construction) that the judge called right.",
        healthy="Below genrm.canary_alarm of the canaries.",
        otherwise="The form of an answer can fool the judge: fine-tune it on such cases, or route to verifiers.",
    )
    canaries_total = Scalar(
        Counter,
        unit="verdicts",
        meaning="Canaries judged.",
        healthy="A steady rate.",
        otherwise="None: genrm's canaries are off.",
    )
    canary_false_positive_share = Scalar(
        Gauge,
        unit="fraction",
        meaning="Fraction of the latest canaries (genrm.canary_window) that the judge called right.",
        healthy="Below genrm.canary_alarm.",
        otherwise="See canary_false_positives.",
    )
    canary_alarm = Scalar(
        Gauge,
        unit="0 or 1",
        meaning="1 while canary_false_positive_share is above genrm.canary_alarm.",
        healthy="0.",
        otherwise="See canary_false_positives.",
    )
    judge_pairs_total = Scalar(
        Counter,
        unit="pairs",
        meaning="Pairs judged in both orders.",
        healthy="A steady rate.",
        otherwise="None: pairs are off.",
    )
    judge_order_flips_total = Scalar(
        Counter,
        unit="pairs",
        meaning="Pairs whose winner changed with the order.",
        healthy="Below a fifth of judge_pairs.",
        otherwise="Above: the judge goes by position; use a larger judge, or average both orders.",
    )
    judge_prefix_hit_rate = Scalar(
        Gauge,
        unit="fraction",
        meaning="Prompt tokens that the judge's vLLM server found in its prefix cache.",
        healthy="Above 0.5 if the rubric is long.",
        otherwise="Lower: several servers share the endpoint, or the cache is too small.",
    )
    scorer_unavailable = Scalar(
        Gauge,
        labels=("stage",),
        unit="0 or 1",
        meaning="1 while a batch is held because the scorer does not answer, by stage.",
        healthy="0.",
        otherwise=_UNAVAILABLE,
    )
    calibration_pairs = Scalar(
        Gauge,
        labels=_PAIRED_ROUTES,
        unit="rollouts",
        meaning="Rollouts that both RTV and GenRM scored.",
        healthy="100 and more.",
        otherwise="Fewer: raise router.shadow_share, or wait.",
    )
    calibration_agreement = Scalar(
        Gauge,
        labels=_PAIRED_ROUTES,
        unit="fraction",
        meaning="Fraction of these rollouts on which verifier and judge agree.",
        healthy="Above 0.9.",
        otherwise="Below: read the pairs in the report; one of the two is wrong.",
    )
    calibration_over_scoring = Scalar(
        Gauge,
        labels=_PAIRED_ROUTES,
        unit="fraction",
        meaning="Of the rollouts that the verifier calls wrong, the fraction that the judge passes.",
        healthy="Below 0.1.",
        otherwise="Above: a policy learns to exploit this. Tune the judge, or route to the verifier.",
    )
    calibration_under_scoring = Scalar(
        Gauge,
        labels=_PAIRED_ROUTES,
        unit="fraction",
        meaning="Of the rollouts that the verifier passes, the fraction that the judge does not.",
        healthy="Below 0.1.",
        otherwise="Above: right answers get no reward; the judge is too strict, or does not know some answer formats.",
    )
    calibration_mean_difference = Scalar(
        Gauge,
        labels=_PAIRED_ROUTES,
        unit="score",
        meaning="Mean of the judge's score minus the verifier's.",
        healthy="Between -0.1 and 0.1.",
        otherwise="See calibration_over_scoring and calibration_under_scoring.",
    )
    verifier_kills_total = Scalar(
        Counter,
        labels=("reason",),
        starts=each("timeout", "death"),
        unit="processes",
        meaning="Verifier processes killed, by reason.",
        healthy="A few per hour.",
        otherwise="Many: some answers make a verifier slow or large; the reason names the limit.",
    )
    sandbox_isolation = Scalar(
        Gauge,
        labels=("name", "missing"),
        unit="0 or 1",
        meaning="1 for the isolation in use, with what it lacks.",
        healthy="bubblewrap.",
        otherwise="subprocess: install bubblewrap, or do not run a model's programs on this machine.",
    )
