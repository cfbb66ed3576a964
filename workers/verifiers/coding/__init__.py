"""Tests of programs, and what stands inside the sandbox. For `code`."""
