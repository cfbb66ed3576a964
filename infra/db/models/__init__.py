"""The tables in Postgres as typed models of SQLAlchemy 2: everything that is queried, explained and joined."""

from infra.db.models.evaluation_tables import EvaluatedModel, EvaluatedPrompt, Evaluation, GuardCheck
from infra.db.models.prompt_tables import Prompt, PromptReference
from infra.db.models.run_tables import DispatchFactors, Group, Run, RunPrompt, SelectorPosition, StreamOffset
from infra.db.models.score_tables import PromptStats, Score
from infra.db.models.selection_tables import Selection, SelectionCut, SelectionRound
from infra.db.models.table_base import Base

__all__ = [
    "Base",
    "DispatchFactors",
    "EvaluatedModel",
    "EvaluatedPrompt",
    "Evaluation",
    "Group",
    "GuardCheck",
    "Prompt",
    "PromptReference",
    "PromptStats",
    "Run",
    "RunPrompt",
    "Score",
    "Selection",
    "SelectionCut",
    "SelectionRound",
    "SelectorPosition",
    "StreamOffset",
]
