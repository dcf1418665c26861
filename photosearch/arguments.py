"""How the command line reads queries, in which -word excludes, and the names of folders."""

from __future__ import annotations

import os
from pathlib import Path

import click


class QueryCommand(click.Command):
    """A command that takes words which may begin with a dash; its options it knows by full name.

    Click would read the letters of -church as bundled short options.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Hand the options over first, so that nothing among the words is read as one."""
        takes_value = {
            name: not option.is_flag
            for option in self.get_params(ctx)
            if isinstance(option, click.Option)
            for name in option.opts
        }
        options: list[str] = []
        words: list[str] = []
        rest = iter(args)
        for arg in rest:
            name, equals, _ = arg.partition("=")
            if arg == "--":
                words += rest
            elif arg in takes_value or (equals and name.startswith("--") and name in takes_value):
                options.append(arg)
                if takes_value[name] and not equals:
                    value = next(rest, None)
                    if value is None:
                        return super().parse_args(ctx, [arg])  # says that the value is missing
                    options.append(value)
            elif arg.startswith("--"):
                raise click.NoSuchOption(name, possibilities=takes_value, ctx=ctx)
            else:
                words.append(arg)
        return super().parse_args(ctx, [*options, "--", *words])


class FolderPath(click.Path):
    """A folder's absolute path; whether it is there and may be read is not asked here."""

    name = "folder"

    def __init__(self) -> None:
        super().__init__(file_okay=False, readable=False, path_type=Path)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """Return `value` made absolute; links stay, and an unknown ~user is a name like others."""
        if not os.fspath(value):
            self.fail("a folder's name can't be empty.", param, ctx)
        return Path(os.path.abspath(os.path.expanduser(value)))  # noqa: PTH100, PTH111
