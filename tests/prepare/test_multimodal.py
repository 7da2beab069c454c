"""Amazon sets from small files in the published formats, in a folder and on a server of this machine."""

import gzip
import json
import signal
from dataclasses import replace

import numpy as np
import pytest
from support.range_server import running_mirror

from recbole_diffusion.cli.prepare import prepare
from recbole_diffusion.config import Config
from recbole_diffusion.data.multimodal import MultimodalDataset
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.prepare import amazon, multimodal
from recbole_diffusion.prepare.recipes import RECIPES
from recbole_diffusion.prepare.rows import SourceError

USERS, ITEMS = 12, 9
WORDS = ("bottle", "blanket", "stroller")


def asin(item):
    return f"B{item:09d}"


def published(seed=0):
    """Return the bytes of the three files by name: item 8 has no image and no metadata."""
    draw = np.random.default_rng(seed)
    reviews, meta = [], []
    for user in range(USERS):
        items = draw.choice(ITEMS, 5 + user % 4, replace=False).tolist()
        told = {"reviewerID": f"A{user}", "overall": 3.0}
        reviews += [{**told, "asin": asin(item), "unixReviewTime": 1300000000 + item} for item in items]
    reviews.append(reviews[0])  # twice
    for item in range(ITEMS - 1):
        record = {
            "asin": asin(item),
            "title": f"{WORDS[item % 3]} {WORDS[item % 3]}s",
            "categories": [["Baby", WORDS[item % 3]]],
        }
        meta.append(repr({**record, "description": "it's\nfine"}) if item else json.dumps(record))
    features = draw.normal(size=(ITEMS, amazon.WIDTH)).astype("<f4")
    images = b"".join(
        asin(item).encode() + features[item].tobytes() for item in [*range(ITEMS - 1), 77] if item < ITEMS
    )
    return {
        "reviews_Baby_5.json.gz": gzip.compress("".join(json.dumps(one) + "\n" for one in reviews).encode()),
        "meta_Baby.json.gz": gzip.compress("".join(f"{one}\n" for one in meta).encode()),
        "image_features_Baby.b": images + b"X000000000" + features[0].tobytes(),
    }, features


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given").mkdir()
    for name, content in published()[0].items():
        (tmp_path / "given" / name).write_bytes(content)
    return tmp_path


def pairs_of(folder, part):
    header, *rows = (folder / f"baby.{part}.inter").read_text().splitlines()
    assert header == "user_id:token\titem_id:token"
    return [tuple(row.split("\t")) for row in rows]


def test_baby_from_a_folder_is_a_multimodal_data_set(here, capsys):
    assert prepare(["baby", "--source=given", "--text=tfidf", "--seed=1"]) == 0
    folder = here / "dataset/baby"
    parts = {part: pairs_of(folder, part) for part in multimodal.PARTS}
    everything = [pair for rows in parts.values() for pair in rows]
    assert len(everything) == len(set(everything)) == sum(5 + user % 4 for user in range(USERS))
    for part in ("valid", "test"):
        assert sorted(user for user, _ in parts[part]) == sorted(f"A{user}" for user in range(USERS))
    record = json.loads((folder / "prepare.json").read_text())
    assert record["features"] == {"text": "text_tfidf", "items_without_text": 1, "items_without_image": 1}
    assert record["found"]["users"] == USERS
    assert record["rows_read"] == len(everything) + 1
    out, err = capsys.readouterr()
    assert "items without text 1, without image 1" in out
    assert "the counts differ from the paper's" in err
    options = {"data_path": "dataset", "use_gpu": False, "knn_k": 2, "topk": [2], "valid_metric": "Recall@2"}
    dataset = MultimodalDataset(Config("FREEDOM", "baby", overrides=options))
    features = published()[1]
    by_token = {token: row for row, token in enumerate(dataset.item_tokens())}
    image = dataset.modalities["image"]
    for item in range(ITEMS - 1):
        assert np.array_equal(image.values[image.rows[by_token[asin(item)]]], features[item])
    without = image.values[image.rows[by_token[asin(ITEMS - 1)]]]
    assert np.allclose(without, features[: ITEMS - 1].mean(0), atol=1e-5)
    text = dataset.modalities["text"]
    assert text.origin.endswith("baby.text_tfidf.npy")
    same, other = (text.values[text.rows[by_token[asin(item)]]] for item in (4, 5))
    assert (
        text.values[text.rows[by_token[asin(1)]]] @ same > text.values[text.rows[by_token[asin(1)]]] @ other
    )


def test_baby_is_downloaded(here, monkeypatch):
    with running_mirror() as mirror:
        recipe = RECIPES["baby"]
        files = tuple(
            replace(file, urls=(mirror.serve(f"/{file.name}", content),))
            for file, content in zip(recipe.files, published()[0].values(), strict=True)
        )
        monkeypatch.setitem(RECIPES, "baby", replace(recipe, files=files))
        assert prepare(["baby", "--text=tfidf"]) == 0
    assert (here / "dataset/baby/source/image_features_Baby.b").is_file()
    assert (here / "dataset/baby/baby.image_feat.npy").is_file()


def test_features_without_use_are_replaced_and_neighbours_of_an_earlier_set_go(here):
    """What is made can be loaded: no constant row, no NaN, no text without a word, no stale neighbours."""
    content, features = published()
    size = amazon.ID_BYTES + 4 * amazon.WIDTH
    images = bytearray(content["image_features_Baby.b"])
    images[amazon.ID_BYTES : size] = bytes(4 * amazon.WIDTH)
    images[size + amazon.ID_BYTES : size + amazon.ID_BYTES + 4] = np.float32(np.nan).tobytes()
    (here / "given/image_features_Baby.b").write_bytes(images)
    meta = gzip.decompress(content["meta_Baby.json.gz"]).splitlines(keepends=True)
    meta[3] = json.dumps({"asin": asin(3), "title": "!!!"}).encode() + b"\n"
    (here / "given/meta_Baby.json.gz").write_bytes(gzip.compress(b"".join(meta)))
    folder = here / "dataset/baby"
    folder.mkdir(parents=True)
    np.savez(folder / "baby.image_knn10.npz", neighbours=np.zeros((ITEMS, 10), np.int32))
    assert prepare(["baby", "--source=given", "--text=tfidf"]) == 0
    record = json.loads((folder / "prepare.json").read_text())["features"]
    assert record == {"text": "text_tfidf", "items_without_text": 2, "items_without_image": 3}
    options = {"data_path": "dataset", "use_gpu": False, "knn_k": 2, "topk": [2], "valid_metric": "Recall@2"}
    dataset = MultimodalDataset(Config("FREEDOM", "baby", overrides=options))
    ids, _ = dataset.neighbours("image")
    rows = {token: row for row, token in enumerate(dataset.item_tokens())}
    image = dataset.modalities["image"]
    for item in (0, 1, ITEMS - 1):
        assert np.allclose(
            image.values[image.rows[rows[asin(item)]]], features[2 : ITEMS - 1].mean(0), atol=1e-5
        )
    assert ids[:, 0].tolist() == list(range(1, ITEMS + 1))


def test_categories_in_one_list_are_words_and_not_letters(tmp_path):
    path = tmp_path / "meta.json.gz"
    lines = [{"asin": "a", "categories": ["Baby", "Toys"]}, {"asin": "b", "categories": [["Baby"], ["Toys"]]}]
    path.write_bytes(gzip.compress("".join(json.dumps(one) + "\n" for one in lines).encode()))
    assert amazon.read_texts(path, ("a", "b")) == ["Baby Toys", "Baby Toys"]


def test_the_first_text_of_a_product_counts(tmp_path):
    path = tmp_path / "meta.json.gz"
    rows = [{"asin": "a"}, {"asin": "a", "title": "a soft blanket"}, {"asin": "a", "brand": "later"}]
    with gzip.open(path, "wt") as stream:
        stream.writelines(f"{row!r}\n" for row in rows)
    assert amazon.read_texts(path, ("a",)) == ["a soft blanket"]


def test_split_is_mmrec_rule():
    counts = {
        5: (3, 1, 1),
        9: (7, 1, 1),
        10: (8, 1, 1),
        14: (12, 1, 1),
        15: (12, 1, 2),
        20: (16, 2, 2),
        29: (24, 2, 3),
        45: (36, 4, 5),
    }
    users = np.repeat(np.arange(len(counts)), list(counts))
    users = np.random.default_rng(0).permutation(users)
    parts = multimodal.split(users, np.random.default_rng(3))
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(users)))
    found = [np.bincount(users[rows], minlength=len(counts)) for rows in parts]
    assert list(zip(*(one.tolist() for one in found), strict=True)) == list(counts.values())
    again = multimodal.split(users, np.random.default_rng(3))
    assert all(np.array_equal(one, other) for one, other in zip(parts, again, strict=True))
    assert not np.array_equal(parts[2], multimodal.split(users, np.random.default_rng(4))[2])


def test_thin_users_are_counted(here, capsys):
    lines = gzip.decompress((here / "given/reviews_Baby_5.json.gz").read_bytes()).splitlines(keepends=True)
    (here / "given/reviews_Baby_5.json.gz").write_bytes(gzip.compress(b"".join(lines[2:-1])))
    prepare(["baby", "--source=given", "--text=tfidf"])
    assert "not a 5-core set: 1 user has fewer than 5 rows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "reviews_Baby_5.json.gz",
            gzip.compress(b'{"reviewerID": "a"}\n'),
            "reviews_Baby_5.json.gz, row 1: found .*KeyError",
        ),
        (
            "reviews_Baby_5.json.gz",
            gzip.compress(b"__import__('os').getpid()\n"),
            "row 1: found .*, expected one object",
        ),
        (
            "reviews_Baby_5.json.gz",
            published()[0]["reviews_Baby_5.json.gz"][:-30],
            "a damaged archive .*get the file again",
        ),
        ("meta_Baby.json.gz", b"<html>", "meta_Baby.json.gz, row 1: found a damaged archive"),
        ("meta_Baby.json.gz", gzip.compress(b"{'title': 'x'}\n"), "meta_Baby.json.gz, row 1: .*asin"),
        (
            "meta_Baby.json.gz",
            gzip.compress(b"{'asin': ['B000000001']}\n"),
            r"row 1: found \['B000000001'\] as asin, expected a text",
        ),
        (
            "meta_Baby.json.gz",
            gzip.compress(b"{'asin': 'B000000001', 'categories': [['Baby'], None]}\n"),
            r"row 1: found \[\['Baby'\], None\] as categories, expected lists of texts",
        ),
        (
            "meta_Baby.json.gz",
            gzip.compress(b"{'asin': 'Z000000001'}\n"),
            "row 1: found no item of the reviews up to here, expected the metadata of the same category",
        ),
        ("image_features_Baby.b", b"B000000000" + bytes(100), "row 1: found 110 bytes at the end"),
        ("image_features_Baby.b", b"Z000000000" + bytes(4 * 4096), "found no item of the reviews"),
    ],
    ids=[
        "review-field",
        "review-code",
        "review-cut",
        "meta-plain",
        "meta-field",
        "meta-asin",
        "meta-categories",
        "meta-stranger",
        "image-cut",
        "image-stranger",
    ],  # gzip has the time
)
def test_files_of_another_format_are_refused_and_nothing_is_written(here, file, content, message):
    (here / "given" / file).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        prepare(["baby", "--source=given", "--text=tfidf"])
    assert list((here / "dataset/baby").glob("*")) == [] if (here / "dataset/baby").exists() else True


def test_a_full_disk_is_one_error_and_leaves_nothing(here):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit is an error then
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))  # image features take 147,456 bytes
        with pytest.raises(RunError, match=r"cannot write dataset/baby: .*File too large; nothing was kept"):
            prepare(["baby", "--source=given", "--text=tfidf"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert not (here / "dataset/baby").exists()


def test_sentence_vectors_need_their_package(here, monkeypatch):
    monkeypatch.setattr(multimodal, "sentence_features", lambda texts: None)
    with pytest.raises(UsageError, match="--text=sentence needs the package sentence-transformers"):
        prepare(["baby", "--source=given", "--text=sentence"])


def test_sentence_vectors_are_named_as_features(here, monkeypatch):
    monkeypatch.setattr(multimodal, "sentence_features", lambda texts: np.ones((len(texts), 384), np.float32))
    prepare(["baby", "--source=given"])
    assert (here / "dataset/baby/baby.text_feat.npy").is_file()
