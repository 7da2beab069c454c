#!/usr/bin/env bash
# RecBole 1.2.1: rows without a user and rows without an item in one file.
#
# Guess: both go, as its log says ("In inter_feat, line [5], item_id do not exist, so they will be removed").
# Seen:  the users' rows go. Then it takes the labels of the items' rows for positions in what is left, so that the row named in the log
#        stays and the one behind it is removed: a good interaction is lost, and [PAD] is an item that somebody has used. One kind of gap
#        alone is handled as the log says.
# So:    a few gaps in both columns of an export lose good rows and train on the padding item. Drop the gaps before RecBole reads the file.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==1.26.4 scipy==1.15.3 pandas==2.2.3 scikit-learn==1.6.1 tensorboard==2.19.0 colorama==0.4.6 \
    colorlog==6.9.0 pyyaml==6.0.2 tqdm==4.67.1 tabulate==0.9.0 texttable==1.7.0 psutil==7.0.0 setuptools==80.9.0
"${pip[@]}" --no-deps recbole==1.2.1 thop==0.1.1.post2209072238  # RecBole's own list asks for a Ray without a wheel for this Python
cd "$work"
mkdir -p data/toy
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import logging
import warnings
from importlib.metadata import version

warnings.filterwarnings("ignore")
from recbole.config import Config
from recbole.data import create_dataset

messages = []


class Keep(logging.Handler):
    def emit(self, record):
        messages.append(record.getMessage())


logging.getLogger().addHandler(Keep())
GOOD = [("u1", "i1"), ("u2", "i2"), ("u3", "i3"), ("u4", "i4")]


def read(rows):
    """The pairs that RecBole keeps of a file with these rows, and the lines that its log names."""
    with open("data/toy/toy.inter", "w") as file:
        file.write("user_id:token\titem_id:token\n" + "".join(f"{user}\t{item}\n" for user, item in rows))
    del messages[:]
    options = {"data_path": "data", "load_col": {"inter": ["user_id", "item_id"]}, "gpu_id": ""}
    dataset = create_dataset(Config(model="BPR", dataset="toy", config_dict=options))
    columns = [dataset.id2token(field, dataset.inter_feat[field]) for field in ("user_id", "item_id")]
    return [tuple(pair) for pair in zip(*columns)], [text for text in messages if "do not exist" in text]


print("RecBole", version("recbole"))
alone, _ = read([GOOD[0], ("", "i1"), *GOOD[1:]])
assert alone == GOOD
alone, _ = read([*GOOD[:2], ("u3", ""), *GOOD[2:]])
assert alone == GOOD
both, told = read([GOOD[0], ("", "i1"), GOOD[1], ("u3", ""), *GOOD[2:]])
print("good rows:", GOOD)
print("it says  :", *told, sep="\n    ")
print("it keeps :", both)
assert [text.split("line ")[1].split(",")[0] for text in told] == ["[3]", "[5]"]
assert [pair for pair in GOOD if pair not in both] == [("u3", "i3")]
assert ("u3", "[PAD]") in both
assert version("recbole") == "1.2.1"
PYTHON_SCRIPT
echo "as written"
