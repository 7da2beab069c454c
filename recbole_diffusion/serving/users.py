"""The users to recommend to: a file of original ids, one per line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recbole_diffusion.errors import UsageError, agreeing, counted
from recbole_diffusion.serving.id_map import IdMap
from recbole_diffusion.serving.served_run import ServedRun


@dataclass(frozen=True)
class AskedUsers:
    """The users that were asked for.

    Attributes:
        numbers: internal numbers of the known ones, int64 [n], in the order given.
        unknown: the tokens that the data set does not have.
    """

    numbers: np.ndarray
    unknown: list[str]


def read_tokens(path: Path, what: str = "user") -> list[str]:
    """Return the ids of a file, one per line, without surrounding blanks.

    Args:
        path: the file.
        what: what the ids are of, for the messages: ``user`` or ``item``.

    Raises:
        UsageError: no such file, not UTF-8, no id, an empty line, or a duplicate id; the message names the
            first lines.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read the {what}s file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"the {what}s file {path} is not UTF-8 text: {error}; it takes one id per line"
        ) from error
    tokens = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if not any(token.strip() for token in tokens):
        instead = ", or use --all" if what == "user" else ""
        raise UsageError(f"the {what}s file {path} holds no ids; it takes one per line{instead}")
    blank = [str(number) for number, token in enumerate(tokens, 1) if not token.strip()]
    first: dict[str, int] = {}
    again = [
        f"{token} in line {number} (first in line {first[token]})"
        for number, token in enumerate(tokens, 1)
        if token and first.setdefault(token, number) != number
    ]
    article = "an" if what == "item" else "a"
    wrong = [f"{_counted(len(blank), 'line is', 'lines are')} empty: {first_of(blank)}"] if blank else []
    if again:
        names = _counted(len(again), "line names", "lines name")
        wrong.append(f"{names} {article} {what} a second time: {first_of(again)}")
    if wrong:
        raise UsageError(
            f"in the {what}s file {path}, {'; '.join(wrong)}; remove "
            f"{_counted(len(blank) + len(again), 'line', 'lines')}"
        )
    return tokens


def _counted(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"


def first_of(texts: list[str]) -> str:
    """Return the first three of some texts."""
    return ", ".join(texts[:3]) + (", ..." if len(texts) > 3 else "")


def asked_users(ids: IdMap, tokens: list[Any] | None, origin: str = "the list") -> AskedUsers:
    """Return the users of some tokens, or all users.

    Args:
        ids: the run's ids of users.
        tokens: original ids, or None for all.
        origin: where the tokens are from, for the message.

    Raises:
        UsageError: none of them is known.
    """
    if tokens is None:
        return AskedUsers(np.arange(1, len(ids) + 1), [])
    numbers = ids.numbers_of(tokens)
    unknown = [str(token) for token, number in zip(tokens, numbers, strict=True) if not number]
    if len(unknown) == len(tokens):
        raise UsageError(
            f"no user of {origin} ({counted(len(tokens), 'user')}) is in the run's data set: "
            f"{first_of(unknown)}; it takes original ids, such as {ids.tokens[1]!r}. Users that the model "
            "was not trained on need their histories"
        )
    return AskedUsers(numbers[numbers > 0], unknown)


def note_on_untrained(run: ServedRun, numbers: np.ndarray | None = None) -> str | None:
    """Return a line about the users who have no row in train, so that their lists are not about them.

    None if there are none, if cold users are what the model is for, or if the data has grown and the model
    takes histories: users with new rows are folded in then.

    Args:
        run: the run.
        numbers: internal numbers of the users asked for, int64 [n]; None for all.
    """
    train = run.parts["train"]
    folded_in = run.model.takes_histories and run.today is not run.parts
    if getattr(train, "source", None) is not None or folded_in:
        return None
    known = np.zeros(len(run.users) + 1, bool)
    known[np.asarray(train.inter_feat[train.uid_field])] = True
    asked = np.arange(1, len(known)) if numbers is None else numbers
    without = asked[~known[asked]]
    if not len(without):
        return None
    names = first_of(run.users.tokens[without].tolist())
    lists = "the list is" if len(without) == 1 else "their lists are"
    return (
        f"{counted(len(without), 'user', 'have')} no row in train ({names}), so that the model has learned "
        f"nothing about them: {lists} chance, or what anybody would get"
    )


def note_on_source(run: ServedRun, unknown: list[str]) -> str | None:
    """Return a line about unknown users whom the source domain has: the model could list them; else None.

    Args:
        run: the run.
        unknown: tokens of the users asked for that the target domain does not have.
    """
    source = getattr(run.parts["train"], "source", None)
    if source is None or not unknown:
        return None
    there = set(source.field2id_token[source.uid_field][1:].astype(str).tolist())
    known = [user for user in unknown if user in there]
    if not known:
        return None
    how = "; give their ratings there as histories" if run.model.takes_histories else ""
    return (
        f"{len(known):,} of the {counted(len(unknown), 'unknown user')} {agreeing(len(known), 'are')} in the "
        f"source domain alone ({first_of(known)}){how}"
    )
