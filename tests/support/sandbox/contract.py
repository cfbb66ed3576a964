"""What every sandbox does, whatever it isolates with; a bound that it lists as enforced is one that holds."""

from collections.abc import Callable, Iterator

import pytest

from infra.settings.tree import SandboxSettings
from support.sandbox.bounds import BoundsContract
from support.sandbox.isolation import IsolationContract
from support.sandbox.programs import ProgramContract
from support.sandbox.sessions import SessionContract
from workers.sandbox.base import BOUNDS, Sandbox, SandboxError
from workers.sandbox.factory import build_sandbox

SETTINGS = SandboxSettings(interpreters={"bash": ("bash",), "node": ("node",)}, file_mib=4, warm=1)
"""The limits here match it, so that the warm path is tested."""


class SandboxContract(ProgramContract, BoundsContract, IsolationContract, SessionContract):
    kind: str

    @pytest.fixture(scope="class")
    def sandbox(self) -> Iterator[Sandbox]:
        try:
            yield build_sandbox(SETTINGS.model_copy(update={"kind": self.kind}))
        except SandboxError as error:
            pytest.skip(str(error))

    @pytest.fixture
    def enforced(self, sandbox: Sandbox) -> Callable[[str], None]:
        def check(bound: str) -> None:
            if bound not in sandbox.isolation.enforced:
                assert bound in sandbox.isolation.missing
                pytest.skip(f"{sandbox.isolation.name} says that it does not bound this here: {bound}")

        return check

    def test_every_bound_is_listed_once(self, sandbox: Sandbox) -> None:
        isolation = sandbox.isolation
        assert sorted([*isolation.enforced, *isolation.missing]) == sorted(BOUNDS)
        assert all(bound in isolation.line for bound in isolation.missing)
        assert {"memory", "time", "output"} <= set(isolation.enforced)
