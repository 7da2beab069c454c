"""Pickled matrices: those of old and new versions of scipy are read, everything else is refused."""

import collections
import json
import pickle

import numpy as np
import pytest
from scipy import sparse

from recbole_diffusion.cli.prepare import prepare
from recbole_diffusion.errors import UsageError
from recbole_diffusion.prepare.matrices import pairs_of
from recbole_diffusion.quick_start import run

SHAPE = (12, 8)
NAMES = {"train": "trnMat.pkl", "valid": "valMat.pkl", "test": "tstMat.pkl"}


def part_of(part):
    """Users like items of their parity: three in train, the fourth in valid or test."""
    cells = [(user, item) for user in range(12) for item in range(user % 2, 8, 2)]
    held = {(user, 6 + user % 2) for user in range(12)}
    if part == "train":
        return [cell for cell in cells if cell not in held]
    return sorted(cell for cell in held if (cell[0] < 4) == (part == "valid"))


def matrix(cells, kind=sparse.coo_matrix, values=None):
    users, items = np.array(cells).T
    return kind(sparse.coo_matrix((np.ones(len(cells)) if values is None else values, (users, items)), SHAPE))


@pytest.fixture
def given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "given"
    folder.mkdir()
    for part, name in NAMES.items():
        (folder / name).write_bytes(pickle.dumps(matrix(part_of(part))))
    for modality in ("image", "audio"):
        np.save(folder / f"{modality}_feat.npy", np.random.default_rng(1).random((8, 3)).astype(np.float16))
    return folder


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("kind", [sparse.coo_matrix, sparse.csr_matrix])
def test_matrices_of_scipy_are_read(tmp_path, kind, protocol):
    path = tmp_path / "one.pkl"
    cells = part_of("train")
    path.write_bytes(pickle.dumps(matrix(cells, kind), protocol))
    pairs, shape = pairs_of(path)
    assert list(pairs) == [(str(user), str(item)) for user, item in sorted(cells)]
    assert shape == SHAPE


def test_a_pickle_of_an_old_scipy_is_read(tmp_path):
    """Modules had no underscore, and coordinates were ``row`` and ``col``."""
    found = matrix([(0, 1), (3, 2), (5, 5)], values=[1.0, 0.0, 2.0])
    state = {"_shape": SHAPE, "maxprint": 50, "row": found.row, "col": found.col, "data": found.data}
    found.__dict__.clear()
    found.__dict__.update(state)
    text = pickle.dumps(found, 2).replace(b"scipy.sparse._coo", b"scipy.sparse.coo")
    path = tmp_path / "old.pkl"
    path.write_bytes(text.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert list(pairs_of(path)[0]) == [("0", "1"), ("5", "5")]  # a stored 0 is no interaction


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(collections.OrderedDict(a=1)), "asks for collections.OrderedDict"),
        (pickle.dumps(sparse.eye(3, format="lil")), "asks for scipy.sparse._lil.lil_matrix"),
        (pickle.dumps([1, 2]), "it holds something else"),
        (pickle.dumps(matrix([(0, 1)]))[:-30], "no pickled coo_matrix or csr_matrix"),
        (b"", "no pickled coo_matrix or csr_matrix"),
    ],
)
def test_other_pickles_are_refused(tmp_path, content, message):
    path = tmp_path / "other.pkl"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        pairs_of(path)


@pytest.mark.parametrize("row", [12, -1])
def test_cells_outside_the_shape_are_refused(tmp_path, row):
    found = matrix([(0, 1), (3, 2)])
    found.row[0] = row
    path = tmp_path / "outside.pkl"
    path.write_bytes(pickle.dumps(found))
    with pytest.raises(UsageError, match="cells outside its shape"):
        pairs_of(path)


def test_the_set_is_made_and_runs(given, capsys):
    assert prepare(["tiktok", "--source=given"]) == 0
    said = capsys.readouterr()
    assert "parts    train 36, valid 4, test 8" in said.out
    assert "differ" not in said.err
    folder = given.parent / "dataset/tiktok"
    rows = (folder / "tiktok.valid.inter").read_text().splitlines()
    assert rows == ["user_id:token\titem_id:token", "0\t6", "1\t7", "2\t6", "3\t7"]
    assert (folder / "tiktok.image_feat.npy").read_bytes() == (given / "image_feat.npy").read_bytes()
    assert json.loads((folder / "prepare.json").read_text())["paper"] is None
    options = {"use_gpu": False, "topk": [2], "epochs": 1, "knn_k": 3, "report_groups": 0, "run_dir": "run"}
    assert run("FREEDOM", "tiktok", overrides=options)["test"].keys() >= {"recall@2"}


def test_parts_that_do_not_fit_are_refused(given):
    train = given / "trnMat.pkl"
    whole = train.read_bytes()
    train.write_bytes(pickle.dumps(matrix([*part_of("train"), part_of("test")[0]])))
    with pytest.raises(
        UsageError, match=r"1 rows of tiktok are in train and in test, such as user 4, item 6"
    ):
        prepare(["tiktok", "--source=given"])
    train.write_bytes(pickle.dumps(sparse.coo_matrix(matrix(part_of("train")).toarray()[:, :7])))
    with pytest.raises(UsageError, match=r"differ in shape, .*'trnMat.pkl': \(12, 7\)"):
        prepare(["tiktok", "--source=given"])
    train.write_bytes(whole)
    np.save(given / "audio_feat.npy", np.zeros((7, 3)))
    with pytest.raises(UsageError, match=r"audio_feat.npy has the shape \(7, 3\), for 8 items"):
        prepare(["tiktok", "--source=given"])
    (given / "audio_feat.npy").write_bytes(b"no matrix")
    with pytest.raises(UsageError, match=r"audio_feat.npy is no matrix of numpy"):
        prepare(["tiktok", "--source=given"])
    assert not (given.parent / "dataset/tiktok").exists()


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones((8, 3), int), "audio_feat.npy holds int64, not one of float16, float32, float64"),
        (np.ones((8, 3)).astype(str), "audio_feat.npy holds <U32, not one of float16"),
        (np.ones((8, 0)), r"audio_feat.npy has the shape \(8, 0\), for 8 items"),
        (np.diag([np.nan] * 8), "audio_feat.npy has NaN or infinite numbers"),
        (np.full((8, 2), np.inf, np.float32), "audio_feat.npy has NaN or infinite numbers"),
    ],
)
def test_features_that_no_model_can_read_are_refused(given, features, message):
    np.save(given / "audio_feat.npy", features)
    with pytest.raises(UsageError, match=message):
        prepare(["tiktok", "--source=given"])
    assert not (given.parent / "dataset/tiktok").exists()


def test_parts_under_each_others_names_are_refused(given):
    train, test = (given / NAMES[part] for part in ("train", "test"))
    kept = train.read_bytes()
    train.write_bytes(test.read_bytes())
    test.write_bytes(kept)
    with pytest.raises(UsageError, match="test of tiktok has 36 rows, more than the 8 of train"):
        prepare(["tiktok", "--source=given"])
    test.write_bytes(pickle.dumps(matrix(part_of("test"), values=np.zeros(8))))
    train.write_bytes(kept)
    with pytest.raises(UsageError, match="no row is left for test of tiktok"):
        prepare(["tiktok", "--source=given"])
