"""A session in any sandbox answers, or ends and says how."""

import pytest

from support.sandbox.probes import LIMITS, SOON
from workers.sandbox.base import ExitKind, Sandbox, SandboxSession, SessionEndedError


def talk(session: SandboxSession, request: bytes) -> bytes:
    session.send(request)
    return session.receive(60, 100)


class SessionContract:
    def test_a_session_answers_line_by_line(self, sandbox: Sandbox) -> None:
        with sandbox.open("while True: reply(repr(receive()).encode())", LIMITS) as session:
            for request in ({"a": [1, (2.5, None)]}, b"x" * 10**5, {frozenset([1]): "ü"}):
                session.send(request)
                assert session.receive(5, 10**6) == repr(request).encode()

    @pytest.mark.parametrize(
        ("harness", "ending"),
        [
            ("while True: pass", ExitKind.TIMEOUT),
            ("import os; os._exit(0)", ExitKind.EXITED),
            ("reply(b'x' * 2000)", ExitKind.OUTPUT),
            ("x = bytearray(2**30)", ExitKind.OOM),
            ("import os\nwhile True: os.write(1, b'x' * 4096)", ExitKind.OUTPUT),
        ],
    )
    def test_a_session_that_gives_no_answer(self, sandbox: Sandbox, harness: str, ending: ExitKind) -> None:
        with sandbox.open(harness, LIMITS) as session:
            with pytest.raises(SessionEndedError) as error:
                session.receive(0.5 if ending is ExitKind.TIMEOUT else 6, 1000)
            assert error.value.ran.ending is ending
            with pytest.raises(SessionEndedError):
                session.send(None)
            assert session.close() == error.value.ran

    def test_a_session_ends_with_its_own_limit(self, sandbox: Sandbox) -> None:
        with sandbox.open("while True: pass", SOON) as session, pytest.raises(SessionEndedError) as error:
            session.receive(60, 1000)
        assert error.value.ran.ending is ExitKind.TIMEOUT

    def test_a_program_that_shouts_cannot_wedge_it(self, sandbox: Sandbox) -> None:
        """Nobody reads what it writes while the host waits for its own write."""
        with (
            sandbox.open("import os\nwhile True: os.write(2, b'x' * 4096)", SOON) as session,
            pytest.raises(SessionEndedError) as error,
        ):
            talk(session, b"x" * 10**6)
        assert error.value.ran.ending in {ExitKind.TIMEOUT, ExitKind.OUTPUT}
