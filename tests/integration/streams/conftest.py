import sys
from pathlib import Path

# The examples of every message, and the tiny judge, serve both kinds of tests.
UNIT = Path(__file__).parents[2] / "unit"
sys.path += [str(UNIT / "streams"), str(UNIT / "judges")]
