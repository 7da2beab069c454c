"""The data sets that ``prepare`` makes: files and their addresses, licence, filters, and the paper's counts.

A size or checksum that is not published is None; ``prepare`` then only reports the one it finds.
"""

from dataclasses import replace

from recbole_diffusion.prepare import readers
from recbole_diffusion.prepare.domain import RatingDomain
from recbole_diffusion.prepare.multimodal import MultimodalSet
from recbole_diffusion.prepare.public_domains import DOMAINS
from recbole_diffusion.prepare.public_splits import PUBLISHED
from recbole_diffusion.prepare.recipe import Counts, Recipe, SourceFile
from recbole_diffusion.prepare.shifted import ShiftedSet

# Sets of CNSDiff (Appendix B and Table 3 of "Causal Negative Sampling via Diffusion Model for Out-of-
# Distribution Recommendation"): training, validation and two test parts, one drawn like the training part
# (IID), one shifted (OOD).

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
    kind=ShiftedSet(readers.read_food, threshold="min_rating", shift="temporal"),
    paper=Counts(7_809, 6_309, 216_407),
    note="the paper has 34 rows per item on average, which is impossible after an item filter of 50 that "
    "comes last; the items of the split that circulates have at least 15 rows, as with --min_item=15 "
    "(dataset/README)",
    filters={"min_rating": 4.0, "min_user": 15, "min_item": 50},
)

YELP2018 = Recipe(
    name="yelp2018",
    title="Yelp Open Dataset, reviews, popularity shift",
    # No direct address: Yelp asks for an agreement. The file changes with each edition, so it has no fixed
    # size or checksum.
    files=(SourceFile("yelp_academic_dataset_review.json", page="https://www.yelp.com/dataset"),),
    licence="Yelp Dataset License (agreement on the page): academic use, no redistribution",
    kind=ShiftedSet(readers.read_yelp, threshold="min_rating", shift="popularity"),
    paper=Counts(8_090, 13_878, 398_216),
    note="the paper names neither its edition of the Yelp data nor the order of its filters; it has 29 rows "
    "per item on average, which is impossible after an item filter of 50 that comes last",
    filters={"min_rating": 4.0, "min_user": 25, "min_item": 50},
)

KUAIREC = Recipe(
    name="kuairec",
    title="KuaiRec 2.0, watched short videos, exposure shift",
    files=(
        SourceFile(
            "KuaiRec.zip",
            page="https://kuairec.com",
            # A Zenodo record under its two addresses, then the server of the data set's first author.
            urls=(
                "https://zenodo.org/records/18164998/files/KuaiRec.zip",
                "https://zenodo.org/api/records/18164998/files/KuaiRec.zip/content",
                "https://nas.chongminggao.top:4430/datasets/KuaiRec.zip",
            ),
            # Size and MD5 as several public projects quote them for this record; not verified by our own
            # download. SHA-256: not published, not verified.
            size=431_964_858,
            md5="261550d472c48eff4990fb13c0e5bcf7",
        ),
    ),
    licence="CC BY-SA 4.0",
    kind=ShiftedSet(readers.read_kuairec, threshold="min_watch_ratio", shift="exposure"),
    paper=Counts(7_175, 10_611, 1_153_797),
    note="the paper says neither which version of KuaiRec it uses nor whether a video watched twice counts "
    "twice",
    filters={"min_watch_ratio": 2.0, "min_user": 0, "min_item": 0},
)

# Amazon's product sets of 2014. Sizes and checksums are not published and were not verified.
AMAZON_PAGE = "https://jmcauley.ucsd.edu/data/amazon/links.html"
AMAZON_SERVER = "http://snap.stanford.edu/data/amazon/productGraph"
AMAZON_LICENCE = "for research, see the page; no redistribution here"


def _amazon_files(category: str, *kinds: str) -> tuple[SourceFile, ...]:
    """Return files of a category: ``reviews``, ``meta`` and ``images``."""
    addresses = {
        "reviews": ("categoryFiles", f"reviews_{category}_5.json.gz"),
        "meta": ("categoryFiles", f"meta_{category}.json.gz"),
        "images": ("image_features/categoryFiles", f"image_features_{category}.b"),
    }
    return tuple(
        SourceFile(file, AMAZON_PAGE, (f"{AMAZON_SERVER}/{folder}/{file}",))
        for folder, file in (addresses[kind] for kind in kinds)
    )


def _multimodal(name: str, category: str, paper: Counts, note: str) -> Recipe:
    """Return the recipe of a set of CCDRec (Table 1)."""
    return Recipe(
        name=name,
        title=f"Amazon {category.replace('_', ' ')} 2014, 5-core reviews with image and text features",
        files=_amazon_files(category, "reviews", "meta", "images"),
        licence=AMAZON_LICENCE,
        kind=MultimodalSet(),
        paper=paper,
        note=note,
    )


def _domain(name: str, category: str, paper: Counts, shared: dict[str, int]) -> Recipe:
    """Return the recipe of a domain of DiffCDR (Table 1).

    The paper's counts are in thousands; Video has 1,697 K ratings in one of its tasks and 1,698 K in another.
    """
    return Recipe(
        name=name,
        title=f"Amazon {category.replace('_', ' ')} 2014, ratings of the 5-core reviews, a domain for "
        "cross-domain models",
        files=_amazon_files(category, "reviews"),
        licence=AMAZON_LICENCE,
        kind=RatingDomain(shared=shared, tolerance=1000),
        paper=paper,
        note="the paper's counts are rounded to thousands, so differences below 1,000 do not count",
        tolerance=1000,
    )


APPS = "Apps_for_Android"
# Of DGRM (Table 1).
APPS_ANDROID = Recipe(
    name="apps_android",
    title="Amazon Apps for Android 2014, ratings of the 5-core reviews",
    files=tuple(replace(file, other_form=f"ratings_{APPS}.csv") for file in _amazon_files(APPS, "reviews")),
    licence=AMAZON_LICENCE,
    kind=RatingDomain(shared={}, tolerance=0),
    paper=Counts(87_271, 13_209, 752_937),
    note="the paper's counts are those of the published 5-core file",
)

SAME = "the paper's counts are those of the published 5-core files"
CLOTHING = (
    "the published 5-core file has the paper's users and items, but 278,677 reviews: papers that use it give "
    "either number"
)
VIDEO, MUSIC, BOOK = "amazon_video", "amazon_music", "amazon_book"
RECIPES = {
    recipe.name: recipe
    for recipe in (
        FOOD,
        KUAIREC,
        YELP2018,
        APPS_ANDROID,
        _multimodal("baby", "Baby", Counts(19_445, 7_050, 160_792), SAME),
        _multimodal("sports", "Sports_and_Outdoors", Counts(35_598, 18_357, 296_337), SAME),
        _multimodal("clothing", "Clothing_Shoes_and_Jewelry", Counts(39_387, 23_033, 237_488), CLOTHING),
        _domain(VIDEO, "Movies_and_TV", Counts(124_000, 50_000, 1_697_000), {BOOK: 37_000, MUSIC: 18_000}),
        _domain(MUSIC, "CDs_and_Vinyl", Counts(75_000, 64_000, 1_097_000), {BOOK: 17_000, VIDEO: 18_000}),
        _domain(BOOK, "Books", Counts(604_000, 368_000, 8_898_000), {MUSIC: 17_000, VIDEO: 37_000}),
        *PUBLISHED,
        *DOMAINS,
    )
}
