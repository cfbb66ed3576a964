"""One selection round as one SQL expression: prompts and statistics in, one decision per prompt out.

Invariants
- Every prompt of the pool gets exactly one decision.
- A decision is a function of the pool, the statistics and the plan; the order of the rows does not matter. The tables
  may be those of a live run, or any of the same shape, such as statistics that were counted again from a log.
- A rule keeps ceil(keep_share * n) of its n candidates, or all that it admits if those are fewer. Quotas come on top.

A ranked prompt is compared with the cut of its rule, which is the value of the last one that is kept. Therefore only
values are sorted, and not the rows.
"""

import math
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Float,
    FromClause,
    Integer,
    Select,
    String,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
    tuple_,
    union_all,
)

from trainer.curriculum.decisions import Reason
from trainer.curriculum.rules.base import CandidateColumns
from trainer.curriculum.selection_plan import SelectionPlan

_QUARANTINED, _RESTING, _ORIGINAL, _UNSEEN, _RANKED = range(5)
"""States of a prompt; the first one that applies, in this order. From `_UNSEEN` on, it competes for a place."""
_NO_RULE = -1
"""Slot of the unseen, which no rule ranks."""
_NUMBERS = ("a", "b", "scores", "age", "last", "repeats")
_LEAST_EXPONENT = -700.0
"""exp(-746) is an underflow error in Postgres. Evidence with a weight of exp(-700) is none."""
_FENCE: ColumnElement[int] = literal_column("0", Integer)
"""OFFSET 0 keeps Postgres from computing a column again at each place that names it."""
_ROUNDING = 1e-9
"""0.1 * 30 is 3.0000000000000004, and means 3."""


@dataclass(frozen=True, slots=True)
class RoundQuery:
    decisions: Select[Any]
    """Columns: number (of the prompt), selected, reason, rule, value, a, b, scores, age, last, repeats; they are those
    of `infra.db.models.Selection`."""
    cuts: Select[Any]
    """Columns: rule, domain, candidates, kept, cut, as in `infra.db.models.SelectionCut`."""


def round_query(pool: FromClause, statistics: FromClause, plan: SelectionPlan) -> RoundQuery:
    """`pool` has the columns number, id, domain, origin, quarantined and route; `statistics` has those of
    `infra.db.models.PromptStats` for one run, except for the run's id.
    """
    candidates = _candidates(pool, statistics, plan)
    ranking = _ranking(candidates, plan)
    counts = _counts(ranking)
    cuts = _cuts(ranking, _places(counts, plan))
    kept = and_(ranking.c.admitted, tuple_(ranking.c.value, ranking.c.tie) <= tuple_(cuts.c.value, cuts.c.tie))
    stale = _stale_cuts(ranking, cuts, counts, kept, plan)
    return RoundQuery(_decisions(ranking, cuts, stale, kept, plan), _cut_rows(cuts, stale, plan))


def off_query(pool: FromClause) -> RoundQuery:
    """The round if Pre-PPO is off: every prompt that is not quarantined is in."""
    free = pool.c.quarantined.is_(None)
    reason = case((free, literal(str(Reason.OFF), String)), else_=literal(str(Reason.QUARANTINED), String))
    nothing = [null().label(name) for name in ("rule", "value", *_NUMBERS)]
    decisions = select(pool.c.number, free.label("selected"), reason.label("reason"), *nothing)
    no_cuts = select(literal("", String), literal("", String), literal(0), literal(0), literal(0.0, Float))
    return RoundQuery(decisions, no_cuts.where(false()))


def _candidates(pool: FromClause, statistics: FromClause, plan: SelectionPlan) -> CTE:
    """Every prompt with its state, its rule, and its posterior as of the round's version."""
    preppo, stats = plan.preppo, statistics.c
    age = func.greatest(plan.context.version - stats.evidence_version, 0)
    weight = _weight(age, plan.decay)
    evidence = select(
        stats.prompt_id,
        stats.route,
        (preppo.prior + weight * stats.successes).label("a"),
        (preppo.prior + weight * stats.failures).label("b"),
        stats.count.label("scores"),
        age.label("age"),
        stats.last,
        stats.repeats,
    ).subquery("evidence")
    states: list[tuple[ColumnElement[bool], int]] = [(pool.c.quarantined.is_not(None), _QUARANTINED)]
    if preppo.rest_after_groups:
        tired = evidence.c.repeats >= preppo.rest_after_groups * plan.context.group_size
        states.append((and_(tired, evidence.c.age < preppo.rest_versions), _RESTING))
    if preppo.originals == "keep":
        states.append((pool.c.origin != "new", _ORIGINAL))
    states.append((evidence.c.prompt_id.is_(None), _UNSEEN))
    own_route = and_(evidence.c.prompt_id == pool.c.id, evidence.c.route == pool.c.route)
    return (
        select(
            pool.c.number,
            pool.c.id.label("prompt_id"),
            pool.c.domain,
            case(*states, else_=_RANKED).label("state"),
            _rule_index(pool, plan).label("rule"),
            *(evidence.c[name] for name in _NUMBERS),
        )
        .select_from(pool.outerjoin(evidence, own_route))
        .offset(_FENCE)
        .cte("candidates")
    )


def _weight(age: ColumnElement[int], decay: float) -> ColumnElement[float]:
    """decay^age, the weight that `infra.db.statistics.posterior` gives to evidence."""
    if decay == 0:
        return case((age == 0, literal(1.0, Float)), else_=literal(0.0, Float))
    return func.exp(func.greatest(literal(math.log(decay), Float) * age, literal(_LEAST_EXPONENT, Float)))


def _rule_index(pool: FromClause, plan: SelectionPlan) -> ColumnElement[int]:
    """Index of the rule that ranks the prompt. A mixture draws it once per run, so that a prompt keeps its rule."""
    index = {rule.name: literal(number, Integer) for number, rule in enumerate(plan.rules)}
    own = plan.preppo.rule_by_domain.items()
    choices: list[tuple[ColumnElement[bool], ColumnElement[int]]]
    choices = [(pool.c.domain == domain, index[name]) for domain, name in own]
    *others, last = plan.weights
    draw, total, upto = plan.context.uniform(pool.c.id, "mixture", every_round=False), sum(plan.weights.values()), 0.0
    for name in others:
        upto += plan.weights[name] / total
        choices.append((draw < upto, index[name]))
    return case(*choices, else_=index[last]) if choices else index[last]


def _ranking(candidates: CTE, plan: SelectionPlan) -> CTE:
    """The candidates with their values. `scope` numbers the places within which a cut is made: a rule in a domain, a
    rule in all its domains, or the unseen in a domain.
    """
    c = candidates.c
    source: FromClause = candidates
    mean: ColumnElement[float] = literal(0.0, Float)
    deviation = mean
    if any(rule.uses_domain_moments for rule in plan.rules):
        moments = _domain_moments(candidates)
        source = candidates.outerjoin(moments, and_(moments.c.domain == c.domain, moments.c.rule == c.rule))
        mean, deviation = moments.c.mean, moments.c.deviation
    columns = CandidateColumns(
        context=plan.context,
        prompt_id=c.prompt_id,
        domain=c.domain,
        a=c.a,
        b=c.b,
        scores=c.scores,
        age=c.age,
        last=c.last,
        groups_without_spread=c.repeats // literal(plan.context.group_size, Integer),
        domain_mean=mean,
        domain_deviation=deviation,
    )
    rules = list(enumerate(plan.rules))
    value = case(*((c.rule == number, rule.value(columns)) for number, rule in rules))
    admits = case(*((c.rule == number, rule.admits(columns)) for number, rule in rules))
    slot = case((c.state == _UNSEEN, _NO_RULE), else_=c.rule)
    by_domain = func.hashtextextended(c.domain, cast(slot, BigInteger))
    pooled = _pooled(plan)
    scope = case((slot.in_(pooled), cast(slot, BigInteger)), else_=by_domain) if pooled else by_domain
    return (
        select(
            c.number,
            c.domain,
            c.state,
            slot.label("slot"),
            scope.label("scope"),
            case((c.state == _RANKED, admits), else_=c.state == _UNSEEN).label("admitted"),
            case((c.state == _RANKED, value), else_=literal(0.0, Float)).label("value"),
            plan.context.uniform(c.prompt_id, "tie").label("tie"),
            *(c[name] for name in _NUMBERS),
        )
        .select_from(source)
        .cte("ranking")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )


def _pooled(plan: SelectionPlan) -> list[int]:
    """Indexes of the rules that make one cut over all their domains."""
    return [number for number, rule in enumerate(plan.rules) if not rule.by_domain]


def _domain_moments(candidates: CTE) -> CTE:
    c = candidates.c
    mean = c.a / (c.a + c.b)
    return (
        select(c.domain, c.rule, func.avg(mean).label("mean"), func.stddev_pop(mean).label("deviation"))
        .where(c.state == _RANKED)
        .group_by(c.domain, c.rule)
        .cte("moments")
    )


def _counts(ranking: CTE) -> CTE:
    """Number of prompts that compete for a place, per scope and domain: a few rows."""
    c = ranking.c
    return (
        select(
            c.scope,
            c.domain,
            func.min(c.slot).label("slot"),  # a scope has one slot; a key less makes the count a third cheaper
            func.count().label("n"),
            func.count().filter(c.admitted).label("admitted"),
        )
        .where(c.state >= _UNSEEN)
        .group_by(c.scope, c.domain)
        .cte("counts")
    )


def _places(counts: CTE, plan: SelectionPlan) -> CTE:
    """Number of prompts that may be kept per scope."""
    c, preppo = counts.c, plan.preppo
    domain = case((c.slot.in_(_pooled(plan)), literal("", String)), else_=c.domain)
    n, admitted = cast(func.sum(c.n), BigInteger), cast(func.sum(c.admitted), BigInteger)
    ranked = (
        select(
            c.scope,
            c.slot,
            domain.label("domain"),
            n.label("n"),
            func.least(_ceiling(preppo.keep_share * n), admitted).label("places"),
        )
        .where(c.slot != _NO_RULE)
        .group_by(c.scope, c.slot, domain)
    )
    all_ = counts.alias("all")
    in_domain = select(func.sum(all_.c.n)).where(all_.c.domain == c.domain).scalar_subquery()
    quota = _ceiling(preppo.unseen_share * preppo.keep_share * in_domain)
    unseen = select(c.scope, c.slot, c.domain, c.n, func.least(quota, c.n).label("places"))
    return union_all(ranked, unseen.where(c.slot == _NO_RULE)).cte("places")


def _cuts(ranking: CTE, places: CTE) -> CTE:
    """Value and tie of the last prompt that is kept, per scope."""
    c = ranking.c
    place = func.row_number().over(partition_by=c.scope, order_by=(c.value, c.tie)).label("place")
    placed = select(c.scope, c.value, c.tie, place).where(c.admitted).subquery("placed")
    return (
        select(places, placed.c.value, placed.c.tie)
        .join(placed, and_(placed.c.scope == places.c.scope, placed.c.place == places.c.places))
        .cte("cuts")
    )


def _stale_cuts(ranking: CTE, cuts: CTE, counts: CTE, kept: ColumnElement[bool], plan: SelectionPlan) -> CTE | None:
    """Tie of the last stale prompt that is let in, per domain, although its rule leaves it out; None if none is."""
    c, preppo = ranking.c, plan.preppo
    oldest = plan.context.version  # no score is older
    if not 0 < preppo.stale_after_versions <= oldest or not preppo.stale_share:
        return None
    place = func.row_number().over(partition_by=c.domain, order_by=c.tie).label("place")
    n = func.count().over(partition_by=c.domain).label("n")
    left_out = (
        select(c.domain, c.tie, place, n)
        .select_from(ranking.outerjoin(cuts, cuts.c.scope == c.scope))
        .where(_is_stale(ranking, plan), ~func.coalesce(kept, false()))
        .subquery("left_out")
    )
    in_domain = (
        select(counts.c.domain, func.sum(counts.c.n).label("n"))
        .where(counts.c.slot != _NO_RULE)
        .group_by(counts.c.domain)
        .subquery("in_domain")
    )
    places = func.least(_ceiling(preppo.stale_share * preppo.keep_share * in_domain.c.n), left_out.c.n)
    return (
        select(left_out.c.domain, left_out.c.n, places.label("places"), left_out.c.tie)
        .join(in_domain, in_domain.c.domain == left_out.c.domain)
        .where(left_out.c.place == places)
        .cte("stale")
    )


def _is_stale(ranking: CTE, plan: SelectionPlan) -> ColumnElement[bool]:
    return and_(ranking.c.state == _RANKED, ranking.c.age >= plan.preppo.stale_after_versions)


def _decisions(
    ranking: CTE, cuts: CTE, stale: CTE | None, kept: ColumnElement[bool], plan: SelectionPlan
) -> Select[Any]:
    c = ranking.c
    source = ranking.outerjoin(cuts, cuts.c.scope == c.scope)
    by_rule: ColumnElement[bool] = func.coalesce(kept, false())
    refreshed: ColumnElement[bool] = false()
    if stale is not None:
        source = source.outerjoin(stale, stale.c.domain == c.domain)
        refreshed = and_(_is_stale(ranking, plan), ~by_rule, func.coalesce(c.tie <= stale.c.tie, false()))
    ranked_or_unseen = or_(by_rule, refreshed)
    reasons = [
        (c.state == _QUARANTINED, Reason.QUARANTINED),
        (c.state == _RESTING, Reason.RESTING),
        (c.state == _ORIGINAL, Reason.ORIGINAL),
        (c.state == _UNSEEN, Reason.UNSEEN),
    ]
    if stale is not None:
        reasons.append((refreshed, Reason.STALE))
    names = [(c.slot == number, rule.name) for number, rule in enumerate(plan.rules)]
    return select(
        c.number,
        case((c.state == _ORIGINAL, true()), else_=ranked_or_unseen).label("selected"),
        case(
            *((condition, literal(str(reason), String)) for condition, reason in reasons),
            else_=literal(str(Reason.RULE), String),
        ).label("reason"),
        case((c.state == _RANKED, case(*names))).label("rule"),
        case((c.state == _RANKED, c.value)).label("value"),
        *(c[name] for name in _NUMBERS),
    ).select_from(source)


def _cut_rows(cuts: CTE, stale: CTE | None, plan: SelectionPlan) -> Select[Any]:
    names = [(cuts.c.slot == number, literal(rule.name, String)) for number, rule in enumerate(plan.rules)]
    value = case((cuts.c.slot == _NO_RULE, cuts.c.tie), else_=cuts.c.value)
    rows = select(
        case(*names, else_=literal(str(Reason.UNSEEN), String)).label("rule"),
        cuts.c.domain,
        cuts.c.n.label("candidates"),
        cuts.c.places.label("kept"),
        value.label("cut"),
    )
    if stale is None:
        return rows
    own = stale.c
    both = union_all(
        rows, select(literal(str(Reason.STALE), String), own.domain, own.n, own.places, own.tie)
    ).subquery()
    return select(both)


def _ceiling(value: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(func.ceil(cast(value, Float) - _ROUNDING), BigInteger)
