"""Test rows that a run has learned, told beside its numbers: a table is read without the log of its runs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from recbole_diffusion.report.runs import RunRecord
from recbole_diffusion.storage.seen_rows import seen_rows


def of_seen_rows(methods: Mapping[str, Sequence[RunRecord]]) -> list[str]:
    """Return a line about each kind of test rows that runs have learned, with the methods of these runs."""
    said: dict[str, list[str]] = defaultdict(list)
    for name, runs in methods.items():
        texts = [seen_rows(run.config, run.result, list(run.test_parts)) for run in runs]
        for text in dict.fromkeys(filter(None, texts)):
            said[text].append(name)
    return [f"Not metrics of unseen items, {', '.join(names)}: {text}." for text, names in said.items()]
