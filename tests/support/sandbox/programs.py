"""What a program in any sandbox is given, and what is told of it."""

import os
from pathlib import Path

import pytest

from support.sandbox.probes import LIMITS, python
from workers.sandbox.base import ExitKind, Program, Sandbox

NODE = any((Path(folder) / "node").exists() for folder in os.get_exec_path())


class ProgramContract:
    def test_a_program_reads_its_input_and_arguments_and_files(self, sandbox: Sandbox) -> None:
        source = "import sys\nprint(sys.stdin.read().upper(), sys.argv[1:], open('more').read(), __name__)"
        ran = sandbox.run(Program("python", source, "größe".encode(), ("a", "b"), {"more": b"!"}), LIMITS)
        assert (ran.ending, ran.code, ran.stderr) == (ExitKind.EXITED, 0, b"")
        assert ran.stdout.decode() == "GRÖSSE ['a', 'b'] ! __main__\n"

    @pytest.mark.parametrize(
        ("source", "code"),
        [
            ("import sys; sys.exit(3)", 3),
            ("raise ValueError", 1),
            ("import os; os._exit(0)", 0),
            ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9),
            ("import ctypes; ctypes.string_at(0)", -11),
            ("def", 1),
        ],
    )
    def test_the_exit_status_is_the_programs(self, sandbox: Sandbox, source: str, code: int) -> None:
        ran = sandbox.run(python(source), LIMITS)
        assert (ran.ending, ran.code) == (ExitKind.EXITED, code)

    def test_what_was_printed_before_the_end_is_kept(self, sandbox: Sandbox) -> None:
        ran = sandbox.run(python("import sys\nprint('out', flush=True)\nsys.stderr.write('err')\n1/0"), LIMITS)
        assert ran.stdout == b"out\n"
        assert ran.stderr.startswith(b"err")
        assert b"ZeroDivisionError" in ran.stderr

    def test_programs_in_other_languages(self, sandbox: Sandbox) -> None:
        ran = sandbox.run(Program("bash", 'read -r a b; echo $((a + b)) "$1"', b"1 2\n", ("x",)), LIMITS)
        assert (ran.ending, ran.code, ran.stdout) == (ExitKind.EXITED, 0, b"3 x\n")

    @pytest.mark.skipif(not NODE, reason="node is not installed")
    def test_an_interpreter_that_reserves_much_memory(self, sandbox: Sandbox) -> None:
        ran = sandbox.run(Program("node", "console.log([3, 1, 2].sort().join())"), LIMITS)
        assert (ran.ending, ran.code, ran.stdout) == (ExitKind.EXITED, 0, b"1,2,3\n"), ran.stderr

    def test_a_language_that_the_settings_do_not_name(self, sandbox: Sandbox) -> None:
        with pytest.raises(ValueError, match=r"'cobol'; rtv\.sandbox\.interpreters has: .*bash"):
            sandbox.run(Program("cobol", ""), LIMITS)

    def test_many_programs_each_with_its_own_result(self, sandbox: Sandbox) -> None:
        programs = [python("print(input())", str(number).encode()) for number in range(7)]
        found = sandbox.run_all(programs, LIMITS)
        assert [ran.stdout for ran in found] == [f"{number}\n".encode() for number in range(7)]

    def test_no_program_sees_what_another_left(self, sandbox: Sandbox) -> None:
        leave = "import os, sys; open('mark', 'w').close(); sys.modules['mark'] = 1; os.environ['MARK'] = '1'"
        look = "import os, sys; print(os.path.exists('mark'), 'mark' in sys.modules, 'MARK' in os.environ)"
        sandbox.run(python(leave), LIMITS)
        assert sandbox.run(python(look), LIMITS).stdout == b"False False False\n"
