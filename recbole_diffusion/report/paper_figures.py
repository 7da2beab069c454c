"""The figures of the papers, one entry of a table each: which models have them, and what they need."""

import importlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.report.figure import Figure
from recbole_diffusion.report.runs import RunRecord


@dataclass(frozen=True)
class PaperFigure:
    """One figure of a paper.

    Attributes:
        title: what it shows, and where it is from.
        models: names of the models that have it.
        maker: ``module:function`` below ``report.paper``. The function takes the runs by method, or with
            ``needs_model`` one loaded run by method (what :func:`~recbole_diffusion.load_run` returns), and
            the number of each method on the page, which gives its colour. It returns one figure or a list,
            or raises UsageError with what the runs lack and what to do.
        needs_model: whether it needs the trained model and the data.
    """

    title: str
    models: tuple[str, ...]
    maker: str
    needs_model: bool = False


COLD_USERS = (
    *("TGT", "CMF", "EMCDR", "SSCDR", "LACDR", "PTUPCDR", "DiffCDR"),
    *("GlobalMean", "ItemMean", "SourceOffset", "SourceRegression"),
)
PAPER_FIGURES: tuple[PaperFigure, ...] = (
    PaperFigure(
        "energy and entropy (TV-Diff, Figures 2 and 3)",
        ("TVDiff", "DiffRec", "LightGCN", "BPR"),
        "thermodynamics:energy_and_entropy",
        needs_model=True,
    ),
    PaperFigure("ablation and sensitivity (TV-Diff, Figures 4 to 11)", ("TVDiff",), "tvdiff:varied"),
    PaperFigure("false hard negatives (CNSDiff, Figure 5)", ("CNSDiff",), "cnsdiff:false_negatives"),
    PaperFigure("accuracy by hyper-parameter (CNSDiff, Figure 4)", ("CNSDiff",), "cnsdiff:by_option"),
    PaperFigure("false hard negatives by group (CNSDiff, Figures 1 and 6)", ("CNSDiff",), "cnsdiff:by_group"),
    PaperFigure("hardness of generated negatives", ("CNSDiff",), "cnsdiff:hardness"),
    PaperFigure(
        "distribution of ratings (DGRM, Figures 2 to 6)", ("DGRM", "CFGAN"), "ratings:rating_distributions"
    ),
    PaperFigure(
        "embeddings of items and users (CCDRec, Figure 4)", ("CCDRec",), "ccdrec:embeddings", needs_model=True
    ),
    PaperFigure(
        "negatives by hardness (CCDRec, Figure 5)", ("CCDRec",), "ccdrec:negatives", needs_model=True
    ),
    PaperFigure("cold and warm start (DiffCDR, Figure 3)", COLD_USERS, "cold_users:cold_and_warm"),
    PaperFigure(
        "transferred and target users by method (DiffCDR, Figure 4 a and b)",
        ("EMCDR", "SSCDR", "LACDR", "PTUPCDR", "DiffCDR"),
        "cold_users:transferred_by_method",
        needs_model=True,
    ),
    PaperFigure(
        "transferred and target users (DiffCDR, Figure 4 c and d)",
        ("DiffCDR",),
        "diffcdr:transferred_users",
        needs_model=True,
    ),
)


def paper_figures(
    methods: Mapping[str, Sequence[RunRecord]], load: Callable[[RunRecord], Any] | None
) -> tuple[list[Figure], list[str]]:
    """Make the figures that the papers of these models have.

    Args:
        methods: runs by method.
        load: returns the loaded run of a record, or raises UsageError or RunError; None leaves out figures
            that need a model.

    Returns:
        the figures, and a line for each one that could not be made.
    """
    figures: list[Figure] = []
    notes: list[str] = []
    loaded: dict[str, Any] = {}
    numbers = {name: number for number, name in enumerate(methods)}
    for one in PAPER_FIGURES:
        having: dict[str, Any] = {name: runs for name, runs in methods.items() if runs[0].model in one.models}
        if not having:
            continue
        try:
            if one.needs_model:
                if load is None:
                    raise UsageError("it needs the trained model, which --models=false does not load")
                having = _loaded(having, load, loaded, notes, one.title)
            made = _maker(one)(having, numbers)
            figures += made if isinstance(made, list) else [made]
        except (UsageError, RunError) as error:
            notes.append(f"Without {one.title}: {error}")
    return figures, notes


def _loaded(
    having: Mapping[str, Sequence[RunRecord]],
    load: Callable[[RunRecord], Any],
    loaded: dict[str, Any],
    notes: list[str],
    title: str,
) -> dict[str, Any]:
    """Return the first run of each method, loaded once for all figures; note those that cannot be loaded.

    Raises:
        UsageError: none can be loaded.
    """
    for name, runs in having.items():
        if name not in loaded:
            logging.getLogger(__name__).info("loading the model of %s", runs[0].path)
            try:
                loaded[name] = load(runs[0])
            except (UsageError, RunError) as error:
                loaded[name] = type(error)(f"the run in {runs[0].path} cannot be loaded: {error}")
    errors = {name: loaded[name] for name in having if isinstance(loaded[name], Exception)}
    if len(errors) == len(having):
        raise UsageError(str(next(iter(errors.values()))))
    notes += [f"{title} lacks {name}: {error}" for name, error in errors.items()]
    return {name: loaded[name] for name in having if name not in errors}


def _maker(one: PaperFigure) -> Callable[[Any, Mapping[str, int]], Figure | list[Figure]]:
    module, _, name = one.maker.partition(":")
    return getattr(importlib.import_module(f"recbole_diffusion.report.paper.{module}"), name)
