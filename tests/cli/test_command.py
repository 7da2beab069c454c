"""The parser of a command whose options are all known: what it reads, what it refuses, and in which words."""

from dataclasses import dataclass

import pytest

from recbole_diffusion.cli.command import Command
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import argument


@dataclass(frozen=True)
class Options:
    """One option of each type."""

    file: str = argument("", "a path")
    by: str | None = argument(None, "a name")
    k: int = argument(20, "a length", low=1)
    share: float = argument(0.5, "a ratio", low=0, high=1)
    cuts: list | int = argument([10], "lengths")
    fast: bool = argument(False, "a flag")
    gpu: bool | None = argument(None, "a flag that may be unset")
    kind: str = argument("a", "a choice", choices=("a", "b"))


FOLDERS = Command("show", "DIR ...", "Shows folders.", Options, takes="DIR")
PLAIN = Command("make", "--file=FILE", "Makes a file.", Options)
OPEN = Command("cut", "--file=FILE", "Cuts.", Options, open=True)


@pytest.mark.parametrize(
    "line",
    [
        "A B --by=x --k=3 --fast",
        "A --by x B --k 3 --fast",
        "--fast A --by x --k=3 B",
        "--fast true A B --k 3 --by=x",
        "--by=x --fast=True --k=3 --k=3 A B",
    ],
)
def test_folders_and_options_come_in_any_order(line):
    given = FOLDERS.read(line.split())
    assert given.arguments == ["A", "B"]
    options = given.read(Options)
    assert (options.by, options.k, options.fast, options.share) == ("x", 3, True, 0.5)


def test_a_flag_leaves_the_next_argument_alone():
    given = FOLDERS.read(["--fast", "A", "--gpu", "false", "B"])
    assert (given.arguments, given.options) == (["A", "B"], {"fast": True, "gpu": False})


def test_values_are_read_by_their_type():
    argv = ["--file=007", "--by", "null", "--share=1", "--cuts=[5, 10]", "--k", "7"]
    assert PLAIN.read(argv).read(Options) == Options("007", None, 7, 1.0, [5, 10])
    assert PLAIN.read(["--cuts=5", "--by=None"]).read(Options) == Options(cuts=5, by="None")


def test_defaults_may_be_given_for_one_reading():
    given = PLAIN.read(["--k=3"])
    assert given.read(Options, {"k": 9, "share": 0.1}) == Options(k=3, share=0.1)


def test_an_open_command_hands_on_what_is_not_its_own():
    given = OPEN.read(["--load_col", "{inter: [a, b]}", "--file=x", "--n", "-1", "--val=[1, 2]"])
    assert given.options == {"file": "x"}
    assert given.rest == ["--load_col", "{inter: [a, b]}", "--n", "-1", "--val=[1, 2]"]


def test_a_folder_may_begin_with_a_dash_behind_two():
    assert FOLDERS.read(["--by=x", "--", "-A"]).arguments == ["-A"]


WRONG = {
    "": r"no arguments given; usage: recbole-diffusion make --file=FILE; --help lists all options",
    "A": "unexpected argument 'A': make takes no such argument; options are written --name=value",
    "--fil=x": r"make has no option 'fil' \(did you mean 'file'\?\); there are file, by, k, share",
    "--fas": "make has no option 'fas'",
    "--fil x": "make has no option 'fil'",
    "x --zzz": "make has no option 'zzz'; there are",
    "-k=3": "unexpected argument '-k=3'; options have two dashes: --k",
    "-k 3": "unexpected argument '-k'; options have two dashes: --k",
    "--k": "option 'k' is given without a value; write --k=VALUE, or leave it out",
    "--k --fast": "option 'k' is given without a value",
    "--k=": "option 'k' is given without a value",
    "--by=": "option 'by' is given without a value",
    "--k=many": r"option 'k' is 'many'; it takes int in \[1, inf\): a length",
    "--k=0": r"option 'k' is 0; it takes int in \[1, inf\): a length",
    "--k 2.5": "option 'k' is 2.5; it takes int",
    "--share=2": r"option 'share' is 2.0; it takes float in \[0, 1\]: a ratio",
    "--fast=maybe": "option 'fast' is 'maybe'; it takes bool: a flag",
    "--fast=1": "option 'fast' is 1; it takes bool",
    "--fast maybe": "unexpected argument 'maybe'",
    "--fast --fast=false": "option 'fast' is given twice, as True and False",
    "--k=1 --k=2": "option 'k' is given twice, as 1 and 2",
    "--kind=c": r"option 'kind' is 'c'; it takes a \| b: a choice",
    "--": "no arguments|unexpected argument '--'",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_line_is_refused_in_our_words(line):
    with pytest.raises(UsageError, match=WRONG[line]):
        PLAIN.read(line.split()).read(Options)


def test_the_help_shows_usage_and_every_option_and_reads_nothing(capsys):
    assert PLAIN.read(["--k=many", "--help"]) is None
    text = capsys.readouterr().out
    assert text.startswith("usage: recbole-diffusion make --file=FILE\n\nMakes a file.\n\n  --file=FILE\n")
    assert "  --k=20\n        a length [int in [1, inf)]\n" in text
    assert text.count("\n  --") == 8
