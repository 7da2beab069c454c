"""Item features: found by name, aligned by token, checked; neighbours from files, features and the cache."""

import copy
import json
import mmap
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.small import MODALITIES, OPTIONS, with_features

from recbole_diffusion.config import Config
from recbole_diffusion.data import knn
from recbole_diffusion.data.features import Modality, check_values, open_matrix
from recbole_diffusion.data.multimodal import MultimodalDataset, find_features
from recbole_diffusion.data.neighbour_file import neighbours_of_file
from recbole_diffusion.errors import UsageError
from recbole_diffusion.testing.features import features


@pytest.fixture
def data(checkerboard):
    return with_features(checkerboard)


def load(data, **more):
    options = {name: value for name, value in OPTIONS.items() if name in ("modalities", "knn_k")}
    return MultimodalDataset(Config("FREEDOM", data.name, overrides={**data.overrides, **options, **more}))


def of_token(dataset, name, token):
    """Return the features of the item with a token."""
    return (
        dataset.modalities[name].take(torch.tensor([dataset.token2id(dataset.iid_field, token)]))[0].numpy()
    )


def test_features_follow_their_tokens_whatever_the_order_of_the_rows(data):
    dataset = load(data)
    for seed, (name, width) in enumerate(zip(MODALITIES, (12, 7), strict=True)):
        for item in (0, 17, 49):
            assert np.allclose(of_token(dataset, name, f"i{item}"), features(seed, width)[item])
    assert isinstance(dataset.modalities["picture"].values, np.memmap)


def test_tokens_may_begin_with_a_mark_of_their_encoding(data):
    (path,) = data.folder.glob(f"*{MODALITIES[0]}*.tokens")
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert len(load(data).modalities) == len(MODALITIES)


def test_brackets_in_the_name_of_a_data_set_are_letters_of_it(tmp_path):
    substitute = tmp_path / "toys[1].image_small.npy"
    np.save(substitute, np.ones((2, 3), np.float32))
    assert find_features(tmp_path, "toys[1]", "image") == substitute


def test_a_second_file_of_a_modality_is_told(data, caplog):
    load(data)
    assert "of the same modality" not in caplog.text
    (path,) = data.folder.glob(f"*{MODALITIES[0]}*.npy")
    np.save(data.folder / f"{MODALITIES[0]}_feat.npy", np.load(path)[::-1])
    load(data)
    assert (
        f"is taken from {path}; {MODALITIES[0]}_feat.npy beside it, of the same modality, is not"
        in caplog.text
    )


def test_copies_and_other_processes_map_the_file_again(data):
    modality = load(data).modalities["picture"]
    sent, items = pickle.dumps(modality), torch.tensor([3, 50])
    assert len(sent) < modality.values.nbytes
    for again in (pickle.loads(sent), copy.deepcopy(modality)):
        assert isinstance(again.values.base, mmap.mmap)
        assert torch.equal(again.take(items), modality.take(items))
    made = replace(modality, values=np.array(modality.values))
    assert np.array_equal(pickle.loads(pickle.dumps(made)).values, modality.values)


def test_neighbours_need_the_folder_that_their_files_may_be_in(data):
    dataset = load(data)
    data.folder.rename(data.folder.with_name("elsewhere"))
    with pytest.raises(UsageError, match="to look for a file of neighbours; share data_path"):
        dataset.neighbours("picture")


def test_parts_share_the_features(data):
    train, valid, test = load(data).build()
    assert train.modalities is valid.modalities is test.modalities


def numbered(write_parts, rows=6, name="toy", width=3, items=6):
    """Write a data set whose item tokens are numbers, and a matrix without tokens."""
    pairs = [(f"u{k}", str(k % items)) for k in range(2 * items)]
    data = write_parts(name, train=pairs, valid=pairs[:2], test=pairs[2:4])
    np.save(data.folder / f"{name}.image.npy", np.arange(rows * width, dtype=np.float16).reshape(rows, width))
    data.overrides |= {"modalities": ["image"], "topk": [1, 2], "valid_metric": "Recall@2", "knn_k": 2}
    return data


def test_features_of_another_ending_are_named(write_parts):
    data = numbered(write_parts)
    path = data.folder / "toy.image.npy"
    np.savez(data.folder / "toy.image.npz", features=np.load(path))
    load(data, modalities=["image"], knn_k=2)  # the file that is read is there
    path.unlink()
    said = r"toy.image.npz has the name .* from .npy and .safetensors files alone; .*save\('toy.image.npy', "
    with pytest.raises(UsageError, match=said + r"numpy.load\('toy.image.npz'\)\[NAME\]\)"):
        load(data, modalities=["image"], knn_k=2)


@pytest.mark.parametrize(("size", "told"), [(1e15, True), (900, False)])
def test_features_far_above_all_weights_are_told(write_parts, caplog, size, told):
    data = numbered(write_parts)
    matrix = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    matrix[4, 1] = -size
    np.save(data.folder / "toy.image.npy", matrix)
    load(data, modalities=["image"], knn_k=2)
    said = (
        f"toy.image.npy: 1 row has numbers of size 10000 and more, the largest {size:.4g} in row 4 (item 4)"
    )
    assert (said in caplog.text) == told


@pytest.mark.parametrize(("alike", "told"), [([0, 1, 2, 3, 4, 5], True), ([1, 3, 5], True), ([1, 3], False)])
def test_one_row_that_half_of_the_items_have_is_told(write_parts, caplog, alike, told):
    data = numbered(write_parts)
    matrix = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    matrix[alike] = matrix[alike[0]]
    np.save(data.folder / "toy.image.npy", matrix)
    load(data, modalities=["image"], knn_k=2)
    said = f"toy.image.npy: {len(alike)} of the 6 items have one and the same row, row "
    assert (said in caplog.text) == told


@pytest.mark.parametrize(("alike", "told"), [(20, True), (19, False)])
def test_one_row_that_a_tenth_of_the_items_have_is_told_of_a_file(tmp_path, caplog, alike, told):
    matrix = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    matrix[50 : 50 + alike] = matrix[50]
    np.save(tmp_path / "toy.image.npy", matrix)
    items = np.array([f"i{row}" for row in range(200)])
    made = Modality("image", "columns of the .item file", matrix, np.arange(200))
    check_values(made, items, "allow")  # equal words are equal rows
    assert "one and the same row" not in caplog.text
    path = tmp_path / "toy.image.npy"
    check_values(Modality("image", str(path), open_matrix(path), np.arange(200)), items, "allow")
    assert (
        f"toy.image.npy: {alike} of the 200 items have one and the same row, row 50" in caplog.text
    ) == told


@pytest.mark.parametrize(
    ("column", "told"),
    [("the number of the row", True), ("a thousand times as large", True), ("twice as large", False)],
)
def test_a_column_that_outweighs_all_others_is_told(caplog, column, told):
    matrix = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    if column == "the number of the row":
        matrix[:, 2] = np.arange(300)
    else:
        matrix[:, 2] *= 1000 if told else 2
    check_values(Modality("image", "toy.image.npy", matrix, np.arange(300)), np.arange(300), "allow")
    assert ("toy.image.npy: column 2 has " in caplog.text) == told


@pytest.mark.parametrize("told", [True, False])
def test_two_modalities_with_the_same_features_are_told(write_parts, caplog, told):
    data = numbered(write_parts)
    matrix = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    np.save(data.folder / "toy.image.npy", matrix)
    matrix[5, 2] += not told
    np.save(data.folder / "toy.text.npy", matrix)
    load(data, modalities=["image", "text"], knn_k=2)
    assert ("modalities image and text have the same features of all items" in caplog.text) == told


def test_two_items_with_a_row_each_are_told_apart(write_parts, caplog):
    modality = Modality("image", "two.npy", np.eye(2, 3), np.arange(2))
    check_values(modality, np.array(["a", "b"]), "allow")
    assert "one and the same row" not in caplog.text
    modality.values[1] = modality.values[0]
    check_values(modality, np.array(["a", "b"]), "allow")
    assert "2 of the 2 items have one and the same row" in caplog.text


def test_rows_without_tokens_belong_to_the_items_with_their_number(write_parts):
    data = numbered(write_parts)
    dataset = load(data, modalities=["image"], knn_k=2)
    assert of_token(dataset, "image", "4").tolist() == [12, 13, 14]


@pytest.mark.parametrize("name", ["toy.image_feat.tokens", "toy.image.npy.tokens", "image_feat.tokens"])
def test_tokens_under_another_name_are_not_passed_over(write_parts, name):
    """Tokens that are numbers would be taken for rows."""
    data = numbered(write_parts)
    (data.folder / name).write_text("".join(f"{item}\n" for item in reversed(range(6))))
    with pytest.raises(
        UsageError, match=f"has no toy.image.tokens beside it, but there is {name}; if it has"
    ):
        load(data, modalities=["image"], knn_k=2)
    (data.folder / name).rename(data.folder / "toy.image.tokens")
    assert of_token(load(data, modalities=["image"], knn_k=2), "image", "1").tolist() == [12, 13, 14]


def test_tokens_of_another_matrix_of_the_modality_are_its_own(write_parts):
    data = numbered(write_parts)
    np.save(data.folder / "toy.image_feat.npy", np.ones((6, 3), np.float32))
    (data.folder / "toy.image_feat.tokens").write_text("".join(f"{item}\n" for item in reversed(range(6))))
    assert of_token(load(data, modalities=["image"], knn_k=2), "image", "4").tolist() == [12, 13, 14]


@pytest.mark.parametrize(
    ("rows", "more", "message"),
    [
        (4, {}, "has 4 rows, none for items 4, 5; row r belongs to the item with token r"),
        (8, {}, "has 8 rows for 6 items: no item of the interactions belongs to rows 6, 7"),
        (6, {"knn_k": 6}, "knn_k is 6, but data set 'toy' has 6 items; it takes 1 to 5"),
        (6, {"modalities": ["image", "sound"]}, "modality 'sound' is named, but .* neither toy.sound.npy"),
        (6, {"modalities": ["imag"]}, "did you mean 'image'"),
        (6, {"knn_source": "file"}, "there is no toy.image_knn"),
    ],
)
def test_files_that_do_not_fit_are_refused(write_parts, rows, more, message):
    data = numbered(write_parts, rows)
    with pytest.raises(UsageError, match=message):
        load(data, **{"modalities": ["image"], "knn_k": 2} | more).neighbours("image")


def test_extra_rows_can_be_ignored(write_parts):
    dataset = load(numbered(write_parts, 8), modalities=["image"], knn_k=2, extra_features="ignore")
    assert of_token(dataset, "image", "5").tolist() == [15, 16, 17]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["0", "1", "2", "3", "4"], "has 6 rows, but toy.image.tokens 5 tokens"),
        (["0", "1", "2", "3", "4", "4"], "has item 4 more than once"),
        (["0", "1", "2", "3", "4", "x"], "has no row for item 5"),
        (["0", "1", "2", "3", "4", "\xff"], "toy.image.tokens is not UTF-8 text"),
    ],
)
def test_tokens_that_do_not_fit_are_refused(write_parts, tokens, message):
    data = numbered(write_parts)
    (data.folder / "toy.image.tokens").write_bytes("\n".join(tokens).encode("latin-1"))
    with pytest.raises(UsageError, match=message):
        load(data, modalities=["image"], knn_k=2)


def test_tokens_that_are_no_row_numbers_need_a_file_of_tokens(checkerboard):
    np.save(checkerboard.folder / f"{checkerboard.name}.picture.npy", features(0, 4))
    with pytest.raises(UsageError, match=r"has no checkerboard.picture.tokens beside it.* items i"):
        load(checkerboard, modalities=["picture"])


def test_tokens_longer_than_any_row_number_have_no_row(write_parts):
    pairs = [(f"u{k}", "9" * 25 if k % 6 == 5 else str(k % 6)) for k in range(12)]
    data = write_parts("toy", train=pairs, valid=pairs[:2], test=pairs[2:4])
    np.save(data.folder / "toy.image.npy", np.arange(18, dtype=np.float32).reshape(6, 3))
    data.overrides |= {"topk": [1, 2], "valid_metric": "Recall@2"}
    with pytest.raises(UsageError, match="has 6 rows, none for item 9999999999999999999999999"):
        load(data, modalities=["image"], knn_k=2)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "NaN or infinite numbers in rows 1 .item 1., 4 .item 4."),
        (7.0, "one value throughout in rows 1 .item 1., 4"),
    ],
)
def test_rows_without_use_are_named(write_parts, value, message):
    data = numbered(write_parts)
    values = np.load(data.folder / "toy.image.npy")
    values[[1, 4]] = value
    np.save(data.folder / "toy.image.npy", values)
    with pytest.raises(UsageError, match=message):
        load(data, modalities=["image"], knn_k=2)
    if value == 7.0:
        load(data, modalities=["image"], knn_k=2, constant_features="allow")


@pytest.mark.parametrize("factor", [1e30, 1e-30])
def test_rows_without_a_length_in_float32_are_refused(write_parts, factor):
    """Their cosines would all be 0, and the neighbours the first items."""
    data = numbered(write_parts)
    values = np.load(data.folder / "toy.image.npy").astype(np.float32)
    values[4] *= np.float32(factor)
    np.save(data.folder / "toy.image.npy", values)
    with pytest.raises(
        UsageError, match=r"too large or too small for cosines .* row 4 .item 4.*scale the fea"
    ):
        load(data, modalities=["image"], knn_k=2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.arange(6), "holds int64 of shape .6."),
        (np.ones((6, 2), dtype=object), "cannot be read as a matrix"),
        (b"no matrix", "cannot be read as a matrix"),
        (b"", "cannot be read as a matrix"),
        ("cut off", "cannot be read as a matrix"),
        ("an archive", "cannot be read as a matrix"),
    ],
)
def test_what_is_no_matrix_is_refused(write_parts, content, message):
    data = numbered(write_parts)
    path = data.folder / "toy.image.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, np.ndarray):
        np.save(path, content, allow_pickle=True)
    elif content == "cut off":
        path.write_bytes(path.read_bytes()[:-5])
    else:
        with path.open("wb") as file:
            np.savez(file, features=np.ones((6, 2)))
    with pytest.raises(UsageError, match=message):
        load(data, modalities=["image"], knn_k=2)


def test_safetensors_are_read(write_parts):
    data = numbered(write_parts)
    values = np.load(data.folder / "toy.image.npy")
    (data.folder / "toy.image.npy").unlink()
    header = json.dumps(
        {"features": {"dtype": "F16", "shape": [6, 3], "data_offsets": [0, values.nbytes]}}
    ).encode()
    (data.folder / "toy.image.safetensors").write_bytes(
        len(header).to_bytes(8, "little") + header + values.tobytes()
    )
    assert of_token(load(data, modalities=["image"], knn_k=2), "image", "3").tolist() == [9, 10, 11]


def test_stand_ins_are_found_by_the_name_of_the_modality(write_parts):
    data = numbered(write_parts)
    (data.folder / "toy.image.npy").rename(data.folder / "toy.image_spectral.npy")
    assert (
        load(data, modalities=["image"], knn_k=2)
        .modalities["image"]
        .origin.endswith("toy.image_spectral.npy")
    )
    np.save(data.folder / "toy.image_other.npy", np.ones((6, 3)))
    with pytest.raises(UsageError, match="could be any of image_other, image_spectral"):
        load(data, modalities=["image"], knn_k=2)


def test_mmrec_folder_is_read_as_it_is(tmp_path):
    folder = tmp_path / "data" / "baby"
    folder.mkdir(parents=True)
    rows = [
        (user, item, label)
        for user in range(8)
        for item, label in ((user % 5, 0), ((user + 1) % 5, 0), (4 - user % 5, 1 + user % 2))
    ]
    lines = [
        "userID\titemID\trating\ttimestamp\tx_label",
        *(f"{u}\t{i}\t1.0\t1\t{label}" for u, i, label in rows),
    ]
    (folder / "baby.inter").write_text("\n".join(lines) + "\n")
    values = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.save(folder / "image_feat.npy", values)
    np.save(folder / "text_feat.npy", values[:, :3])
    overrides = {
        "data_path": str(tmp_path / "data"),
        "knn_k": 2,
        "topk": [1, 2],
        "valid_metric": "Recall@2",
        "use_gpu": False,
    }
    dataset = MultimodalDataset(Config("FREEDOM", "baby", overrides=overrides))
    parts = dataset.build()
    assert [len(part) for part in parts] == [16, 4, 4]
    tokens = [
        {
            tuple(
                part.id2token(field, part.inter_feat[field]).tolist()[k] for field in ("user_id", "item_id")
            )
            for k in range(len(part))
        }
        for part in parts
    ]
    assert tokens == [{(str(u), str(i)) for u, i, one in rows if one == label} for label in (0, 1, 2)]
    assert np.allclose(of_token(dataset, "image", "3"), values[3])


def write_neighbours(data, table, cosine=None):
    more = {} if cosine is None else {"cosine": cosine}
    np.savez(data.folder / "toy.image_knn3.npz", neighbours=np.array(table, dtype=np.int32), **more)


def test_neighbours_of_a_file_are_those_of_the_tokens(write_parts):
    data = numbered(write_parts)
    table = [[(row + step) % 6 for step in (0, 1, 3)] for row in range(6)]
    write_neighbours(data, table, np.full((6, 3), 0.25, np.float32))
    dataset = load(data, modalities=["image"], knn_k=3)
    ids, cosines = dataset.neighbours("image")
    for token in range(6):
        row = int(dataset.token2id("item_id", str(token))) - 1
        assert dataset.id2token("item_id", ids[row].numpy()).tolist() == [str(one) for one in table[token]]
    assert cosines[2].tolist() == [1.0, 0.25, 0.25]
    from_features = load(data, modalities=["image"], knn_k=3, knn_source="features").neighbours("image")[0]
    assert not torch.equal(from_features, ids)


def test_neighbours_of_a_file_without_the_item_itself_and_without_cosines(write_parts):
    data = numbered(write_parts)
    write_neighbours(data, [[(row + step) % 6 for step in (2, 1, 3)] for row in range(6)])
    dataset = load(data, modalities=["image"], knn_k=3)
    ids, cosines = dataset.neighbours("image")
    row = int(dataset.token2id("item_id", "4")) - 1
    assert dataset.id2token("item_id", ids[row].numpy()).tolist() == ["4", "0", "5"]
    taken = dataset.modalities["image"].take(torch.tensor([row + 1, int(dataset.token2id("item_id", "0"))]))
    assert cosines[row, 1].item() == pytest.approx(
        torch.nn.functional.cosine_similarity(*taken, dim=0).item(), abs=1e-4
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[0, 1, 2]] * 5, "it takes row numbers of .*toy.image.npy, which has 6 rows"),
        ([[0, 1, 9]] * 6, "from 0 to 9; it takes row numbers"),
        ([[0, 0, 0], *[[0, 1, 2]] * 5], "fewer than 2 neighbours for row 0"),
    ],
)
def test_neighbours_that_do_not_fit_are_refused(write_parts, table, message):
    data = numbered(write_parts)
    write_neighbours(data, table)
    with pytest.raises(UsageError, match=message):
        load(data, modalities=["image"], knn_k=3).neighbours("image")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", "one array"])
def test_a_file_that_holds_no_neighbours_is_refused(write_parts, content):
    data = numbered(write_parts)
    with (data.folder / "toy.image_knn3.npz").open("wb") as file:
        file.write(content) if isinstance(content, bytes) else np.save(file, np.ones((6, 3)))
    with pytest.raises(
        UsageError, match=r"toy.image_knn3.npz cannot be read as neighbours: .* set knn_source to features"
    ):
        load(data, modalities=["image"], knn_k=3).neighbours("image")


def test_a_file_without_the_array_of_neighbours_is_refused_by_name(write_parts):
    data = numbered(write_parts)
    path = data.folder / "toy.image_knn3.npz"
    np.savez(path, cosine=np.ones((6, 3)))
    modality = load(data, modalities=["image"], knn_k=3).modalities["image"]
    with pytest.raises(UsageError, match=r"toy.image_knn3.npz has no array 'neighbours'"):
        neighbours_of_file(path, modality, 3)


def test_cosines_that_are_no_numbers_are_refused(write_parts):
    data = numbered(write_parts)
    write_neighbours(
        data, [[(row + step) % 6 for step in (0, 1, 3)] for row in range(6)], np.full((6, 3), np.nan)
    )
    with pytest.raises(UsageError, match="cosines that are NaN or infinite"):
        load(data, modalities=["image"], knn_k=3).neighbours("image")


def with_many_items(write_parts):
    """Write a data set of 200 items with tokens 0, 1, ...; return it, and its exact neighbours by row."""
    pairs = [(user, item) for user in range(20) for item in range(200) if (user + item) % 4]
    data = write_parts(train=pairs, valid=[(0, 0)], test=[(0, 4)])
    values = np.random.default_rng(5).normal(size=(200, 8)).astype(np.float32)
    np.save(data.folder / "toy.image.npy", values)
    return data, knn.nearest(lambda rows: torch.from_numpy(values)[rows], 200, 3)[0].numpy()


def test_a_file_of_neighbours_of_other_items_is_refused_unless_it_is_asked_for(write_parts, caplog):
    data, exact = with_many_items(write_parts)
    write_neighbours(data, exact)
    load(data, modalities=["image"], knn_k=3).neighbours("image")
    assert "neighbours are among" not in caplog.text
    write_neighbours(data, np.random.default_rng(1).permutation(exact))
    with pytest.raises(
        UsageError, match=r"knn3.npz: \d % of its .* 2 nearest items .* seems to belong to other"
    ):
        load(data, modalities=["image"], knn_k=3).neighbours("image")
    load(data, modalities=["image"], knn_k=3, knn_source="file").neighbours("image")
    assert "made from other features, and is used" in caplog.text


def test_a_file_of_neighbours_by_other_features_is_told(write_parts, caplog):
    data, exact = with_many_items(write_parts)
    exact[:, 2] = (exact[:, 0] + 77) % 200
    write_neighbours(data, exact)
    load(data, modalities=["image"], knn_k=3).neighbours("image")
    assert re.search(r"knn3.npz: [45]\d % of its neighbours are among the 2 nearest items", caplog.text)


def test_cache_depends_on_features_and_k(data, tmp_path):
    cache = str(tmp_path / "graphs")
    first = load(data, graph_cache=cache).neighbours("picture")
    assert len(list((tmp_path / "graphs").iterdir())) == 1
    again = load(data, graph_cache=cache).neighbours("picture")
    assert torch.equal(first[0], again[0])
    load(data, graph_cache=cache, knn_k=4).neighbours("picture")
    path = data.folder / f"{data.name}.picture.npy"
    values = np.load(path)
    values[0] += 1
    np.save(path, values)
    load(data, graph_cache=cache).neighbours("picture")
    assert len(list((tmp_path / "graphs").iterdir())) == 3


def test_neighbours_are_cached_in_the_folder_of_runs_by_default(data, tmp_path, monkeypatch):
    load(data, runs_path=str(tmp_path / "runs")).neighbours("picture")
    cached = list((tmp_path / "runs" / ".graph_cache").iterdir())
    assert len(cached) == 1
    monkeypatch.setattr(knn, "nearest", lambda *_: pytest.fail("searched again"))
    load(data, runs_path=str(tmp_path / "runs")).neighbours("picture")


def test_ml_100k_has_two_modalities_of_its_item_file():
    dataset = MultimodalDataset(Config("FREEDOM", "ml-100k", overrides={"use_gpu": False}))
    text, attributes = dataset.modalities["text"], dataset.modalities["attributes"]
    assert text.width == 64
    toy, animated, drama = (
        of_token(dataset, "text", token) for token in ("1", "95", "11")
    )  # Toy Story, Aladdin, Seven
    assert toy @ animated > toy @ drama
    assert np.linalg.norm(toy) == pytest.approx(1, abs=1e-5)
    assert of_token(dataset, "attributes", "1").sum() == 4  # 1995, Animation, Children's, Comedy
    assert set(np.unique(attributes.values)) == {0, 1}


def made_of(data, by, lines, **more):
    """Return a modality of two columns of a .item file, by token; the first line is the header."""
    (data.folder / f"{data.name}.item").write_text("\n".join(lines) + "\n")
    features = {"made": {"by": by, "columns": ["kind", "brand"]}}
    dataset = load(data, modalities=["made"], item_features=features, **more)
    return {token: of_token(dataset, "made", token) for token in ("i0", "i1", "i2", "i3")}


def rows_of_items(header, cells):
    return [header, *(f"i{item}\t{cells[item % len(cells)]}" for item in range(50))]


HEADER = "item_id:token\tkind:token_seq\tbrand:token"


def test_one_word_in_two_columns_is_two_categories(data):
    made = made_of(data, "indicators", rows_of_items(HEADER, ["1 2\t3", "3\t1", "2\t3", "1\t1"]))
    # In alphabetical order: kind 1, brand 1, kind 2, kind 3, brand 3.
    assert made["i0"].tolist() == [1, 0, 1, 0, 1]
    assert made["i1"].tolist() == [0, 1, 0, 1, 0]
    assert made["i3"].tolist() == [1, 1, 0, 0, 0]


@pytest.mark.parametrize("separator", [" ", "|", "_"])
def test_categories_are_divided_by_the_separator_of_sequences_and_tokens_are_whole(data, separator):
    cells = [cell.replace(",", separator) for cell in ("a,b\tx", "b\tx y", "a\ty", "b\ty")]
    made = made_of(data, "indicators", rows_of_items(HEADER, cells), seq_separator=separator)
    # a, b, "x", "x y", "y"
    assert made["i0"].tolist() == [1, 1, 1, 0, 0]
    assert made["i1"].tolist() == [0, 1, 0, 1, 0]
    assert made["i2"].tolist() == [1, 0, 0, 0, 1]


def test_words_of_a_text_are_divided_by_the_separator_of_sequences(data):
    cells = ["alpha_beta\tx", "beta\tx", "alpha\tx", "gamma\tx"]
    made = made_of(data, "tfidf", rows_of_items(HEADER, cells), seq_separator="_")
    # "alpha_beta" has a word of each, where as one word it would be as far from both.
    assert made["i0"] @ made["i1"] > made["i2"] @ made["i1"] + 0.1


def test_the_first_of_two_rows_of_an_item_makes_its_features(data, caplog):
    lines = rows_of_items(HEADER, ["a\tx", "b\tx"])
    once = made_of(data, "indicators", lines)
    assert "different rows" not in caplog.text
    twice = made_of(data, "indicators", [*lines, "i0\tb\tx"])
    assert np.array_equal(twice["i0"], once["i0"])
    assert "has different rows for 1 item, such as i0; the first of each counts" in caplog.text


def test_items_without_words_are_told(data, caplog):
    lines = rows_of_items(HEADER, ["a\tx", "b\tx"])
    made_of(data, "indicators", lines)
    assert "no words" not in caplog.text
    made = made_of(data, "indicators", [line if line[:3] != "i1\t" else "i1\t\t" for line in lines])
    assert not made["i1"].any()
    assert "modality made: 1 item has no words in kind, brand of" in caplog.text


def recipe(**more):
    return {"text": {"by": "tfidf", "columns": ["movie_title"], **more}}


@pytest.mark.parametrize(
    ("item_features", "message"),
    [
        (recipe(by="bert"), "item_features.text is .* it takes {by: tfidf or indicators"),
        (recipe(size=0), "item_features.text"),
        (recipe(columns=["title"]), "has no column 'title'; item_features can name item_id, movie_title"),
    ],
)
def test_recipes_that_cannot_be_followed_are_refused(item_features, message):
    with pytest.raises(UsageError, match=message):
        MultimodalDataset(
            Config("FREEDOM", "ml-100k", overrides={"use_gpu": False, "item_features": item_features})
        )


def test_a_matrix_whose_header_disagrees_with_its_numbers_is_refused(tmp_path):
    from recbole_diffusion.data.features import open_matrix

    values = np.arange(24, dtype=np.float32).reshape(6, 4)
    np.save(tmp_path / "more.npy", values)
    with (tmp_path / "more.npy").open("ab") as file:
        file.write(b"\0" * 16)
    header = {"x": {"dtype": "F32", "shape": [6, 4], "data_offsets": [0, 96]}}
    files = {
        "offsets": ({"x": header["x"] | {"data_offsets": [0, 48]}}, values),
        "shape": ({"x": header["x"] | {"shape": [12, 4]}}, values),
        "short": (header, values[:5]),
        "negative": ({"x": header["x"] | {"shape": [-6, -4]}}, values),
        "huge": ({"x": header["x"] | {"shape": [10**30, 4]}}, values),
    }
    for name, (head, numbers) in files.items():
        text = json.dumps(head).encode()
        content = len(text).to_bytes(8, "little") + text + numbers.tobytes()
        (tmp_path / f"{name}.safetensors").write_bytes(content)
    deep = b"[" * 100_000
    (tmp_path / "deep.safetensors").write_bytes(len(deep).to_bytes(8, "little") + deep)
    for name in ("more.npy", *(f"{name}.safetensors" for name in (*files, "deep"))):
        with pytest.raises(UsageError, match=f"{name} cannot be read as a matrix of features"):
            open_matrix(tmp_path / name)
