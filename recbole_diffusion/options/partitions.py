"""Options of GRU4RecCPR and SASRecCPR, whose constructors and scores RecBole guards by bare assertions."""

from collections.abc import Mapping
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import refusal
from recbole_diffusion.options.evaluation import modes_of
from recbole_diffusion.options.whole_number import whole_number

WITH_PARTITIONS = ("GRU4RecCPR", "SASRecCPR")


def check_partitions(final: Mapping[str, Any]) -> None:
    """Check the partitions of a model that has them.

    Raises:
        UsageError: they have another form than the model takes, the numbers of facets do not add up, or the
            evaluation draws candidates, which these models do not score.
    """
    if final["model"] not in WITH_PARTITIONS:
        return
    sizes = _sizes(final["reranker_CAN_NUM"])
    if final["n_facet_emb"] not in (0, 2):
        raise refusal("n_facet_emb", final["n_facet_emb"], "0 or 2")
    own, each = ("n_facet", "n_facet_context", "n_facet_emb"), "n_facet_reranker"
    total = sum(final[name] for name in own) + final[each] * len(sizes)
    if total != final["n_facet_all"]:
        raise UsageError(
            f"n_facet_all is {final['n_facet_all']}; {final['model']} takes the sum of {', '.join(own)} and, "
            f"for each number of reranker_CAN_NUM, {each}: {total}"
        )
    if modes_of(final["eval_args"]) != {"full"}:
        raise UsageError(
            f"eval_args.mode is {final['eval_args']['mode']!r}, but {final['model']} of RecBole scores all "
            "items at once and no single ones; set it to full"
        )


def check_size(config: Any, dataset: Any) -> None:
    """Check that a partition has no more items than there are, the padding among them.

    Raises:
        UsageError: it has.
    """
    if config["model"] not in WITH_PARTITIONS:
        return
    most = max(_sizes(config["reranker_CAN_NUM"]))
    if most > dataset.item_num:
        raise UsageError(
            f"reranker_CAN_NUM is {config['reranker_CAN_NUM']}: {config['model']} chooses that many items, "
            f"but data set {config['dataset']!r} has only {dataset.item_num - 1}; give smaller numbers"
        )


def _sizes(given: Any) -> list[int]:
    """Return the sizes of the partitions, from one number or numbers with commas in a text."""
    texts = [one.strip() for one in str(given).split(",")]
    sizes = [one for one in map(whole_number, texts) if one is not None]
    if len(sizes) < len(texts) or min(sizes) < 1 or sizes != sorted(set(sizes), reverse=True):
        takes = 'a whole number from 1, or several that fall in a text, such as "500,100,20"'
        raise refusal("reranker_CAN_NUM", given, takes)
    return sizes
