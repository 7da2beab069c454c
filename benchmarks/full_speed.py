"""Full rankings of RecBole's slower models: scores of all items here beside those of RecBole's class.

    python -m benchmarks.full_speed [--output=FILE]

Each side scores all items of MovieLens-100K for the same users with the same first weights, in one process
and in turn: RecBole's by ``full_sort_predict``, or by ``predict`` of 4096 pairs at a time, as RecBole's
trainer does by default, where a class has nothing else.
"""

import statistics
import tempfile
from collections.abc import Callable
from typing import Any

MODELS = ("FISM", "NAIS", "NNCF", "NeuMF", "ENMF", "MKR", "CFKG", "KGCN", "KGNNLS", "RippleNet", "DiffRec")
USERS, PAIRS, TURNS = 200, 4096, 3


def recboles(model: Any) -> Callable[[Any], Any]:
    """Return how RecBole scores all items of users."""
    import torch

    from benchmarks.pair_speed import as_recboles
    from recbole_diffusion.compat import Interaction

    plain, n_items = as_recboles(model), model.n_items

    def by_pairs(asked: Any) -> Any:
        users = asked[model.USER_ID]
        pairs = {
            model.USER_ID: users.repeat_interleave(n_items),
            model.ITEM_ID: torch.arange(n_items).repeat(len(users)),
        }
        whole = Interaction(pairs)
        blocks = (whole[start : start + PAIRS] for start in range(0, len(whole), PAIRS))
        return torch.cat([plain.predict(block) for block in blocks])

    def whole(asked: Any) -> Any:
        return plain.full_sort_predict(asked)

    try:
        whole(Interaction({model.USER_ID: torch.tensor([1])}))
    except NotImplementedError:
        return by_pairs
    return whole


def row(name: str) -> str:
    """Measure one model; return its row of the page.

    Raises:
        RuntimeError: the two sides' scores differ.
    """
    import torch

    from benchmarks.pair_speed import built, moved, seconds
    from recbole_diffusion.compat import Interaction

    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        model, _ = built(name, folder)
        plain, asked = recboles(model), Interaction({"user_id": torch.arange(1, USERS + 1)})
        if not torch.allclose(model.full_sort_predict(asked).view(-1), plain(asked).view(-1), atol=1e-5):
            raise RuntimeError(f"{name}: other scores than RecBole's")
        taken = []
        for _ in range(TURNS):
            moved(model)
            taken.append((seconds(model.full_sort_predict, [asked]), seconds(plain, [asked])))
    ours, theirs = (statistics.median(side) for side in zip(*taken, strict=True))
    way = "pairs" if plain.__name__ == "by_pairs" else "all items"
    cells = name, way, f"{ours * 1e3:,.1f} ms", f"{theirs * 1e3:,.1f} ms", f"{theirs / ours:,.1f}"
    return f"| {' | '.join(cells)} |"


def head() -> list[str]:
    """Return the page's lines before the rows."""
    from benchmarks._page import machine, stack, table_head

    return [
        "# Full rankings of RecBole's slower models",
        "",
        f"`python -m benchmarks.full_speed`; {machine('shared with other work')};",
        f"{stack()}.",
        f"Processor time of the scores of all items for {USERS} users, MovieLens-100K: medians of",
        f"{TURNS} turns. RecBole scores all items at once, user by user in FISM and NAIS, or pairs,",
        f"{PAIRS} at a time, its default. What makes the difference: FISM sums a history once; NAIS attends",
        "from item to item, not for each user again; NNCF, NeuMF, MKR and CFKG compute what is of the",
        "user or of the item alone once; KGCN and KGNNLS multiply the table of entities in place of the",
        "neighbours of each pair; the chain of DiffRec runs in the width of its hidden layer. ENMF and",
        "RippleNet are here for memory: they make no table of all pairs and dimensions.",
        "",
        *table_head("model", "RecBole scores", "ours", "RecBole", "ratio", words=2),
    ]


def main() -> None:
    """Measure every model and show the page."""
    from benchmarks.pair_speed import show_rows

    show_rows(__doc__, head, MODELS, row)


if __name__ == "__main__":
    main()
