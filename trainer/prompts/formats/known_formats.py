"""Every format, and the choice of the one that some rows have.

Invariant: the first format of `FORMATS` that recognises the columns is it; those with more particular columns come
before those with fewer. Rows that no format recognises are refused with the options that name their columns.
"""

from collections.abc import Sequence

from trainer.prompts.dataset_errors import RowError
from trainer.prompts.formats.chat_messages import ChatMessages
from trainer.prompts.formats.gsm8k import Gsm8k
from trainer.prompts.formats.ifeval import InstructionBenchmarks
from trainer.prompts.formats.multiple_choice import MultipleChoice
from trainer.prompts.formats.open_instruct import OpenInstruct
from trainer.prompts.formats.own_columns import OwnColumns
from trainer.prompts.formats.preference_pairs import PreferencePairs
from trainer.prompts.formats.programming_tasks import HumanEval, InputOutput, LiveCodeBench, Mbpp, VerificationInfo
from trainer.prompts.formats.reasoning_gym import ReasoningGymEntries
from trainer.prompts.formats.row_format import Columns, Row, RowFormat
from trainer.prompts.formats.trl import TrlPrompts
from trainer.prompts.formats.verl import Verl
from trainer.prompts.formats.worked_problems import WorkedProblems

FORMATS: tuple[RowFormat, ...] = (
    PreferencePairs(),
    Verl(),
    OpenInstruct(),
    InstructionBenchmarks(),
    LiveCodeBench(),
    InputOutput(),
    VerificationInfo(),
    HumanEval(),
    Mbpp(),
    ReasoningGymEntries(),
    MultipleChoice(),
    TrlPrompts(),
    WorkedProblems(),
    Gsm8k(),
    OwnColumns(),
    ChatMessages(),
)
_SHOWN = 12


def recognise(columns: Columns, first: Sequence[Row]) -> RowFormat:
    """Returns the format of rows with these columns. Raises RowError if there is none."""
    for one in FORMATS:
        if one.recognises(columns, first):
            return one
    names = ", ".join(sorted(map(str, columns))[:_SHOWN]) or "none"
    raise RowError(
        f"no known format has these columns: {names}. If one of them is the prompt, say --column prompt=NAME, and "
        "--column ground_truth=NAME for the right answer, with --verifier NAME and --domain NAME"
    )
