"""Agreement of the two routes on the rollouts that both have scored: the view `calibration` of revision 0002.

Invariant: it is a view over `scores`, so it always agrees with them. A score above 0.5 passes on either route. Pairs in
which one scorer gave no opinion (infra_error, timeout, out of memory) are left out; a vetoed rollout counts by the
judge's own score.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, column, select, table

_COLUMNS = (
    *("run_id", "domain", "verifier", "verifier_version", "judge", "judge_version"),
    *("pairs", "verified", "over_scored", "under_scored", "mean_difference"),
)
_VIEW = table("calibration", *(column(name) for name in _COLUMNS))


@dataclass(frozen=True, slots=True)
class Calibration:
    """GenRM compared with RTV, for one run, domain and pair of scorers."""

    domain: str
    verifier: str
    """NAME@VERSION of the verifier."""
    judge: str
    """NAME@VERSION of the judge."""
    pairs: int
    verified: int
    """Pairs that the verifier passes."""
    over_scored: int
    """Pairs that the judge passes and the verifier fails."""
    under_scored: int
    """Pairs that the verifier passes and the judge fails."""
    mean_difference: float
    """Mean of the judge's score minus the verifier's."""

    @property
    def agreement(self) -> float:
        """Fraction of the pairs on which both agree."""
        return 1 - (self.over_scored + self.under_scored) / self.pairs

    @property
    def over_scoring(self) -> float | None:
        """Fraction of the rollouts that the verifier fails which the judge passes; None if it fails none."""
        wrong = self.pairs - self.verified
        return self.over_scored / wrong if wrong else None

    @property
    def under_scoring(self) -> float | None:
        """Fraction of the rollouts that the verifier passes which the judge fails; None if it passes none."""
        return self.under_scored / self.verified if self.verified else None


def read_calibration(connection: Connection, run_id: str) -> Sequence[Calibration]:
    """Rows in the order of domain, verifier and judge; empty if no rollout was scored by both routes."""
    query = select(_VIEW).where(_VIEW.c.run_id == run_id)
    order = (_VIEW.c.domain, _VIEW.c.verifier, _VIEW.c.verifier_version, _VIEW.c.judge, _VIEW.c.judge_version)
    return [
        Calibration(
            domain=row.domain,
            verifier=f"{row.verifier}@{row.verifier_version}",
            judge=f"{row.judge}@{row.judge_version}",
            pairs=row.pairs,
            verified=row.verified,
            over_scored=row.over_scored,
            under_scored=row.under_scored,
            mean_difference=row.mean_difference,
        )
        for row in connection.execute(query.order_by(*order))
    ]
