#!/usr/bin/env bash
# RecBole 1.2.1: leave-one-out by time (order TO, split LS valid_and_test) of rows that are 20 seconds apart.
#
# Guess: each user's newest row is the test part and the one before it the valid part: whole seconds since 1970 are read exactly.
# Seen:  the times become float32 before rows are ordered. Around the year 2023 neighbouring numbers there are 128 seconds apart, so that
#        rows within a minute or two tie: of six listens within 100 seconds, listed newest first, the newest is trained on and the third
#        newest tested. Ten minutes apart, the same rows are divided as guessed.
# So:    in logs of listening, clicks or reels the "last item" of a user is often not the last, and models of sequences train on the
#        future. Which row it is depends on the order of the file. Number the rows by time (a rank is exact) before RecBole reads them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==1.26.4 scipy==1.15.3 pandas==2.2.3 scikit-learn==1.6.1 tensorboard==2.19.0 colorama==0.4.6 \
    colorlog==6.9.0 pyyaml==6.0.2 tqdm==4.67.1 tabulate==0.9.0 texttable==1.7.0 psutil==7.0.0 setuptools==80.9.0
"${pip[@]}" --no-deps recbole==1.2.1 thop==0.1.1.post2209072238  # RecBole's own list asks for a Ray without a wheel for this Python
cd "$work"
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import warnings
from importlib.metadata import version
from pathlib import Path

warnings.filterwarnings("ignore")
from recbole.config import Config
from recbole.data import create_dataset

START = 1_700_000_000  # 14 November 2023
SPLIT = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"}


def parts(apart):
    """Items of (train, valid, test) of one user, whose six rows stand in the file with the newest, i6, first."""
    folder = Path(f"apart{apart}")
    folder.mkdir()
    rows = [f"{user}\ti{k}\t{START + k * apart}" for user in ("u1", "u2") for k in range(6, 0, -1)]
    (folder / f"{folder}.inter").write_text("\n".join(["user_id:token\titem_id:token\ttimestamp:float", *rows]) + "\n")
    options = {"data_path": ".", "load_col": {"inter": ["user_id", "item_id", "timestamp"]}, "eval_args": SPLIT, "state": "ERROR"}
    dataset = create_dataset(Config(model="BPR", dataset=str(folder), config_dict=options))
    (user,) = dataset.token2id("user_id", ["u1"])
    built = [part.inter_feat for part in dataset.build()]
    print(f"{apart:4} seconds apart:", built[0]["timestamp"].dtype, end=" ")
    items = [[str(dataset.id2token("item_id", i)) for i in one["item_id"][one["user_id"] == user].tolist()] for one in built]
    print(dict(zip(("train", "valid", "test"), items, strict=True)))
    return items


print("RecBole", version("recbole"))
assert version("recbole") == "1.2.1"
assert parts(600)[1:] == [["i5"], ["i6"]]
assert parts(20) == [["i3", "i2", "i1", "i6"], ["i5"], ["i4"]]
PYTHON_SCRIPT
echo "as written"
