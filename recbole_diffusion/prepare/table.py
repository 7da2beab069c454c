"""The table of data sets that ``prepare`` makes: files and where they come from, licence, filters, shift, the paper's counts.

Sets of CNSDiff (Appendix B and Table 3 of "Causal Negative Sampling via Diffusion Model for
Out-of-Distribution Recommendation"): a training, a validation and two test parts, one drawn like the training
part (IID) and one shifted (OOD).

A size or checksum that nobody has published is None; ``prepare`` then only reports what it finds.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SourceFile:
    """One published file.

    Attributes:
        name: its name, under which it is looked for and stored.
        page: where a person reads about it, and gets it where it has no direct address.
        urls: direct addresses, tried in turn; none where a login or an agreement stands before it.
        size: its length in bytes, or None.
        sha256: its SHA-256 as hexadecimal text, or None.
        md5: the MD5 that the publisher names, used where there is no SHA-256; it finds damage, not malice.
    """

    name: str
    page: str
    urls: tuple[str, ...] = ()
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None


@dataclass(frozen=True)
class Counts:
    """How large a set is."""

    users: int
    items: int
    interactions: int

    def __str__(self) -> str:
        """Return the counts as text."""
        return f"{self.users:,} users, {self.items:,} items, {self.interactions:,} interactions"


@dataclass(frozen=True)
class Recipe:
    """One set of the table.

    Attributes:
        name: the name of the set.
        title: what it is, in a few words.
        files: what it is made from.
        licence: under which terms the files may be used.
        reader: ``module:function`` that reads the files, ``(paths by name, threshold) -> Interactions``.
        threshold: the option that says which interactions are positive, for the reader.
        filters: the paper's value of each filter option, by name.
        shift: how the OOD part is made: ``temporal``, ``popularity`` or ``exposure``.
        paper: the counts of the paper's table.
        note: what is known about the difference between the paper's counts and ours.
    """

    name: str
    title: str
    files: tuple[SourceFile, ...]
    licence: str
    reader: str
    threshold: str
    filters: dict[str, float] = field(hash=False)
    shift: str
    paper: Counts
    note: str


FOOD = Recipe(
    name="food",
    title="Food.com recipes and reviews, temporal shift",
    # No direct address: Kaggle asks for a login. Size and checksum: not verified.
    files=(
        SourceFile(
            "RAW_interactions.csv",
            page="https://www.kaggle.com/datasets/shuyangli94/food-com-recipes-and-user-interactions",
        ),
    ),
    licence="see the Kaggle page; for research, no redistribution here",
    reader="recbole_diffusion.prepare.food:read",
    threshold="min_rating",
    filters={"min_rating": 4.0, "min_user": 15, "min_item": 50},
    shift="temporal",
    paper=Counts(7_809, 6_309, 216_407),
    note="the paper's rows are 34 an item on average, which an item filter of 50 that comes last cannot "
    "leave; in the split that "
    "circulates the items stop at 15 rows, as with --min_item=15 (dataset/README.md)",
)

YELP2018 = Recipe(
    name="yelp2018",
    title="Yelp Open Dataset, reviews, popularity shift",
    # No direct address: Yelp asks for an agreement. The file changes with each edition, so it has no fixed
    # size or checksum.
    files=(SourceFile("yelp_academic_dataset_review.json", page="https://www.yelp.com/dataset"),),
    licence="Yelp Dataset License (agreement on the page): academic use, no redistribution",
    reader="recbole_diffusion.prepare.yelp:read",
    threshold="min_rating",
    filters={"min_rating": 4.0, "min_user": 25, "min_item": 50},
    shift="popularity",
    paper=Counts(8_090, 13_878, 398_216),
    note="the paper names neither its edition of the Yelp data nor the order of its filters; its rows are 29 "
    "an item on average, "
    "which an item filter of 50 that comes last cannot leave",
)

KUAIREC = Recipe(
    name="kuairec",
    title="KuaiRec 2.0, watched short videos, exposure shift",
    files=(
        SourceFile(
            "KuaiRec.zip",
            page="https://kuairec.com",
            # One file of a Zenodo record under its two addresses, then the server of the data set's first
            # author.
            urls=(
                "https://zenodo.org/records/18164998/files/KuaiRec.zip",
                "https://zenodo.org/api/records/18164998/files/KuaiRec.zip/content",
                "https://nas.chongminggao.top:4430/datasets/KuaiRec.zip",
            ),
            # Size and MD5 as several public projects quote them for this record; not verified by a download
            # of our own.
            # SHA-256: not published, not verified.
            size=431_964_858,
            md5="261550d472c48eff4990fb13c0e5bcf7",
        ),
    ),
    licence="CC BY-SA 4.0",
    reader="recbole_diffusion.prepare.kuairec:read",
    threshold="min_watch_ratio",
    filters={"min_watch_ratio": 2.0, "min_user": 0, "min_item": 0},
    shift="exposure",
    paper=Counts(7_175, 10_611, 1_153_797),
    note="the paper does not say which version of KuaiRec it reads, nor whether a video watched twice counts "
    "twice",
)

RECIPES = {recipe.name: recipe for recipe in (FOOD, KUAIREC, YELP2018)}
