"""Options that take several values at once: `--tolerance 0 2 5`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class ManyNumbers(TyperCommand):
    """A command whose options may be followed by several whole numbers.

    `--tolerance 0 2 5` is read as `--tolerance 0 --tolerance 2 --tolerance 5`, for options that are
    declared as lists.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each further number."""
        lists = {o for p in self.params if getattr(p, "multiple", False) for o in p.opts}
        spread: list[str] = []
        option = None
        for arg in args:
            if option and arg.isdecimal() and spread[-1] != option:
                spread.append(option)
            elif arg in lists or not arg.isdecimal():
                option = arg if arg in lists else None
            spread.append(arg)
        return super().parse_args(ctx, spread)
