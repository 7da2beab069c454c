"""A command whose options are all known: its parser, built from the dataclass of options, and its help."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, TypeVar

from recbole_diffusion.cli.arguments import Declared, declared_by, defaults_of, help_asked, once, read_value
from recbole_diffusion.cli.help import option_lines, usage_text
from recbole_diffusion.errors import UsageError, did_you_mean, no_arguments, program
from recbole_diffusion.options.declare import read_options

T = TypeVar("T")


class Given(NamedTuple):
    """The content of a command line.

    Attributes:
        arguments: the arguments that are not options, such as folders.
        options: the values of the given options, unchecked.
        rest: for an open command, the options that are not its own, as given.
    """

    arguments: list[str]
    options: dict[str, Any]
    rest: list[str]

    def read(self, cls: type[T], over: Mapping[str, Any] | None = None) -> T:
        """Return the options, checked, with defaults for those that are not given.

        Args:
            cls: their dataclass.
            over: defaults that differ from the dataclass's.

        Raises:
            UsageError: a wrong type, a value out of range, or options that contradict each other.
        """
        return read_options(cls, {**defaults_of(cls), **(over or {}), **self.options})


@dataclass(frozen=True)
class Command:
    """A command: how it is called, and its help.

    Attributes:
        name: its name.
        usage: the usage line after the name.
        about: what it does, for the help.
        options: dataclass of its options.
        takes: name of the arguments that are not options, as in the usage; empty if it takes none.
        may_be_bare: whether it can be called without arguments.
        open: whether options that are not its own are passed on.
        defaults: defaults that the help shows instead of the dataclass's, by option.
        after: text of the help after the options.
    """

    name: str
    usage: str
    about: str
    options: type
    takes: str = ""
    may_be_bare: bool = False
    open: bool = False
    defaults: Mapping[str, Any] | None = None
    after: str = ""

    def usage_line(self) -> str:
        """Return the usage line, with the program as it was called."""
        return f"{program()} {self.name} {self.usage}".strip()

    def help_text(self) -> str:
        """Return the text of ``--help``."""
        lines = [usage_text([self.usage_line()]), "", self.about.strip(), ""]
        return "\n".join([*lines, *option_lines(self.options, self.defaults), self.after]).rstrip() + "\n"

    def read(self, argv: Sequence[str]) -> Given | None:
        """Parse the arguments after the command's name; return None after ``--help``, which is printed.

        Raises:
            UsageError: no argument, one that the command does not take, an option without a value, or one
                with two different values.
        """
        if help_asked(argv):
            sys.stdout.write(self.help_text())
            return None
        if not argv and not self.may_be_bare:
            raise no_arguments(self.usage_line())
        declared = declared_by(self.options)
        end = argv.index("--") if "--" in argv and self.takes else len(argv)
        options = _with_values(argv[:end], declared)
        found, rest = self._parser(declared).parse_known_intermixed_args(options)
        texts = vars(found)
        arguments = [*texts.pop("arguments", []), *argv[end + 1 :]]
        if not self.open:
            self._refuse(rest, declared)
        pairs = [(name, text) for name, several in texts.items() for text in several]
        return Given(
            arguments, once((name, read_value(name, text, declared[name])) for name, text in pairs), rest
        )

    def _parser(self, declared: Mapping[str, Declared]) -> argparse.ArgumentParser:
        """Return a parser that keeps values as text: argparse would hide our messages about them."""
        parser = _Parser(self.name, add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
        for name in declared:
            parser.add_argument(f"--{name}", dest=name, nargs="?", action="append")
        if self.takes:
            parser.add_argument("arguments", nargs="*")
        return parser

    def _refuse(self, rest: Sequence[str], declared: Mapping[str, Declared]) -> None:
        """Refuse arguments that the parser has left over, unknown options first: the next may be a value."""
        for argument in sorted(rest, key=lambda one: not one.startswith("-")):
            name = argument.lstrip("-").partition("=")[0]
            if not argument.startswith("-") or not name:
                what = "takes no such argument; options are written --name=value"
                raise UsageError(f"unexpected argument {argument!r}: {self.name} {what}")
            if not declared:
                raise UsageError(f"{self.name} takes no options, got {argument!r}")
            if name in declared:
                raise UsageError(f"unexpected argument {argument!r}; options have two dashes: --{name}")
            names = ", ".join(declared)
            raise UsageError(
                f"{self.name} has no option {name!r}{did_you_mean(name, declared)}; there are {names}"
            )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise instead of printing a usage and ending the process."""
        raise UsageError(message)


def _with_values(argv: Sequence[str], declared: Mapping[str, Declared]) -> list[str]:
    """Return the arguments with ``=true`` after each flag, or argparse would take the next one for its value.

    ``--flag true`` and ``--flag false`` are ``--flag=true`` and ``--flag=false``.
    """
    arguments: list[str] = []
    rest = list(argv)
    while rest:
        argument = rest.pop(0)
        name = argument.removeprefix("--")
        if argument.startswith("--") and name in declared and bool in declared[name].kinds:
            told = bool(rest) and rest[0].lower() in ("true", "false")
            argument += f"={rest.pop(0) if told else 'true'}"
        arguments.append(argument)
    return arguments
