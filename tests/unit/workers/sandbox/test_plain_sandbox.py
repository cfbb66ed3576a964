"""Plain subprocesses keep the contract for what they say that they enforce."""

from support.sandbox.contract import SandboxContract
from support.sandbox.probes import LIMITS, python

from workers.sandbox.base import Sandbox


class TestPlainSandbox(SandboxContract):
    kind = "subprocess"

    def test_it_says_what_it_does_not_isolate(self, sandbox: Sandbox) -> None:
        assert {"network", "files"} <= set(sandbox.isolation.missing)

    def test_its_folder_goes_with_it(self, sandbox: Sandbox) -> None:
        from pathlib import Path

        folder = Path(
            sandbox.run(python("import os; open('x', 'w'); print(os.getcwd())"), LIMITS).stdout.decode().strip()
        )
        assert "rewardstream-sandbox" in folder.name
        assert not folder.exists()
