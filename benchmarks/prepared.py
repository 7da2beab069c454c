"""Every set of ``prepare`` made once, from real rows in the form of its published files.

    python -m benchmarks.prepared --data_path=DATA [--only=food,baby] [--output=FILE]

The publishers' files need a login, an agreement or gigabytes. So the pairs of a set that lies in ``DATA``
(the same set where there is one) are written in the form of the published file, the rest of it made up:
columns and order of the original, zip or gzip, JSON lines or Python literals, binary records. ``prepare``
runs as a process of its own, and what it made is held against what was given, pair by pair, and against the
counts of the paper. Of published splits the parts are held against those in ``DATA``, row by row.
"""

import gzip
import io
import json
import pickle
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.io import savemat

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from recbole_diffusion.prepare.recipes import RECIPES

HERE = Path(__file__).resolve().parent.parent
DAY, FIRST = 86_400, 1_300_000_000
# Runs a command of ours; its last line is CPU seconds and peak memory.
PROGRAM = """
import sys, time
from recbole_diffusion.cli.main import main
from recbole_diffusion.storage.memory import peak_memory_mib
code = main(sys.argv[1:])
print(time.process_time(), peak_memory_mib())
sys.exit(code)
"""


@dataclass(frozen=True)
class Given:
    """A set to be made.

    Attributes:
        name: its name in ``prepare``.
        rows_of: the sets and parts whose rows are written, ``set`` or ``set: part, part``.
        write: writes the published files of these rows, shape [rows] each column, into a folder.
        options: options of ``prepare``; without filters nothing may be lost.
        exact: whether what is made must have every pair that was given.
        split: whether its parts must be those of the set of ``rows_of``.
        repeats: whether pairs may stand in it more than once.
    """

    name: str
    rows_of: str
    write: Callable[[pd.DataFrame, Path], None]
    options: tuple[str, ...] = ()
    exact: bool = True
    split: bool = False
    repeats: bool = False


def rows_in(data: Path, rows_of: str, products: bool = True) -> pd.DataFrame:
    """Return user, item, rating (5 where a set has none), part and time, later parts later.

    Items of a set with an .item file have the product ids in it, if ``products``.
    """
    name, _, parts = rows_of.partition(": ")
    files = [f"{name}.{part}.inter" for part in parts.split(", ")] if parts else [f"{name}.inter"]
    tables = [pd.read_csv(data / name / file, sep="\t", dtype=str, keep_default_na=False) for file in files]
    for number, table in enumerate(tables):
        table.columns = [column.partition(":")[0] for column in table.columns]
        table["part"] = number
    rows = pd.concat(tables, ignore_index=True)
    described = data / name / f"{name}.item"
    if products and described.is_file():
        known = pd.read_csv(described, sep="\t", dtype=str, keep_default_na=False)
        if "asin:token" in known:
            rows["item_id"] = rows.item_id.map(dict(zip(known.iloc[:, 0], known["asin:token"], strict=True)))
    if "rating" not in rows:
        rows["rating"] = "5"
    rows["time"] = FIRST + rows["part"] * 1000 * DAY + np.arange(len(rows)) % 1000 * DAY
    return rows


def food(rows: pd.DataFrame, folder: Path) -> None:
    """Food.com: quoted reviews with line breaks, and a row of 3 stars after each hundredth."""
    days = pd.to_datetime(rows.time, unit="s").dt.strftime("%Y-%m-%d")
    with (folder / "RAW_interactions.csv").open("w", encoding="utf-8") as file:
        file.write("user_id,recipe_id,date,rating,review\n")
        for number, (user, item, day) in enumerate(zip(rows.user_id, rows.item_id, days, strict=True)):
            file.write(f'{user},{item},{day},{4 + number % 2},"Good, and\nquick: ""again"""\n')
            if number % 100 == 0:
                file.write(f"{user},{item},2000-01-01,3,\n")


def kuairec(rows: pd.DataFrame, folder: Path) -> None:
    """KuaiRec: the last part is the fully exposed matrix; a view that was broken off after each tenth row."""
    exposed = rows.part == rows.part.max()
    with zipfile.ZipFile(folder / "KuaiRec.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, some in (("big_matrix.csv", rows[~exposed]), ("small_matrix.csv", rows[exposed])):
            text = io.StringIO()
            text.write("user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n")
            columns = zip(some.user_id, some.item_id, some.time, strict=True)
            for number, (user, item, moment) in enumerate(columns):
                text.write(f"{user},{item},13838,5000,,20200705,{moment}.5,2.7676\n")
                if number % 10 == 0:
                    text.write(f"{user},{item},100,5000,,20200705,{moment}.5,0.02\n")
            archive.writestr(f"KuaiRec 2.0/data/{name}", text.getvalue())


def yelp(rows: pd.DataFrame, folder: Path) -> None:
    """Yelp: a JSON object a line."""
    moments = pd.to_datetime(rows.time, unit="s").dt.strftime("%Y-%m-%d %H:%M:%S")
    with (folder / "yelp_academic_dataset_review.json").open("w", encoding="utf-8") as file:
        for user, item, moment in zip(rows.user_id, rows.item_id, moments, strict=True):
            review = {"review_id": "x", "user_id": user, "business_id": item, "stars": 5.0, "useful": 0}
            file.write(json.dumps(review | {"text": "Crème brûlée!", "date": moment}) + "\n")


def reviews(category: str) -> Callable[[pd.DataFrame, Path], None]:
    """Return a writer of Amazon's reviews of a category: gzipped JSON lines."""

    def write(rows: pd.DataFrame, folder: Path) -> None:
        columns = zip(rows.user_id, rows.item_id, rows.rating, rows.time, strict=True)
        with gzip.open(folder / f"reviews_{category}_5.json.gz", "wt", compresslevel=1) as file:
            for user, item, rating, moment in columns:
                review = {"reviewerID": user, "asin": item, "reviewerName": 'A. "B"', "helpful": [0, 0]}
                review |= {"reviewText": "fine", "overall": float(rating), "unixReviewTime": int(moment)}
                file.write(json.dumps(review) + "\n")

    return write


def ratings(rows: pd.DataFrame, folder: Path) -> None:
    """Amazon's file of all ratings of a category, which ``prepare`` cuts to its 5-core."""
    columns = ["user_id", "item_id", "rating", "time"]
    rows[columns].to_csv(folder / "ratings_Apps_for_Android.csv", header=False, index=False)


def product(category: str) -> Callable[[pd.DataFrame, Path], None]:
    """Return a writer of reviews, metadata (Python literals) and image features by product id.

    Features are random; one item in fifty has none.
    """

    def write(rows: pd.DataFrame, folder: Path) -> None:
        reviews(category)(rows, folder)
        products = rows.item_id.unique().tolist()
        generator = np.random.default_rng(0)
        with gzip.open(folder / f"meta_{category}.json.gz", "wt", compresslevel=1) as file:
            for number, asin in enumerate(products):
                record = {
                    "asin": asin,
                    "title": f"Baby's toy {number % 97}",
                    "categories": [["Baby", "Toys"]],
                }
                file.write(f"{record}\n")
        with (folder / f"image_features_{category}.b").open("wb") as file:
            for number, asin in enumerate(products):
                if number % 50:
                    file.write(asin.encode() + generator.standard_normal(4096, np.float32).tobytes())

    return write


Writer = Callable[[pd.DataFrame, Path], None]


def in_rows(*names: str, between: str = "\t", end: str = "\r\n", value: bool = True) -> Writer:
    """Return a writer of a file for each part: a row is a user, an item and what stands third."""

    def write(rows: pd.DataFrame, folder: Path) -> None:
        third = rows.columns[2] if value else None
        for part, name in enumerate(names):
            some = rows[rows.part == part]
            columns = [some.user_id, some.item_id, *([some[third]] if third else [])]
            with (folder / name).open("w", newline="") as file:
                file.writelines(between.join(row) + end for row in zip(*columns, strict=True))

    return write


def in_lists(*names: str) -> Writer:
    """Return a writer of a file for each part: a line is a user and the items."""

    def write(rows: pd.DataFrame, folder: Path) -> None:
        for part, name in enumerate(names):
            with (folder / name).open("w") as file:
                for user, items in rows[rows.part == part].groupby("user_id", sort=False).item_id:
                    file.write(f"{user} {' '.join(items)}\n")

    return write


def gowalla_of_two(rows: pd.DataFrame, folder: Path) -> None:
    """The rows as LightGCN's three files, the last part, of TV-Diff's authors, as a fourth."""
    in_rows("0", "1", "tvdiff_test.txt", between=" ", value=False)(rows, folder)
    for name in ("0", "1"):
        (folder / name).unlink()
    in_lists("train.txt", "valid.txt", "test.txt")(rows.assign(part=np.arange(len(rows)) % 3), folder)


def movielens(rows: pd.DataFrame, folder: Path) -> None:
    """All ratings in GroupLens' archive, in no order; the last part as a CSV file."""
    in_rows("0", "1", "TESTSET_1M.csv", between=",", end="\n")(rows, folder)
    mixed = rows.sample(frac=1, random_state=0)
    columns = zip(mixed.user_id, mixed.item_id, mixed.rating, strict=True)
    text = "".join(f"{user}::{item}::{rating}::978300760\n" for user, item, rating in columns)
    with zipfile.ZipFile(folder / "ml-1m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ml-1m/ratings.dat", text)


def movielens_alone(rows: pd.DataFrame, folder: Path) -> None:
    """All ratings in GroupLens' archive."""
    columns = zip(rows.user_id, rows.item_id, rows.rating, rows.time, strict=True)
    text = "".join(f"{user}::{item}::{rating}::{moment}\n" for user, item, rating, moment in columns)
    with zipfile.ZipFile(folder / "ml-1m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ml-1m/ratings.dat", text)


Row = tuple[int, int, int]  # user, item, part
LOG = 151_878  # pairs of kuairec_part's published test_iid


def kuairec_of_two(rows: pd.DataFrame, folder: Path) -> None:
    """DRGO's two files; held-out rows that went as unknown to train are made up, at their places in the draw.

    Raises:
        RuntimeError: the parts are not those of the draw, or there is no number for such a row.
    """
    table = rows[["user_id", "item_id", "part"]].astype(int).sort_values(["user_id", "item_id"])
    log = table[table.part < 3].to_numpy()
    trained = set(log[log[:, 2] == 0, 1].tolist())
    drawn = np.empty(LOG, np.int64)
    cuts = (7 * LOG + 5) // 10, (8 * LOG + 5) // 10
    for part, some in enumerate(np.split(np.random.default_rng(2026).permutation(LOG), cuts)):
        drawn[some] = part
    after = 4 * int(log[:, 1].max())
    # Between two training rows stand the rows of the other parts, some of which are at hand, in this order.
    log, drawn = np.vstack([[[0, -1, 0]], log]), np.append(0, drawn)
    gaps = np.split(drawn, np.flatnonzero(drawn == 0))[1:]
    at_hand = np.split(log, np.flatnonzero(log[:, 2] == 0))[1:]
    pairs: list[Row] = []
    for number, (parts, own) in enumerate(zip(gaps, at_hand, strict=True)):
        following = at_hand[number + 1][:1].tolist() if number + 1 < len(at_hand) else [[after, 0, 0]]
        rows_here = [tuple(row) for row in own.tolist() + following]
        found = _filled(parts.tolist()[1:], rows_here[1:], rows_here[0], trained, after)
        if found is None:
            raise RuntimeError("kuairec_part: its parts are not those of the draw")
        pairs += [rows_here[0], *found]
    order = np.random.default_rng(0).permutation(LOG).tolist()
    lines = [f"{pairs[1 + row][0]} {pairs[1 + row][1]} 1\n" for row in order]
    (folder / "test_iid.txt").write_text("".join(lines))
    shifted = table[table.part == 3].to_numpy().tolist()
    stranger = f"{pairs[1][0]} {after} 1\n"
    (folder / "test_ood.txt").write_text(stranger + "".join(f"{u} {i} 1\n" for u, i, _ in shifted))


def _filled(parts: list[int], rows: list[Row], last: Row, known: set[int], after: int) -> list[Row] | None:
    """Return a row for each of ``parts``: those of ``rows`` but for the last of them, and others made up.

    A row that is made up has the user of the one before and an item that is not known, and keeps the order
    of users and items. None: there are no such rows.
    """
    if not parts:
        return [] if len(rows) == 1 else None
    (user, item, _), (next_user, next_item, part) = last, rows[0]
    if len(rows) > 1 and part == parts[0]:
        found = _filled(parts[1:], rows[1:], rows[0], known, after)
        if found is not None:
            return [rows[0], *found]
    end = next_item if next_user == user else after
    free = next((one for one in range(item + 1, end) if one not in known), None)
    if free is None:
        return None
    made_up = user, free, parts[0]
    found = _filled(parts[1:], rows, made_up, known, after)
    return None if found is None else [made_up, *found]


def dense(name: str) -> Writer:
    """Return a writer of a tab-separated file with plain names of its columns."""

    def write(rows: pd.DataFrame, folder: Path) -> None:
        rows[["user_id", "item_id", "rating"]].to_csv(folder / name, sep="\t", index=False)

    return write


def epinions(category: int) -> Writer:
    """Return a writer of the MATLAB file: each tenth pair twice, another category after each third row."""

    def write(rows: pd.DataFrame, folder: Path) -> None:
        columns = [rows.user_id, rows.item_id, rows.rating, rows.timestamp]
        user, item, rating, period = (column.astype(float).to_numpy() for column in columns)
        helpful, own = np.full(len(rows), 4.0), np.full(len(rows), float(category))
        table = np.stack([user, item, own, rating, helpful, period], 1)
        earlier, other = table[::10].copy(), table[::3].copy()
        earlier[:, 3], other[:, 2] = 6 - earlier[:, 3], category + 1
        savemat(folder / "epinions_rating_with_timestamp.mat", {"rating": np.vstack([other, earlier, table])})

    return write


def tiktok(rows: pd.DataFrame, folder: Path) -> None:
    """Pickled matrices, and features made up."""
    users, items = rows.user_id.astype(int), rows.item_id.astype(int)
    shape = int(users.max()) + 1, int(items.max()) + 1
    for part, name in enumerate(("trnMat.pkl", "valMat.pkl", "tstMat.pkl")):
        some = rows.part == part
        cells = np.ones(int(some.sum())), (users[some].to_numpy(), items[some].to_numpy())
        (folder / name).write_bytes(pickle.dumps(sparse.coo_matrix(cells, shape)))
    for modality in ("image", "audio"):
        np.save(folder / f"{modality}_feat.npy", np.random.default_rng(0).random((shape[1], 128), np.float32))


PAIR = "train.txt", "test.txt"
FIT = "train_fit, valid, test"
FOUR = "train, valid, test_iid, test_ood"
OPEN = ("--min_user=0", "--min_item=0")
SETS = (
    Given("food", f"food: {FOUR}", food, OPEN),
    Given("food", f"food: {FOUR}", food, ("--min_item=15",), exact=False),
    Given("kuairec", f"kuairec_part: {FOUR}", kuairec),
    Given("yelp2018", "gowalla: train, valid, test", yelp, OPEN),
    Given("yelp2018", "gowalla: train, valid, test", yelp, exact=False),
    Given("apps_android", "apps_android_part: train, test", reviews("Apps_for_Android")),
    Given("apps_android", "amazon_movies", ratings, exact=False),
    Given("baby", "baby: train, valid, test", product("Baby"), ("--text=tfidf",)),
    Given("sports", "baby: train, valid, test", product("Sports_and_Outdoors"), ("--text=tfidf",)),
    Given("clothing", "baby: train, valid, test", product("Clothing_Shoes_and_Jewelry"), ("--text=tfidf",)),
    Given("amazon_video", "amazon_movies", reviews("Movies_and_TV")),
    Given("amazon_book", "amazon_books", reviews("Books")),
    Given("amazon_music", "douban_music", reviews("CDs_and_Vinyl")),
    Given("lastfm", "lastfm: train, test", in_rows(*PAIR), split=True),
    Given("amazon-beauty", "amazon-beauty: train, test", in_rows(*PAIR), split=True),
    Given("douban-book", "douban-book: train, test", in_lists(*PAIR), split=True),
    Given(
        *("gowalla", "gowalla: train, valid, test", in_lists("train.txt", "valid.txt", "test.txt")),
        split=True,
    ),
    Given("yelp2018_lightgcn", "lastfm: train, test", in_lists(*PAIR)),
    Given("gowalla_tvdiff", f"gowalla_tvdiff: {FIT}", gowalla_of_two, split=True),
    Given(
        "ml-100k_dgrm",
        "ml-100k_dgrm: train, test",
        in_rows("trainset_100k.csv", "testset_100k.csv", between=",", end="\n"),
        split=True,
    ),
    Given("ml-1m", "ml-1m", movielens_alone),
    Given("ml-1m_dgrm", f"ml-1m_dgrm: {FIT}", movielens, split=True),
    Given(
        "food_drgo",
        f"food: {FOUR}",
        in_rows(
            *("train.txt", "valid_iid.txt", "test_iid.txt", "test.txt"), between=" ", end=" 1\n", value=False
        ),
        split=True,
    ),
    Given("tiktok", "tiktok: train, valid, test", tiktok, split=True),
    Given("kuairec_part", f"kuairec_part: {FOUR}", kuairec_of_two, split=True),
    Given("amazon_books", "amazon_books", dense("Amazon-Books-Dense.inter"), split=True, repeats=True),
    Given("amazon_movies", "amazon_movies", dense("Amazon-Movies-Dense.inter"), split=True, repeats=True),
    *(
        Given(f"epinions_c{number}", f"epinions_c{number}", epinions(number), split=True)
        for number in (3, 4, 5)
    ),
    Given("douban_book", "douban_book", in_rows("ratings.dat"), split=True),
    Given("douban_music", "douban_music", in_rows("ratings.dat"), split=True),
)


def run(given: Given, source: Path, output: Path) -> tuple[float, float, str]:
    """Run ``prepare``; return CPU seconds, peak memory in MiB and what it said.

    Raises:
        RuntimeError: it failed.
    """
    words = [given.name, f"--source={source}", f"--output={output}", "--force=true", *given.options]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "prepare", *words],
        cwd=HERE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"prepare {' '.join(words)}: {done.stdout}")
    text, _, last = done.stdout.rstrip("\n").rpartition("\n")
    seconds, peak = map(float, last.split())
    return seconds, peak, text


def pairs_in(folder: Path, repeats: bool) -> set[tuple[str, str]]:
    """Return the pairs of user and item of a prepared set.

    Raises:
        RuntimeError: a pair is in two parts, or twice in one, and not ``repeats``.
    """
    found: set[tuple[str, str]] = set()
    rows = 0
    for file in folder.glob("*.inter"):
        if list(folder.glob("*.train_fit.inter")) and file.name.endswith(".train.inter"):
            continue  # train_fit and valid together
        table = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False).iloc[:, :2]
        found |= set(table.itertuples(index=False, name=None))
        rows += len(table)
    if rows != len(found) and not repeats:
        raise RuntimeError(f"{folder}: {rows} rows are {len(found)} pairs")
    return found


def check_parts(made: Path, data: Path) -> None:  # made/NAME.PART.inter, data/OTHER/OTHER.PART.inter
    """Hold the rows of each part against those of the same part in ``data``, if it is there.

    Raises:
        RuntimeError: they differ, in order too, or no part is there.
    """
    compared = 0
    for file in sorted(made.glob("*.inter")):
        other = data / file.name.replace(made.name, data.name, 1)
        if other.is_file():
            ours, theirs = (
                pd.read_csv(one, sep="\t", dtype=str, keep_default_na=False) for one in (file, other)
            )
            same = np.array_equal(ours.to_numpy(), theirs[ours.columns].to_numpy())
            if not same:
                raise RuntimeError(f"{file.name} has other rows than {other}")
            compared += 1
    if not compared:
        raise RuntimeError(f"{data} has none of the parts of {made}")


def rows_of_table(given: Given, data: Path) -> Iterator[str]:
    """Make one set and yield its row of the table."""
    with tempfile.TemporaryDirectory() as temporary:
        source, output = Path(temporary, "source"), Path(temporary, "made")
        source.mkdir()
        rows = rows_in(data, given.rows_of, products=not given.split)
        given.write(rows, source)
        seconds, peak, said = run(given, source, output)
        made = pairs_in(output / given.name, given.repeats)
        if given.split:
            check_parts(output / given.name, data / given.rows_of.partition(":")[0])
        record = json.loads((output / given.name / "prepare.json").read_text(encoding="utf-8"))
    wanted = set(zip(rows.user_id, rows.item_id, strict=True))
    if not made <= wanted or (given.exact and made != wanted):
        raise RuntimeError(f"{given.name}: {len(made)} pairs were made of {len(wanted)}:\n{said}")
    paper, counts = RECIPES[given.name].paper, record["found"]
    told = "warns" if "not the paper's" in said or "differ" in said else "agrees"
    cells = [
        *(given.name, given.rows_of.partition(":")[0], " ".join(given.options), f"{len(wanted):,}"),
        "its parts" if given.split else "all" if given.exact else "filtered",
        " / ".join(f"{counts[name]:,}" for name in ("users", "items", "interactions")),
        f"{paper.users:,} / {paper.items:,} / {paper.interactions:,}" if paper else "",
        told if paper else "",
        *(f"{len(rows) / 1e3:,.0f}", f"{seconds:.1f}", f"{peak:,.0f}"),
    ]
    yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Make every set, and show the page."""
    parser = page_parser(__doc__)
    parser.add_argument("--data_path", type=Path, help="folder that holds food/, baby/, ...")
    parser.add_argument("--only", default="", help="names of sets, with commas")
    asked = parser.parse_args()
    if asked.data_path is None:
        parser.error("--data_path is needed: the folder that holds food/, baby/, ...")
    only = set(filter(None, asked.only.split(",")))
    lines = [
        "# `prepare`: every set made once",
        "",
        "Real pairs of user and item, of the same set where there is one, written in the form of the",
        "published file and made into a set by `prepare`, in a process of its own. Times, texts, image",
        "features and, where a set has none, ratings are made up. Rows marked *all* keep every pair that",
        "was given, in one part of the set and in no other; *its parts*, those of a published split,",
        "have the rows, row by row, that the published tables were made with, the validation part that",
        "`prepare` draws included; the others are filtered, by the options or the set's own filters, and",
        "have nothing that was not given. *Paper* has the counts of the paper's table, *says* what",
        "`prepare` says of them: a warning is right wherever what was given is not all that the paper",
        "counts, as in the test parts of LastFM, Beauty and Douban-Book, here without the rows whose user",
        "or item has no training row.",
        "",
        *table_head(
            *("set", "rows of", "options", "pairs given", "kept"),
            *("made: users / items / rows", "paper", "says"),
            *("1000 rows given", "CPU s", "peak MiB"),
            words=3,
        ),
    ]
    for given in SETS:
        if not only or given.name in only:
            lines += rows_of_table(given, asked.data_path.resolve())
            print(lines[-1], file=sys.stderr, flush=True)
    lines += ["", f"`python -m benchmarks.prepared --data_path=DATA`; {machine()};", f"{stack()}."]
    show_page(lines, asked.output)


if __name__ == "__main__":
    main()
