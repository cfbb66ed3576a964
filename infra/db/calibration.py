"""How the two routes agree on the rollouts that both have scored: the view `calibration` of revision 0002.

Invariant: a view over `scores`, so it is never at odds with them. A score above 0.5 passes on either route. Pairs in
which either scorer gave no opinion (infra_error, timeout, out of memory) are left out; a vetoed rollout counts by what
the judge had said.
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
    """GenRM against RTV, of one run, domain and pair of scorers."""

    domain: str
    verifier: str
    """NAME@VERSION, as `judge`."""
    judge: str
    pairs: int
    verified: int
    """Pairs that the verifier passes."""
    over_scored: int
    """Pairs that the judge passes and the verifier does not."""
    under_scored: int
    """The reverse."""
    mean_difference: float
    """Of the judge's score less the verifier's."""

    @property
    def agreement(self) -> float:
        """Share of the pairs with one opinion."""
        return 1 - (self.over_scored + self.under_scored) / self.pairs

    @property
    def over_scoring(self) -> float | None:
        """Share of what the verifier calls wrong that the judge passes; None where there is nothing wrong."""
        wrong = self.pairs - self.verified
        return self.over_scored / wrong if wrong else None

    @property
    def under_scoring(self) -> float | None:
        """Share of what the verifier passes that the judge does not; None where it passes nothing."""
        return self.under_scored / self.verified if self.verified else None


def read_calibration(connection: Connection, run_id: str) -> Sequence[Calibration]:
    """By domain, verifier and judge; empty where no rollout was scored by both routes."""
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
