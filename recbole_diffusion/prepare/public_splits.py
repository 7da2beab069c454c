"""The splits that authors publish in their repositories, with the validation parts of the published tables.

Addresses name a commit where one is known, so that they keep meaning the same file. Sizes are given where the
rows at hand, written in the form of the file, have the size that an index of public repositories has of it;
nothing was downloaded to verify it.
"""

from recbole_diffusion.prepare.divided import DividedLog
from recbole_diffusion.prepare.matrices import MatrixSet
from recbole_diffusion.prepare.pair_files import Part
from recbole_diffusion.prepare.published import PublishedParts, PublishedRatings, PublishedSplit
from recbole_diffusion.prepare.recipe import Counts, Recipe, SourceFile
from recbole_diffusion.prepare.repositories import IN_A_REPOSITORY, RAW, file_of

TVDIFF = "umsimonchen/TV-Diff"
LASTFM_COMMIT = "d8f686314a6a9743185a00c00707808e7a04259a"
BEAUTY_COMMIT = "948ecdfc6f974987452f672a41c698536e9bab33"
GOWALLA_COMMIT = "7ea946e5020cb0ac92ef6d02df974bd1dbeaa11b"
LIGHTGCN, LIGHTGCN_COMMIT = "gusye1234/LightGCN-PyTorch", "ae21737f61af8bdb068549a1ffb9e7a4ba8d5413"
LIGHTGCNPP, LIGHTGCNPP_COMMIT = "geon0325/LightGCNpp", "a18af1e1f65dc4b6a432ce5aeaae5bbe75ac1c2e"
LIGHTCSCF, LIGHTCSCF_COMMIT = "qingzhuyanyue/LightCSCF", "9727d131621c7bb6d6f7c497bf10044cb16ef73f"
DGRM, DGRM_COMMIT = "OOHXWS/DGRM", "1f1801ecbed32590f9f3bb31cc68de6120b1a258"
DRGO, DRGO_COMMIT = "user683/DRGO", "ff20a968b83d5d1f1b57aff471cba3c30f980408"
DIFFMM, DIFFMM_COMMIT = "HKUDS/DiffMM", "1337447834aee475c1b1a59d291087e9ded9771a"

ALL_ROWS = "the paper counts all rows, among them test rows of users and items without a training row"

LASTFM = Recipe(
    name="lastfm",
    title="Last.fm listening counts (HetRec 2011), the split of TV-Diff's authors",
    files=(
        file_of("train.txt", TVDIFF, LASTFM_COMMIT, "dataset/lastfm/train.txt", 1_030_794),
        file_of("test.txt", TVDIFF, LASTFM_COMMIT, "dataset/lastfm/test.txt"),
    ),
    licence=IN_A_REPOSITORY,
    kind=PublishedSplit(Part(("train.txt",)), Part(("test.txt",)), value="play_count:float"),
    paper=Counts(1_892, 17_632, 92_834),
    note=ALL_ROWS,
)
AMAZON_BEAUTY = Recipe(
    name="amazon-beauty",
    title="Amazon Beauty 2014, 5-core, the split of TV-Diff's authors",
    files=(
        file_of("train.txt", TVDIFF, BEAUTY_COMMIT, "dataset/amazon-beauty/train.txt"),
        file_of("test.txt", TVDIFF, BEAUTY_COMMIT, "dataset/amazon-beauty/test.txt"),
    ),
    licence=IN_A_REPOSITORY,
    kind=PublishedSplit(Part(("train.txt",)), Part(("test.txt",)), value="timestamp:float"),
    paper=Counts(22_364, 12_102, 198_502),
    note="the paper counts a user and an item more than the 22,363 and 12,101 of the 5-core reviews",
)
DOUBAN_BOOK = Recipe(
    name="douban-book",
    title="Douban books, implicit, the split of LightCSCF's authors",
    files=(
        file_of("train.txt", LIGHTCSCF, LIGHTCSCF_COMMIT, "dataset/douban-book/train.txt", 2_973_830),
        file_of("test.txt", LIGHTCSCF, LIGHTCSCF_COMMIT, "dataset/douban-book/test.txt"),
    ),
    licence=IN_A_REPOSITORY,
    kind=PublishedSplit(Part(("train.txt",), lists=True), Part(("test.txt",), lists=True)),
    paper=Counts(13_024, 22_347, 792_062),
    note="TV-Diff's own draw of this set is not published: compare rankings of models, not digits",
)
_GOWALLA_FILES = (
    file_of("train.txt", LIGHTGCNPP, LIGHTGCNPP_COMMIT, "data/gowalla/train.txt", 4_132_444),
    file_of("valid.txt", LIGHTGCNPP, LIGHTGCNPP_COMMIT, "data/gowalla/valid.txt", 669_008),
    file_of(
        *("test.txt", LIGHTGCNPP, LIGHTGCNPP_COMMIT, "data/gowalla/test.txt", None),
        f"{RAW}/gusye1234/LightGCN-PyTorch/master/data/gowalla/test.txt",
    ),
)
GOWALLA = Recipe(
    name="gowalla",
    title="Gowalla check-ins, LightGCN's split, with LightGCN++'s validation part out of its training part",
    files=_GOWALLA_FILES,
    licence=IN_A_REPOSITORY,
    kind=PublishedParts(
        {part: Part((f"{part}.txt",), lists=True) for part in ("train", "valid", "test")},
    ),
    paper=Counts(29_858, 40_981, 1_027_370),
    note="the paper counts all rows",
)
GOWALLA_TVDIFF = Recipe(
    name="gowalla_tvdiff",
    title="Gowalla check-ins, the test part of TV-Diff's authors; training rows are all others",
    files=(
        *_GOWALLA_FILES,
        file_of("tvdiff_test.txt", TVDIFF, GOWALLA_COMMIT, "dataset/gowalla/test.txt", 2_461_411),
    ),
    licence=IN_A_REPOSITORY,
    kind=PublishedSplit(
        Part(("train.txt", "valid.txt", "test.txt"), lists=True),
        Part(("tvdiff_test.txt",)),
        tenth="nearest",
        rest=True,
    ),
    paper=Counts(29_858, 40_981, 1_027_370),
    note="the paper counts all rows",
)
YELP2018_LIGHTGCN = Recipe(
    name="yelp2018_lightgcn",
    title="Yelp 2018, LightGCN's split, which TV-Diff's paper names yelp2018",
    files=tuple(
        file_of(f"{part}.txt", LIGHTGCN, LIGHTGCN_COMMIT, f"data/yelp2018/{part}.txt")
        for part in ("train", "test")
    ),
    licence=IN_A_REPOSITORY,
    kind=PublishedSplit(Part(("train.txt",), lists=True), Part(("test.txt",), lists=True)),
    paper=Counts(31_668, 38_048, 1_561_406),
    note="the paper counts all rows",
)
ML_100K_DGRM = Recipe(
    name="ml-100k_dgrm",
    title="MovieLens-100K, the split of DGRM's authors",
    files=(
        file_of("trainset_100k.csv", DGRM, DGRM_COMMIT, "DGRM/dataset/ml-100k/trainset_100k.csv", 779_710),
        file_of("testset_100k.csv", DGRM, DGRM_COMMIT, "DGRM/dataset/ml-100k/testset_100k.csv", 199_463),
    ),
    licence="MovieLens: research, no redistribution",
    kind=PublishedSplit(
        Part(("trainset_100k.csv",)),
        Part(("testset_100k.csv",)),
        tenth="nearest",
        value="rating:float",
        unknown=True,
    ),
    paper=Counts(943, 1_682, 100_000),
    note="the paper counts all rows",
)
# The MD5 is the one that several public projects quote.
_ML_1M = SourceFile(
    "ml-1m.zip",
    "https://grouplens.org/datasets/movielens/1m/",
    ("https://files.grouplens.org/datasets/movielens/ml-1m.zip",),
    md5="c4d9eecfca2ab87c1945afe126590906",
    other_form="ratings.dat",
)
_RATINGS_OF_1M = "ml-1m/ratings.dat"
RATED = "the paper's number of items is the largest of their numbers; 3,706 have a rating"
ML_1M = Recipe(
    name="ml-1m",
    title="MovieLens-1M, ratings and times",
    files=(_ML_1M,),
    licence="MovieLens: research, no redistribution",
    kind=PublishedRatings("ml-1m.zip", ("rating:float", "timestamp:float"), _RATINGS_OF_1M),
    paper=Counts(6_040, 3_952, 1_000_209),
    note=RATED,
)
ML_1M_DGRM = Recipe(
    name="ml-1m_dgrm",
    title="MovieLens-1M, the test part of DGRM's authors; training rows are all other ratings",
    files=(
        _ML_1M,
        file_of("TESTSET_1M.csv", DGRM, DGRM_COMMIT, "DGRM/dataset/ml-1m/TESTSET_1M.csv"),
    ),
    licence="MovieLens: research, no redistribution",
    kind=PublishedSplit(
        Part(("ml-1m.zip",), member=_RATINGS_OF_1M),
        Part(("TESTSET_1M.csv",)),
        tenth="nearest",
        value="rating:float",
        rest=True,
        unknown=True,
    ),
    paper=Counts(6_040, 3_952, 1_000_209),
    note=RATED,
)
TIKTOK = Recipe(
    name="tiktok",
    title="TikTok short videos, the split of DiffMM's authors, with image and audio features",
    files=tuple(
        file_of(name, DIFFMM, DIFFMM_COMMIT, f"Datasets/tiktok/{name}")
        for name in ("trnMat.pkl", "valMat.pkl", "tstMat.pkl", "image_feat.npy", "audio_feat.npy")
    ),
    licence=IN_A_REPOSITORY,
    kind=MatrixSet({"train": "trnMat.pkl", "valid": "valMat.pkl", "test": "tstMat.pkl"}, ("image", "audio")),
    paper=None,
    note="no table of CCDRec's counts this set",
)


def _drgo(name: str, title: str, paper: Counts, note: str, sizes: dict[str, int]) -> Recipe:
    """Return the recipe of a shifted set in DRGO's repository, in four parts."""
    files = {"train": "train", "valid": "valid_iid", "test_iid": "test_iid", "test_ood": "test"}
    return Recipe(
        name=f"{name}_drgo",
        title=title,
        files=tuple(
            file_of(f"{file}.txt", DRGO, DRGO_COMMIT, f"data_for_SELFRec/{name}/{file}.txt", sizes.get(file))
            for file in files.values()
        ),
        licence=IN_A_REPOSITORY,
        kind=PublishedParts({part: Part((f"{file}.txt",)) for part, file in files.items()}),
        paper=paper,
        note=note,
    )


FOOD_SIZES = {"train": 1_221_689, "valid_iid": 236_275, "test_iid": 499_365, "test": 534_396}
FOOD_DRGO = _drgo(
    "food",
    "Food.com, temporal shift, the split of DRGO's authors: the rows of the tables named food",
    Counts(7_809, 6_309, 216_407),
    "0.16 % fewer rows than CNSDiff's paper counts",
    FOOD_SIZES,
)
YELP_DRGO = _drgo(
    "yelp2018",
    "Yelp, popularity shift, the split of DRGO's authors",
    Counts(8_090, 13_878, 398_216),
    "whether it is the split of CNSDiff's paper is not known",
    {},
)


KUAIREC_PART = Recipe(
    name="kuairec_part",
    title="KuaiRec, exposure shift, the test parts of DRGO's authors, one of them divided",
    files=tuple(
        file_of(f"{part}.txt", DRGO, DRGO_COMMIT, f"data_for_SELFRec/kuaiRec/{part}.txt")
        for part in ("test_iid", "test_ood")
    ),
    licence=IN_A_REPOSITORY,
    kind=DividedLog(Part(("test_iid.txt",)), Part(("test_ood.txt",)), published=(151_878, 215_729)),
    paper=None,
    note="a part of what CNSDiff's paper counts: the training file is not published; compare rankings of "
    "models, not digits",
)

PUBLISHED = (
    *(LASTFM, AMAZON_BEAUTY, DOUBAN_BOOK, GOWALLA, GOWALLA_TVDIFF, YELP2018_LIGHTGCN, ML_1M, ML_100K_DGRM),
    *(ML_1M_DGRM, TIKTOK, FOOD_DRGO, YELP_DRGO, KUAIREC_PART),
)
