"""torchrun as `python -m infra.cli.launch`, with the exit code of the learner's process that failed.

Invariant: who supervises a learner of several processes reads the exit codes of a single one. torchrun itself ends with
1 whatever happened, and a learner that was fenced or misconfigured would be started again.
"""

import signal
import sys
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run


def launch(arguments: Sequence[str]) -> int:
    """Returns the exit code of the first process that failed, or 128 and the number of the signal that ended it or this
    process, as shells do; 0 if all ended in order.
    """
    try:
        run(parse_args(list(arguments)))  # type: ignore[no-untyped-call]  # torch's
    except ChildFailedError as error:
        print(error, file=sys.stderr)
        code = error.get_first_failure()[1].exitcode
        return code if code >= 0 else 128 - code
    except SignalException as error:
        print(f"stopped by {signal.Signals(error.sigval).name}", file=sys.stderr)
        return 128 + error.sigval
    return 0


if __name__ == "__main__":
    sys.exit(launch(sys.argv[1:]))
