"""Plans of experiments in YAML: rows (a model and its options) by data set, protocol and seed."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.storage import yaml_io


@dataclass(frozen=True)
class Row:
    """A model with its options, or with a grid of them.

    Attributes:
        name: what it is called in the tables.
        model: name of the model.
        datasets: names of the data sets that it runs on.
        options: its options over those of the protocol.
        grid: option -> values; the combination with the best validation score is run with every seed.
        seeds: consecutive seeds; None: the plan's.
        protocols: names of its protocols; None: all of the plan.
        weights_of: name of the row whose trained weights it scores with its own options; the points of its
            grid are compared on validation with the weights of the first seed.
        published: number of a figure of TV-Diff's paper and the value whose numbers stand beside the row's,
            as in ``recbole_diffusion/report/paper/tvdiff_figures.yaml``.
    """

    name: str
    model: str
    datasets: list[str]
    options: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, list[Any]] = field(default_factory=dict)
    seeds: list[int] | None = None
    protocols: list[str] | None = None
    weights_of: str | None = None
    published: list[Any] | None = None


@dataclass(frozen=True)
class Experiment:
    """A row on one data set under one protocol: one sweep.

    Attributes:
        row: the row.
        dataset: the data set's name.
        protocol: the protocol's name.
        seeds: the seeds of its final runs.
        given: the options of all of its runs: the protocol's and the row's.
        trials: how many draws from the model's own search space are tried; None: the row's grid.
        time_budget: when the search ends though there are draws left.
    """

    row: Row
    dataset: str
    protocol: str
    seeds: list[int]
    given: dict[str, Any]
    trials: int | None = None
    time_budget: str | float | None = None

    @property
    def group(self) -> str:
        """Return the folder, in the folder of runs, of what shares a table."""
        return f"{self.dataset}-{self.protocol}"

    @property
    def folder(self) -> str:
        """Return the folder of its sweep in the folder of runs."""
        return f"{self.group}/{self.row.name.replace(' ', '_').replace('/', '_')}"

    @property
    def points(self) -> list[dict[str, Any]]:
        """Return every combination of the grid; one without options where there is no grid."""
        values = itertools.product(*self.row.grid.values())
        return [dict(zip(self.row.grid, some, strict=True)) for some in values]

    def __str__(self) -> str:
        return f"{self.row.name} on {self.dataset}, {self.protocol}"


@dataclass(frozen=True)
class Plan:
    """What is run, and how its page shows it.

    Attributes:
        name: name of the plan's file, without its ending.
        title: heading of the page.
        text: what stands under it.
        machine: where and how it was run.
        seeds: consecutive seeds of the rows that name none.
        protocols: name -> options.
        rows: the rows.
        protocol_datasets: protocol -> the data sets that it is for; without an entry for all.
        shared: options that several rows refer to, by YAML anchors; read nowhere else.
        trials: how many draws from its model's own search space each row without a grid has; None: none.
        time_budget: when each search ends, such as 1h, though there are draws left.
        besides: options of every run that change no number, such as ``checkpoint_interval``.
        stage_cache: whether the runs share trained factorisations, in ``stages`` in the folder of runs.
        leave_out: what ``collect`` does not keep of a result.
        parts: test parts with a table each.
        metrics: columns of the tables.
        beside: test part -> metrics of it that stand in the tables of every part too.
        validations: metrics of the two validation parts, the shifted one and the other, that stand in the
            tables of every part; for runs with ``valid_shift``.
        paired: the row that is tested against every other one, or several such rows, each with those that it
            is tested against.
        paired_metrics: what is tested.
        paired_parts: the test parts that the tests are of; None: all of ``parts``.
        groups: the part whose groups of items by popularity have a table.
        best_of: name of a row -> the rows of which it has, metric by metric, the best mean.
        paper: data set -> published row -> its values of ``metrics``, null where there is none.
        paper_part: the part whose tables show them; None: every one.
        paper_kl: see ``benchmarks.rated_table``.
        distributions: see ``benchmarks.rated_table``.
    """

    name: str
    title: str
    text: str
    seeds: list[int]
    protocols: dict[str, dict[str, Any]]
    rows: list[Row]
    machine: str = ""
    protocol_datasets: dict[str, list[str]] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)
    trials: int | None = None
    time_budget: str | float | None = None
    besides: dict[str, Any] = field(default_factory=dict)
    stage_cache: bool = False
    leave_out: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=lambda: ["test"])
    metrics: list[str] = field(default_factory=lambda: ["recall@10", "ndcg@10", "recall@20", "ndcg@20"])
    beside: dict[str, list[str]] = field(default_factory=dict)
    validations: list[str] = field(default_factory=list)
    paired: str | dict[str, list[str]] | None = None
    paired_metrics: list[str] = field(default_factory=lambda: ["recall@20", "ndcg@20"])
    paired_parts: list[str] | None = None
    groups: str | None = None
    best_of: dict[str, list[str]] = field(default_factory=dict)
    paper: dict[str, dict[str, list[float | None]]] = field(default_factory=dict)
    paper_part: str | None = None
    paper_kl: dict[str, dict[str, float]] = field(default_factory=dict)
    distributions: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: str | Path) -> "Plan":
        """Read a plan.

        Raises:
            UsageError: no such file, an unknown word in it, seeds with a gap, trials that are no number, or
                two rows of one name in one table.
        """
        content = yaml_io.load_yaml(path)
        rows = [Row(**_known(Row, row, f"{path}, rows")) for row in content.pop("rows", [])]
        plan = cls(name=Path(path).stem, rows=rows, **_known(cls, content, str(path)))
        if plan.trials is not None and (type(plan.trials) is not int or plan.trials < 1):
            raise UsageError(f"{path}: trials is {plan.trials!r}; it takes a whole number from 1")
        if plan.time_budget is not None and plan.trials is None:
            raise UsageError(f"{path}: time_budget is of trials, of which there are none; give trials too")
        folders = [experiment.folder for experiment in plan.experiments()]
        twice = {folder for folder in folders if folders.count(folder) > 1}
        if twice:
            raise UsageError(f"{path}: two rows would share the folder {min(twice)}; give them two names")
        for experiment in plan.experiments():
            if experiment.row.weights_of and experiment.given.get("epochs") != 0:
                raise UsageError(f"{path}: {experiment} would train the weights on; give it epochs: 0")
            seeds = experiment.seeds
            if seeds != list(range(seeds[0], seeds[0] + len(seeds))):
                raise UsageError(
                    f"{path}: {experiment} has the seeds {seeds}; a sweep counts them up from the first, so "
                    "write them without a gap"
                )
        return plan

    def experiments(self, group: str | None = None) -> Iterator[Experiment]:
        """Yield the experiments in the order of the plan, or those of one group."""
        for row in self.rows:
            for dataset in row.datasets:
                for protocol in row.protocols or self.protocols:
                    if dataset not in self.protocol_datasets.get(protocol, [dataset]):
                        continue
                    given = {**self.protocols[protocol], **row.options}
                    trials = None if row.grid or row.weights_of else self.trials
                    search = (trials, self.time_budget if trials else None)
                    one = Experiment(row, dataset, protocol, row.seeds or self.seeds, given, *search)
                    if group in (None, one.group):
                        yield one

    def groups_of_rows(self) -> dict[str, tuple[str, str]]:
        """Return data set and protocol of each group of rows, protocols in the order of the plan."""
        datasets = dict.fromkeys(one.dataset for one in self.experiments())
        there = {one.group for one in self.experiments()}
        pairs = itertools.product(datasets, self.protocols)
        return {f"{pair[0]}-{pair[1]}": pair for pair in pairs if f"{pair[0]}-{pair[1]}" in there}


def _known(cls: type, content: Mapping[str, Any], where: str) -> dict[str, Any]:
    names = {one.name for one in fields(cls)}
    for name in content:
        if name not in names:
            raise UsageError(f"{where}: unknown word {name!r}; there are {', '.join(sorted(names))}")
    return {name: value for name, value in content.items() if value is not None}
