import sys
from pathlib import Path

# The examples of every message serve both kinds of tests.
sys.path.append(str(Path(__file__).parents[2] / "unit" / "streams"))
