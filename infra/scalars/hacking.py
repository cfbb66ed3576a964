"""Scalars of the watch on reward hacking and diversity, by route and domain."""

from prometheus_client import Counter, Gauge, Histogram

from infra.scalars.row import MetricSection, Scalar, each

_SERIES = ("route", "domain")
_TENTHS = tuple(step / 10 for step in range(11))
_SERIES_MEANING = "`route` is the one that rewards the domain in training; domain `overall` takes all of its domains."


class HackingMetrics(MetricSection):
    guard_credited = Scalar(
        Gauge,
        labels=_SERIES,
        unit="fraction",
        meaning="Fraction of the responses of the latest tested evaluation that the scorer of training passes. "
        + _SERIES_MEANING,
        healthy="Rises together with guard_confirmed.",
        otherwise="Rises alone: see guard_alarm.",
    )
    guard_confirmed = Scalar(
        Gauge,
        labels=_SERIES,
        unit="fraction",
        meaning="Fraction of the same responses that count as truly right: a second scorer passes them.",
        healthy="Rises together with guard_credited.",
        otherwise="Falls or stays while guard_credited rises: see guard_alarm.",
    )
    guard_z = Scalar(
        Gauge,
        labels=_SERIES,
        unit="standard deviations",
        meaning="How certain it is that guard_credited has risen above guard_confirmed since an earlier evaluation.",
        healthy="Between -3 and 3.",
        otherwise="Above guard_z_limit: see guard_alarm.",
    )
    guard_z_limit = Scalar(
        Gauge,
        labels=_SERIES,
        unit="standard deviations",
        meaning="Value of guard_z that an alarm needs; it keeps the false alarms of a run below "
        "selector.guard.false_alarm_rate.",
        healthy="Between 3 and 5; it grows slowly with the number of evaluations.",
        otherwise="Higher: the run has hundreds of evaluations, or false_alarm_rate is very low.",
    )
    guard_alarm = Scalar(
        Gauge,
        labels=_SERIES,
        unit="0 or 1",
        meaning="1 once the guard has raised an alarm: the reward of held-out responses rose, and the second scorer "
        "did not confirm it.",
        healthy="0.",
        otherwise="Read the responses that were credited and not confirmed (report, section Reward hacking). If they "
        "exploit the scorer, go back to a version before guard_alarm_version, and fine-tune the judge on them or route "
        "the domain to a verifier. selector.guard.action = reweight or stop does the first part by itself.",
    )
    guard_alarm_version = Scalar(
        Gauge,
        labels=_SERIES,
        unit="version",
        meaning="Policy version at which the first alarm was raised.",
        healthy="Absent.",
        otherwise="See guard_alarm.",
    )
    exploitation_rate = Scalar(
        Gauge,
        labels=_SERIES,
        unit="fraction",
        meaning="Of the newly credited training responses in the sample (score above 0.5 on a prompt that the first "
        "measured policy failed), the fraction that the second scorer rejects; over the latest versions.",
        healthy="Level. Its height is the scorer's share of errors on hard prompts, so it differs between domains.",
        otherwise="Rises for tens of steps: the policy learns what the scorer overrates. See guard_alarm.",
    )
    newly_credited = Scalar(
        Gauge,
        labels=_SERIES,
        unit="responses",
        meaning="Number of responses over which exploitation_rate is taken.",
        healthy="30 and more.",
        otherwise="Fewer: raise crosscheck.share, or wait.",
    )
    crosscheck_passed_over_total = Scalar(
        Counter,
        labels=("reason",),
        starts=each("old", "unscorable"),
        unit="responses",
        meaning="Responses of the sample without a second verdict, by reason: `old` (max_age_seconds), `unscorable`.",
        healthy="0.",
        otherwise="old: the second scorer is slower than the first; lower crosscheck.share. unscorable: "
        "crosscheck.scorers names a scorer that needs what the prompts do not have.",
    )
    edit_distance = Scalar(
        Histogram,
        labels=_SERIES,
        buckets=_TENTHS,
        unit="fraction of the longer response",
        meaning="Largest edit distance between five responses to one training prompt, by group of the sample.",
        healthy="Spread; it falls slowly in training.",
        otherwise="Collapses into the lowest bins: the responses follow one template. Raise objective.entropy or the "
        "clip range, and check that the scorer sees more than the form of an answer.",
    )
    policy_surprisal_nats_total = Scalar(
        Counter,
        labels=_SERIES,
        unit="nats",
        meaning="Sum of -log p over the tokens of training responses. Divided by policy_surprisal_tokens, it estimates "
        "the policy's entropy per token.",
        healthy="The quotient falls slowly, as learner_entropy does.",
        otherwise="It falls fast on one route only: that route's scorer sees only coarse differences between answers.",
    )
    policy_surprisal_tokens_total = Scalar(
        Counter,
        labels=_SERIES,
        unit="tokens",
        meaning="Number of these tokens.",
        healthy="A steady rate.",
        otherwise="See policy_surprisal_nats.",
    )
