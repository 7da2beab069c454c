"""Amazon product sets with image and text features: reviews in three parts, and features of their items."""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recbole_diffusion.errors import UsageError, counted
from recbole_diffusion.prepare import amazon
from recbole_diffusion.prepare.interactions import Interactions
from recbole_diffusion.prepare.recipe import ADVICE, RECORD, PreparedSet, Request
from recbole_diffusion.storage.atomic import whole_set

PARTS = ("train", "valid", "test")
CORE = 5
TEXT_WIDTH = 384


@dataclass(frozen=True)
class MultimodalSet:
    """A set of three parts with features of its items.

    The files of its recipe are reviews, metadata and image features, in this order.
    """

    parts = PARTS
    options = ("seed", "text")

    def make(self, asked: Request) -> PreparedSet:
        """Write parts, features and ``prepare.json``; see :meth:`.recipe.Kind.make`.

        Raises:
            UsageError: a file is malformed or empty, or sentence vectors are required but not available.
        """
        name = asked.recipe.name
        reviews, meta, images = (asked.paths[file.name] for file in asked.recipe.files)
        found = amazon.read(reviews)
        if len(found) == 0:
            raise UsageError(f"{reviews} has no review; get the file again")
        parts = dict(
            zip(PARTS, split(found.users, np.random.default_rng(asked.options["seed"])), strict=True)
        )
        sizes = {part: len(rows) for part, rows in parts.items()}
        counts, sparse = found.counts(), too_few(found)
        # Text of another kind, and neighbours: their rows belong to the items of an earlier set.
        obsolete = (f"{name}.text_*", f"{name}.*_knn*.npz")
        with whole_set(asked.folder, ADVICE, obsolete) as draft:
            for part, rows in parts.items():
                pairs = zip(found.users[rows].tolist(), found.items[rows].tolist(), strict=True)
                pairs_text = [
                    f"{found.user_tokens[user]}\t{found.item_tokens[item]}\n" for user, item in pairs
                ]
                text = "user_id:token\titem_id:token\n" + "".join(pairs_text)
                (draft / f"{name}.{part}.inter").write_text(text, encoding="utf-8")
            features = write_features(
                draft, name, found.item_tokens, {"meta": meta, "images": images}, asked.options["text"]
            )
            described = {
                **asked.record,
                "counts": asdict(counts),
                "rows_read": found.read,
                "sizes": sizes,
                "thin": sparse,
                "features": features,
                "files": [],
                "found": asdict(counts),
            }
            (draft / RECORD).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
        lines = [
            f"rows     {found.read:,} reviews",
            f"parts    {', '.join(f'{part} {rows:,}' for part, rows in sizes.items())}",
            f"text     {features['text']}; items without text {features['items_without_text']}, "
            f"without image {features['items_without_image']}",
        ]
        few = [
            f"{counted(count, kind.removesuffix('s'), 'have')} fewer than {CORE} rows"
            for kind, count in sparse.items()
            if count
        ]
        return PreparedSet(counts, lines, [f"not a {CORE}-core set: {', '.join(few)}"] if few else [])


def too_few(found: Interactions) -> dict[str, int]:
    """Return the number of users and of items with fewer than five interactions, 0 in a 5-core set."""
    return {
        name: int((np.bincount(codes) < CORE).sum())
        for name, codes in (("users", found.users), ("items", found.items))
        if len(codes)
    }


def split(users: np.ndarray, generator: np.random.Generator) -> list[np.ndarray]:
    """Return the rows of train, valid and test by MMRec's rule, at random within each user.

    A user with n < 10 interactions has one of them in valid and one in test; from 10 on, ceil(0.8 n) are in
    train and floor(0.1 n) in valid.

    Args:
        users: code of each row's user, int64 [rows].
        generator: source of randomness.

    Returns:
        Row numbers of the three parts, ascending.
    """
    order = np.lexsort((generator.random(len(users)), users))
    counts = np.bincount(users)
    # The place of each row among its user's, int64 [rows].
    place = np.arange(len(users)) - np.repeat(counts.cumsum() - counts, counts)
    n = np.repeat(counts, counts)
    train = np.where(n < 10, np.maximum(n - 2, 1), np.ceil(n * 8 / 10)).astype(np.int64)
    valid = train + np.maximum(1, n // 10)
    part = (place >= train).astype(int) + (place >= valid)
    return [np.sort(order[part == number]) for number in range(3)]


def sentence_features(texts: list[str], model: str = "all-MiniLM-L6-v2") -> np.ndarray | None:
    """Return sentence vectors, float32 [texts, 384]; None without sentence-transformers or its model."""
    try:
        from sentence_transformers import SentenceTransformer

        return np.asarray(SentenceTransformer(model).encode(texts, show_progress_bar=False), np.float32)
    except (ImportError, OSError, RuntimeError) as error:
        logging.getLogger(__name__).warning("no sentence vectors: %s", " ".join(str(error).split())[:200])
        return None


def write_features(
    folder: Path, name: str, items: tuple[str, ...], files: Mapping[str, Path], text: str
) -> dict[str, Any]:
    """Write the features of both modalities with the tokens of their rows.

    Args:
        folder: where they are written.
        name: the name of the set.
        items: the product ids, in the order of the rows.
        files: paths of the metadata and the image features.
        text: ``sentence``, ``tfidf``, or ``auto``: sentence vectors if they are available, else TF-IDF.

    Returns:
        The entry ``features`` of ``prepare.json``.

    Raises:
        UsageError: ``sentence`` is asked for and not available.
    """
    from recbole_diffusion.data.item_columns import text_features

    texts = amazon.read_texts(files["meta"], items)
    texts = [one if re.search(r"\w", one) else "unknown" for one in texts]
    values = sentence_features(texts) if text != "tfidf" else None
    if values is None and text == "sentence":
        raise UsageError(
            "--text=sentence needs the package sentence-transformers and its model; install it with "
            "pip install 'recbole-diffusion[text]', or take --text=tfidf"
        )
    if values is None and text == "auto":
        logging.getLogger(__name__).warning("TF-IDF and SVD are used instead of sentence vectors")
    kind = "text_feat" if values is not None else "text_tfidf"  # the name of the file says what it holds
    np.save(folder / f"{name}.{kind}.npy", values if values is not None else text_features(texts, TEXT_WIDTH))
    without = amazon.write_images(files["images"], items, folder / f"{name}.image_feat.npy")
    for stem in (kind, "image_feat"):
        (folder / f"{name}.{stem}.tokens").write_text(
            "".join(f"{item}\n" for item in items), encoding="utf-8"
        )
    return {"text": kind, "items_without_text": texts.count("unknown"), "items_without_image": without}
