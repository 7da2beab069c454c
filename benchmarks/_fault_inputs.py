"""The inputs of ``benchmarks.faults``: what is damaged, how, and what is right. All made up, all from a seed.

Longer than most files: a list of what users get wrong, one line each.
"""

import contextlib
import dataclasses
import json
import random
import shutil
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._fault_data import ITEMS, USERS, header, lines, parts, write, write_parts
from benchmarks._fault_runs import Case, answered
from recbole_diffusion import registry
from recbole_diffusion.options.general import GeneralOptions
from recbole_diffusion.options.rating import RatingOptions
from recbole_diffusion.options.recbole_ranges import of_model
from recbole_diffusion.options.split import SplitOptions

KINDS = {
    "inter": "damaged interaction files",
    "time": "times that are none, or missing",
    "parts": "parts that overlap or do not fit",
    "option": "options of a type, range or name that they do not have",
    "yaml": "configuration files",
    "words": "command lines of all commands",
    "scores": "scores that are none",
    "features": "feature files of items",
    "users": "files of users and histories",
    "run": "damaged run folders and checkpoints",
    "sweep": "options of a sweep",
    "bytes": "bytes changed at random, in all of these files",
}
EASE = (
    "--model=EASE",
    "--dataset=d",
    "--data_path=data",
    "--topk=5",
    "--valid_metric=Recall@5",
    "--run_dir=run",
)
TIMED = "--load_col={inter: [user_id, item_id, rating, timestamp]}"
SMALL = ("--epochs=1", "--topk=5", "--valid_metric=Recall@5")


def cases(kind: str, folder: Path, seed: int) -> Iterator[Case]:
    """Yield the inputs of one kind, each with a folder of its own below ``folder``."""
    made: Callable[[Path, random.Random], Iterator[Case]] = globals()[f"_{kind}"]
    for number, case in enumerate(made(folder / "shared", random.Random(f"{seed} {kind}"))):
        case.kind, case.folder = kind, folder / str(number)
        yield case


def _case(
    name: str, argv: tuple[str, ...], right: str, before: Callable[[], Any] | None = None, **more
) -> Case:
    return Case("", name, argv, Path(), right, before=before, **more)


def in_folder(folder: Path, make: Callable[[], Any]) -> None:
    """Make an input below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(folder):
        make()


def _undamaged(folder: Path, argv: tuple[str, ...], make: Callable[[Path], Any]) -> Any:
    """Return the metrics of the undamaged input."""
    make(folder / "data")
    return answered(Case("", "", argv, folder)).result


# Interaction files.

RATED = ("--model=DGRM", "--dataset=d", "--data_path=data", "--epochs=1", "--hidden_size=8", "--steps=3")


def _inter(shared: Path, draw: random.Random) -> Iterator[Case]:
    good = header() + "".join(lines())
    rows = lines()
    result = _undamaged(shared, EASE, lambda folder: write(folder, good))
    changed: dict[str, tuple[str | bytes, str]] = {
        "nothing": (good, "same"),
        "windows line ends": (good.replace("\n", "\r\n"), "same"),
        "byte order mark": ("\ufeff" + good, "same"),
        "no line end at the end": (good.rstrip("\n"), "same"),
        "empty file": ("", "refused"),
        "header alone": (header(), "refused"),
        "no header": ("".join(rows), "refused"),
        "names without types": (good.replace(":token", "").replace(":float", ""), "refused"),
        "unknown type": (good.replace("rating:float", "rating:number"), "refused"),
        "type in capitals": (good.replace("rating:float", "rating:FLOAT"), "refused"),
        "a column twice": (good.replace("timestamp:float", "rating:float"), "refused"),
        "no item column": (good.replace("item_id:token", "thing:token"), "refused"),
        "no user column": (good.replace("user_id:token", "thing:token"), "refused"),
        "users as floats": (good.replace("user_id:token", "user_id:float"), "refused"),
        "items as a sequence": (good.replace("item_id:token", "item_id:token_seq"), "refused"),
        "commas": (good.replace("\t", ","), "refused"),
        "semicolons": (good.replace("\t", ";"), "refused"),
        "two colons": (good.replace("\t", "::"), "refused"),
        "spaces": (good.replace("\t", " "), "refused"),
        "pages of zeros": (b"\0" * 4096, "refused"),
        "utf-16": (good.encode("utf-16"), "refused"),
        "a picture": (bytes(range(256)) * 20, "refused"),
        "a folder": ("", "refused"),
    }
    for name, (content, right) in changed.items():
        yield _case(name, EASE, right, _written(content, name == "a folder"), result=result)
    for name, (old, new) in {
        "a row with a field less": ("\t", ""),
        "a row with a field more": ("\n", "\tmore\n"),
        "a row of two": ("\n", "\t"),
        "a quote that does not close": ("\t", '\t"'),
    }.items():
        for number in draw.sample(range(len(rows)), 8):
            row = rows[number].replace(old, new, 1)
            content = header() + "".join([*rows[:number], row, *rows[number + 1 :]])
            right = "either" if "quote" in name else "refused"
            yield _case(f"{name}, line {number + 2}", EASE, right, _written(content))
    for word in ("five", "", "1,5", "nan", "inf", "-inf", "1e400", "0x10", "true", "1_0", "--", "NULL"):
        row = draw.randrange(len(rows))
        user, item, _, time = rows[row].rstrip("\n").split("\t")
        content = header() + "".join([*rows[:row], f"{user}\t{item}\t{word}\t{time}\n", *rows[row + 1 :]])
        yield _case(f"rating {word!r}", (*RATED, "--run_dir=run"), "refused", _written(content))
    for column in (0, 1):
        for word in ("", " ", "\\N"):
            row = draw.randrange(len(rows))
            fields = rows[row].rstrip("\n").split("\t")
            fields[column] = word
            content = header() + "".join([*rows[:row], "\t".join(fields) + "\n", *rows[row + 1 :]])
            right = "either" if word == "\\N" else "said"
            name = f"{('user', 'item')[column]} {word!r}"
            yield _case(name, EASE, right, _written(content), words=("empty", "missing", "without"))
    for word in ("NA", "null", "None", "nan", "NaN", "N/A", "#N/A", "True", "1.0", "01", "-", "ö", "[PAD]"):
        rename = {rows[0].split("\t")[1]: word}
        content = header() + "".join(
            "\t".join(rename.get(one, one) if at == 1 else one for at, one in enumerate(row.split("\t")))
            for row in rows
        )
        right = "either" if word == "[PAD]" else "same"
        yield _case(f"an item named {word}", EASE, right, _written(content), result=result)
    for token in ("rating:token", "rating:float_seq", "rating:token_seq"):
        content = good.replace("rating:float", token)
        yield _case(token, (*RATED, "--run_dir=run"), "refused", _written(content))
    repeated = header() + "".join(row for row in rows for _ in range(3))
    for model in ("EASE", "BPR", "ItemKNN", "Pop"):
        argv = (f"--model={model}", *EASE[1:], "--epochs=1")
        yield _case(
            f"each row three times, {model}", argv, "said", _written(repeated), words=("rm_dup_inter",)
        )
    for limit in ("[100,inf)", "[-5,inf)", "(5,3)", "five", "5", "[5,inf"):
        for name in ("user_inter_num_interval", "item_inter_num_interval"):
            right = "either" if limit == "[-5,inf)" else "refused"
            yield _case(f"{name} {limit}", (*EASE, f"--{name}={limit!r}"), right, _written(good))
    label = good.replace("rating:float", "label:float")
    for model in ("EASE", "BPR", "TVDiff", "LightGCN"):
        argv = (f"--model={model}", *EASE[1:], "--epochs=1", "--load_col={inter: [user_id, item_id, rating]}")
        argv += ("--hidden_size=8",) if model == "TVDiff" else ()
        words = ("val_interval", "threshold")
        yield _case(
            f"threshold, {model}", (*argv, "--threshold={rating: 4}"), "said", _written(good), words=words
        )
        labelled = (*argv[:-1], argv[-1]) if model == "TVDiff" else argv
        labelled = tuple(one.replace("item_id, rating]", "item_id, label]") for one in labelled)
        binary = label.replace("\t5\t", "\t1\t").replace("\t4\t", "\t1\t")
        for low in ("1", "2", "3"):
            binary = binary.replace(f"\t{low}\t", "\t0\t")
        yield _case(f"a label, {model}", labelled, "said", _written(binary), words=("val_interval", "label"))


def _written(content: str | bytes, as_folder: bool = False) -> Callable[[], None]:
    """Return what writes a data set into the folder where a case runs."""

    def make() -> None:
        write(Path("data"), content)
        if as_folder:
            Path("data/d/d.inter").unlink()
            Path("data/d/d.inter").mkdir()

    return make


# Times.


def _time(shared: Path, draw: random.Random) -> Iterator[Case]:
    rows = lines()
    ways = {
        "by time": ("--eval_args={split: {RS: [0.8, 0.1, 0.1]}, order: TO}",),
        "leave one out": ("--eval_args={split: {LS: valid_and_test}, order: TO}",),
        "TS": ("--eval_args={split: {TS: [0.8, 0.1, 0.1]}, order: TO}",),
        "shift": ("--shift=temporal",),
    }
    for way, options in ways.items():
        argv = (*EASE, *options)
        for name, change in {
            "tokens": lambda text: text.replace("timestamp:float", "timestamp:token"),
            "no column": lambda text: text.replace("timestamp:float", "when:float"),
            "dates": lambda text: text.replace("\t9", "\t2021-05-0"),
        }.items():
            yield _case(f"{name}, {way}", argv, "refused", _written(change(header() + "".join(rows))))
        for word in ("", "nan", "yesterday", "inf", "2021-05-01", "1e400"):
            for number in draw.sample(range(len(rows)), 3):
                fields = rows[number].rstrip("\n").split("\t")
                row = "\t".join([*fields[:3], word]) + "\n"
                content = header() + "".join([*rows[:number], row, *rows[number + 1 :]])
                yield _case(f"{word!r} in line {number + 2}, {way}", argv, "refused", _written(content))
    split = ("split", "--dataset=d", "--data_path=data", "--shift=temporal", "--output=made")
    for word in ("", "nan", "inf", "noon"):
        fields = rows[5].rstrip("\n").split("\t")
        content = header() + "".join([*rows[:5], "\t".join([*fields[:3], word]) + "\n", *rows[6:]])
        yield _case(f"{word!r}, split", split, "refused", _written(content))
    for options in ("split: {TS: [0.8, 0.1, 0.1]}", "split: {TS: [0.8, 0.1, 0.1]}, order: RO"):
        yield _case(
            f"TS alone: {options}",
            (*EASE, f"--eval_args={{{options}}}"),
            "either",
            _written("".join([header(), *rows])),
        )


# Parts.


def _parts(shared: Path, draw: random.Random) -> Iterator[Case]:
    clean = parts()
    names = ("train", "valid", "test")
    result = _undamaged(shared, _of_parts("EASE"), lambda folder: write_parts(folder, clean))
    yield _case("nothing", _of_parts("EASE"), "same", _parted(clean), result=result)
    words = ("in train", "in both", "more than one", "overlap", "twice", "same rows", "also in", "repeatable", "chosen on the test part")
    for model in ("EASE", "BPR", "TVDiff", "ItemKNN", "LightGCN", "Pop"):
        argv = _of_parts(model)
        for into, out_of in (("test", "train"), ("valid", "train"), ("test", "valid")):
            for share in (0.1, 1.0):
                count = max(1, int(share * len(clean[into])))
                mixed = {**clean, into: clean[into][count:] + draw.sample(clean[out_of], count)}
                name = f"{count} rows of {out_of} in {into}, {model}"
                yield _case(name, argv, "said", _parted(mixed), words=words)
        yield _case(
            f"valid is test, {model}", argv, "said", _parted({**clean, "valid": clean["test"]}), words=words
        )
        whole = {name: sum(clean.values(), []) for name in names}
        yield _case(f"all parts are one file, {model}", argv, "said", _parted(whole), words=words)
        for part in ("valid", "test"):
            for kind, row in {
                "user": f"stranger\t{clean['train'][0].split(chr(9))[1]}\t5\t900000\n",
                "item": f"{clean['train'][0].split(chr(9))[0]}\tunseen\t5\t900000\n",
            }.items():
                mixed = {**clean, part: [*clean[part], row]}
                told = ("not in train", "unknown", "no training", "without", "new")
                yield _case(f"unknown {kind} in {part}, {model}", argv, "said", _parted(mixed), words=told)
    for part in names:
        yield _case(f"empty {part}", _of_parts("EASE"), "refused", _parted({**clean, part: []}))
        without = {name: rows for name, rows in clean.items() if name != part}
        yield _case(f"no {part}", _of_parts("EASE"), "refused", _parted(without))
    for option in (
        "--user_inter_num_interval='[5,inf)'",
        "--eval_args={split: {LS: valid_and_test}}",
        "--rm_dup_inter=first",
    ):
        told = ("no effect", "as they are", "taken")
        yield _case(f"{option} with parts", (*_of_parts("EASE"), option), "said", _parted(clean), words=told)


def _of_parts(model: str) -> tuple[str, ...]:
    small = ("--hidden_size=8",) if model == "TVDiff" else ()
    start = (f"--model={model}", *EASE[1:], "--epochs=1", "--benchmark_filename=[train, valid, test]")
    return (*start, *small)


def _parted(rows: dict[str, list[str]]) -> Callable[[], None]:
    return lambda: write_parts(Path("data"), rows)


# Options.


def _option(shared: Path, draw: random.Random) -> Iterator[Case]:
    for cls, model in ((GeneralOptions, "EASE"), (SplitOptions, "EASE"), (RatingOptions, "EASE")):
        for field in dataclasses.fields(cls):
            yield from _wrong_values(field.name, field.type, field.metadata, model, draw)
    for model in registry.MODELS:
        own = registry.options_class(model)
        for field in dataclasses.fields(own) if own else ():
            yield from _wrong_values(field.name, field.type, field.metadata, model, draw)
    from recbole_diffusion.config import Config

    for model in (
        "LightGCN",
        "NeuMF",
        "MultiVAE",
        "DiffRec",
        "LDiffRec",
        "ItemKNN",
        "EASE",
        "SGL",
        "SimpleX",
        "SASRec",
        "DeepFM",
        "ENMF",
        "RecVAE",
    ):
        read = Config(model, "ml-100k")
        for name, allowed in of_model(model).items():
            if name not in read.internal_config_dict or read[name] is None:
                continue
            bad = ["nonsense", -1, float("nan"), {}] if allowed.choices == () else ["nonsense", 7, []]
            for value in bad:
                if not allowed.takes([value] if allowed.many and not isinstance(value, dict) else value):
                    yield _wrong(model, name, [value] if allowed.many else value)
    given = {
        "eval_args": [
            "{splt: {RS: [8, 1, 1]}}",
            "{split: {RS: [0.8, 0.1]}}",
            "{split: {RS: [0, 0.5, 0.5]}}",
            "{mode: uni}",
            "{order: up}",
            "{group_by: item}",
            "{split: {RS: [-1, 1, 1]}}",
            "7",
        ],
        "load_col": [
            "{inter: [user_id]}",
            "{inter: [user_id, itm_id]}",
            "{intr: [user_id]}",
            "[user_id]",
            "{user: [age]}",
        ],
        "val_interval": ["{rating: 3}", "{rating: '[3,'}", "{stars: '[3,inf)'}", "[rating]"],
        "train_neg_sample_args": [
            "{distribution: normal}",
            "{sample_num: 2}",
            "{distribution: uniform, sample_num: 0}",
            "7",
        ],
        "clip_grad_norm": ["{max_norm: -1}", "{max_norm: 0}", "{norm: 1}", "5", "{max_norm: .nan}"],
        "benchmark_filename": ["[train]", "train", "[a, b, c]", "[train, train, test]"],
        "metrics": ["[Recal]", "[]", "7", "[Recall, AUC]"],
        "topk": ["0", "[]", "[5, 0]", "five", "[1.5]", "10000"],
        "valid_metric": ["Recall@7", "Precison@5", "7"],
        "encoding": ["utf-88", "7"],
        "field_separator": ["''", "7"],
        "rm_dup_inter": ["middle", "7"],
        "threshold": ["{stars: 3}", "3"],
        "preset": ["best_of_all", "7"],
        "learner": ["adm", "7"],
    }
    for name, texts in given.items():
        for text in texts:
            yield _case(f"--{name}={text}", (*_without(EASE, name), f"--{name}={text}"), "refused", _clean)
    for name in (
        "embeding_size",
        "lerning_rate",
        "epoch",
        "batch_size",
        "hidden-size",
        "reg_wieght",
        "top_k",
        "gpu",
    ):
        yield _case(f"--{name}=3", (*EASE, f"--{name}=3"), "refused", _clean)


def _wrong_values(name: str, kind: Any, meta: Any, model: str, draw: random.Random) -> Iterator[Case]:
    kinds = set(typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,))
    bad: list[Any] = []
    if str not in kinds:  # a command line gives text to those
        bad += [{"a": 1}] if dict not in kinds else ["text"]
        bad += [[1, "x"]] if list not in kinds else []
    if not kinds & {str, list, dict}:
        bad.append("nonsense")
    if kinds & {int, float} and str not in kinds:
        bad += [float("nan"), float("inf"), True]
        low, high = meta.get("low"), meta.get("high")
        bad += [low - 1] if low is not None else []
        bad += [low] if low is not None and meta.get("open_low") else []
        bad += [high + 1] if high is not None else []
        bad += [high] if high is not None and meta.get("open_high") else []
        bad += [1.5] if float not in kinds else []
    if meta.get("choices"):
        bad.append("nonsense")
    if bool in kinds:
        bad += [2, "perhaps"]
    for value in draw.sample(bad, min(len(bad), 4)):
        yield _wrong(model, name, value)


def _wrong(model: str, name: str, value: Any) -> Case:
    from recbole_diffusion.storage.yaml_io import dump_value

    argv = (f"--model={model}", *_without(EASE[1:], name), f"--{name}={dump_value(value)}")
    return _case(f"{model} --{name}={dump_value(value)}", argv, "refused", _clean)


def _without(argv: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(one for one in argv if not one.startswith(f"--{name}="))


def _clean() -> None:
    write(Path("data"), header() + "".join(lines()))


# Configuration files.


def _yaml(shared: Path, draw: random.Random) -> Iterator[Case]:
    refused = {
        "a key twice": "reg_weight: 1.0\nseed: 3\nreg_weight: 500.0\n",
        "an inner key twice": "eval_args:\n  mode: full\n  order: RO\n  mode: uni5\n",
        "an inner key twice, in one line": "eval_args: {mode: full, mode: uni5}\n",
        "a key in quotes and without": "seed: 1\n'seed': 2\n",
        "an octal number": "seed: 010\n",
        "minutes": "seed: 1:30\n",
        "a tab": "seed:\t1\n\tepochs: 2\n",
        "a list": "- seed\n- epochs\n",
        "a number": "7\n",
        "a text": "seed\n",
        "an object": "seed: !!python/object:datetime.date [2020, 1, 1]\n",
        "a tag": "seed: !seed 3\n",
        "an unknown anchor": "seed: *here\n",
        "an open bracket": "topk: [1, 2\n",
        "an open quote": "learner: 'adam\n",
        "two documents": "seed: 1\n---\nseed: 2\n",
        "a date": "seed: 2020-01-01\n",
        "bytes": "seed: !!binary aGVsbG8=\n",
        "a set": "metrics: !!set {Recall, NDCG}\n",
        "a key that is a list": "[seed, epochs]: 3\n",
        "a key that is a number": "3: 4\n",
        "an endless number": "reg_weight: 1" + "0" * 400 + "\n",
        "no number": "reg_weight: .nan\n",
        "an infinite number": "reg_weight: .inf\n",
        "a list in itself": "metrics: &all [Recall, *all]\n",
        "brackets in brackets": "topk: " + "[" * 2000 + "]" * 2000 + "\n",
    }
    for name, text in refused.items():
        yield _case(name, (*EASE, "--config_files=c.yaml"), "refused", _configured(text))
    for name, content in {
        "utf-16": "seed: 3\n".encode("utf-16"),
        "zeros": b"\0\0\0",
        "latin": b"learner: ad\xe4m\n",
    }.items():
        yield _case(name, (*EASE, "--config_files=c.yaml"), "refused", _configured(content))
    for name in ("none.yaml", ".", "c.yaml none.yaml", "/proc/none/c.yaml"):
        yield _case(f"file {name}", (*EASE, f"--config_files={name}"), "refused", _configured("seed: 3\n"))
    result = _undamaged(
        shared, (*EASE, "--reg_weight=100.0"), lambda folder: write(folder, header() + "".join(lines()))
    )
    for name, text in {
        "exponent": "reg_weight: 1e2\n",
        "comment": "# mine\nreg_weight: 100.0  # as in the paper\n",
        "empty line": "\n\nreg_weight: 100\n\n",
        "plus": "reg_weight: +100.0\n",
        "byte order mark": "\ufeffreg_weight: 100.0\n",
        "windows": "reg_weight: 100.0\r\n",
        "anchor": "reg_weight: &w 100.0\n",
    }.items():
        yield _case(name, (*EASE, "--config_files=c.yaml"), "same", _configured(text), result=result)


def _configured(text: str | bytes) -> Callable[[], None]:
    def make() -> None:
        _clean()
        Path("c.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())

    return make


# Command lines.


def _words(shared: Path, draw: random.Random) -> Iterator[Case]:
    from recbole_diffusion.cli.commands import COMMANDS

    commands = [name for name in COMMANDS if name not in ("doctor",)]
    for name in commands:
        for words in (
            ["--nonsense=1"],
            ["--run"],
            ["--output="],
            ["x", "y"],
            ["--", "x"],
            ["-k", "3"],
            ["--k=3", "--k=4"],
            ["--=3"],
        ):
            right = "either" if name in ("train",) else "refused"
            yield _case(" ".join([name, *words]), (name, *words), "refused" if right else right, _clean)
    for words in (
        [],
        ["nonsense"],
        ["trian"],
        ["--model"],
        ["--model="],
        ["--model=EASE"],
        ["--dataset=d"],
        ["--model=EASE", "--dataset=none", "--data_path=data"],
        ["--model=EASE", "--dataset=d", "--data_path=nowhere"],
        ["--resume=nowhere"],
        ["--model=a.b:C", "--dataset=d"],
        ["--model=os:path", "--dataset=d"],
        ["--model=:", "--dataset=d"],
        ["--model=json:JSONDecoder", "--dataset=d"],
        ["-model=EASE"],
        ["model=EASE"],
        ["--model EASE"],
    ):
        yield _case(" ".join(words) or "(no words)", tuple(words), "refused", _clean)
    for name, words in {
        "recommend": [
            ["--run=nowhere", "--all", "--output=a.csv"],
            ["--run=.", "--all", "--output=a.csv"],
            ["--all", "--output=a.csv"],
        ],
        "export": [["--run=nowhere", "--output=a"], ["--run=data", "--output=a"]],
        "compare": [["nowhere"], ["data"], ["--glob=none*"], ["data", "--reference=EASE"]],
        "report": [["nowhere", "--output=a.html"], ["data", "--output=a.html"], ["data"]],
        "split": [
            ["--dataset=none", "--shift=temporal", "--output=a"],
            ["--dataset=d", "--data_path=data", "--shift=sideways", "--output=a"],
            ["--dataset=d", "--data_path=data", "--shift=popularity"],
            ["--dataset=d", "--data_path=data", "--shift=popularity", "--output=a", "--shift_ratio=2"],
        ],
        "prepare": [["nonsense"], ["food", "--source=nowhere", "--output=a"], ["food", "--min_user=-1"]],
    }.items():
        for one in words:
            yield _case(" ".join([name, *one]), (name, *one), "refused", _clean)


# Scores.


def _scores(shared: Path, draw: random.Random) -> Iterator[Case]:
    huge = "--learning_rate=1e6"
    for model, options in {
        "EASE": ["--reg_weight=0.0", "--reg_weight=1e300"],
        "ItemKNN": ["--shrink=1e300", "--k=1"],
        "BPR": [huge, f"--learner=sgd {huge}", "--weight_decay=1e30"],
        "LightGCN": [huge, "--reg_weight=1e30"],
        "TVDiff": [f"--hidden_size=8 {huge}", f"--hidden_size=8 --learner=sgd {huge}"],
        "MultiVAE": [huge],
        "CNSDiff": [huge],
        "NeuMF": [huge],
        "DiffRec": [huge, "--noise_scale=1e-30"],
        "ENMF": [huge, "--negative_weight=1e30"],
        "DGRM": [f"--hidden_size=8 --steps=3 {huge}"],
    }.items():
        for option in options:
            # A diverged model may still rank: then it has numbers, which are its own.
            yield _case(f"{model} {option}", (f"--model={model}", *EASE[1:], *option.split(), "--epochs=2"), "either", _clean)
    for model, option in {"EASE": "--reg_weight=1e300", "BPR": "--learning_rate=1e-300"}.items():
        argv = (f"--model={model}", *EASE[1:], option, "--epochs=1")
        yield _case(f"{model} {option}", argv, "refused" if model == "EASE" else "either", _clean)


# Features.


def _features(shared: Path, draw: random.Random) -> Iterator[Case]:
    generator = np.random.default_rng(0)
    good = {name: generator.standard_normal((ITEMS, 8)).astype(np.float32) for name in ("image", "text")}
    ids = [f"i{number}" for number in range(ITEMS)]
    argv = ("--model=FREEDOM", *EASE[1:], "--epochs=1", "--embedding_size=8", "--knn_k=3")

    def made(
        image: Any = None, items: list[str] | None = None, raw: bytes | None = None
    ) -> Callable[[], None]:
        def make() -> None:
            _clean()
            for name, rows in good.items():
                np.save(
                    f"data/d/d.{name}.npy",
                    rows if image is None or name != "image" else image,
                    allow_pickle=True,
                )
                Path(f"data/d/d.{name}.tokens").write_text("\n".join(items or ids) + "\n")
            if raw is not None:
                Path("data/d/d.image.npy").write_bytes(raw)

        return make

    result = _undamaged(shared, argv, lambda _: in_folder(shared, made()))
    yield _case("nothing", argv, "same", made(), result=result)
    image = good["image"]
    gap, endless = image.copy(), image.copy()
    gap[3, 2], endless[3, 2] = np.nan, np.inf
    stored = _npy(image)
    for name, rows in {
        "a row less": image[:-1],
        "a row more": np.vstack([image, image[:1]]),
        "no columns": image[:, :0],
        "no rows": image[:0],
        "one dimension": image[:, 0],
        "three dimensions": image[None],
        "texts": image.astype(str),
        "complex": image.astype(complex),
        "objects": np.array([[{}] * 8] * ITEMS, dtype=object),
        "NaN": gap,
        "infinite": endless,
        "one value": np.ones_like(image),
        "huge": image * np.float32(1e38),
    }.items():
        yield _case(name, argv, "either" if name == "huge" else "refused", made(rows))
    for name, raw in {
        "empty": b"",
        "half": stored[: len(stored) // 2],
        "header alone": stored[:128],
        "half a header": stored[:20],
        "a longer shape": stored.replace(f"({ITEMS}, 8)".encode(), f"({ITEMS}, 9)".encode()),
        "a huge shape": stored.replace(
            f"({ITEMS}, 8)".encode(), b"(9, 9)" if ITEMS < 10 else b"(99, 8)"[: len(f"({ITEMS}, 8)")]
        ),
        "another type": stored.replace(b"<f4", b"<f8"),
        "a text": b"not numpy at all\n",
        "zeros": b"\0" * 500,
        "bytes behind": stored + b"\0" * 13,
    }.items():
        yield _case(f"npy: {name}", argv, "refused", made(raw=raw))
    for name, items in {
        "an id less": ids[:-1],
        "an id twice": [*ids[:-1], ids[0]],
        "other ids": [f"x{one}" for one in ids],
        "an empty id": [*ids[:-1], ""],
    }.items():
        yield _case(f"items: {name}", argv, "refused", made(items=items))


def _npy(rows: np.ndarray) -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, rows)
    return file.getvalue()


# Users and histories.


def _users(shared: Path, draw: random.Random) -> Iterator[Case]:
    run = _trained(shared, "EASE", ())
    ways = {
        "--users=u.txt": {
            "unknown": "u1\nnobody\n",
            "empty": "",
            "twice": "u1\nu1\n",
            "blank": "u1\n\nu2\n",
            "two columns": "u1\tu2\n",
            "binary": b"\xff\xfe\0u",
            "header": "user_id:token\nu1\n",
        }
    }
    ways["--histories=u.txt"] = {
        "unknown item": "user_id:token\titem_id:token\nn1\tnothing\n",
        "no header": "n1\ti1\n",
        "a column": "user_id:token\nn1\n",
        "header alone": "user_id:token\titem_id:token\n",
        "empty": "",
        "a field less": "user_id:token\titem_id:token\nn1\n",
        "item twice": "user_id:token\titem_id:token\nn1\ti1\nn1\ti1\n",
        "commas": "user_id:token,item_id:token\nn1,i1\n",
        "no user": "user_id:token\titem_id:token\n\ti1\n",
        "binary": b"\xff\xfe\0\x01" * 9,
    }
    for option, files in ways.items():
        for name, content in files.items():
            argv = ("recommend", f"--run={run}", option, "--k=3", "--output=a.csv")
            right = "either" if name in ("twice", "item twice", "blank", "header") else "refused"
            yield _case(f"{option}: {name}", argv, right, _file("u.txt", content))
    for option in (
        "--k=0",
        "--k=-1",
        "--k=99999",
        "--k=x",
        "--format=xls",
        "--exclude=some",
        "--unknown=maybe",
        "--shift_test=a",
        "--data_path=nowhere",
        "--output=nowhere/a/b.csv",
        "--output=.",
        "--gpu_id=99x",
    ):
        argv = ("recommend", f"--run={run}", "--all", "--k=3", "--output=a.csv")
        right = (
            "either"
            if option in ("--output=nowhere/a/b.csv", "--gpu_id=99x", "--shift_test=a")
            else "refused"
        )
        yield _case(
            f"recommend {option}", (*_without(argv, option[2:].partition("=")[0]), option), right, None
        )
    for option in ("--index=faist", "--k=0", "--output=", "--overwrite=perhaps"):
        yield _case(
            f"export {option}",
            (*_without(("export", f"--run={run}", "--output=a"), option[2:].partition("=")[0]), option),
            "refused",
            None,
        )


def _file(name: str, content: str | bytes) -> Callable[[], None]:
    return lambda: (
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode()) and None
    )


def _trained(shared: Path, model: str, options: tuple[str, ...]) -> Path:
    """Train a small run in a folder that stays; return its folder."""
    from benchmarks._fault_runs import ended, started

    shared.mkdir(parents=True, exist_ok=True)
    run = shared / model
    write(shared / "data", header() + "".join(lines()))
    argv = (
        f"--model={model}",
        "--dataset=d",
        f"--data_path={shared / 'data'}",
        *SMALL,
        *options,
        f"--run_dir={run}",
    )
    if ended(started(argv, shared, shared / "output.txt"), 60):
        raise RuntimeError((shared / "output.txt").read_text())
    return run


# Run folders.


def _run(shared: Path, draw: random.Random) -> Iterator[Case]:
    runs = {
        "EASE": _trained(shared, "EASE", ()),
        "TVDiff": _trained(shared, "TVDiff", ("--hidden_size=8",)),
        "BPR": _trained(shared, "BPR", ("--embedding_size=8",)),
    }
    for model, run in runs.items():
        stored = json.loads((run / "result.json").read_text())
        texts: dict[str, Any] = {
            "empty": "",
            "half": (run / "result.json").read_text()[:300],
            "a list": "[]",
            "a number": "7",
            "null": "null",
            "brackets": "[" * 3000,
            "a huge number": '{"test": ' + "9" * 5000 + "}",
            "zeros": "\0\0\0",
        }
        for key in draw.sample(sorted(stored), 8):
            texts[f"no {key}"] = json.dumps({name: value for name, value in stored.items() if name != key})
            texts[f"{key} is a text"] = json.dumps({**stored, key: "text"})
            texts[f"{key} is a list"] = json.dumps({**stored, key: [1, [2]]})
            texts[f"{key} is null"] = json.dumps({**stored, key: None})
        for name, text in texts.items():
            for argv in (
                ("compare", "copy"),
                ("report", "copy", "--output=a.html"),
                ("recommend", "--run=copy", "--all", "--k=3", "--output=a.csv"),
            ):
                yield _case(
                    f"{model}: result.json: {name}: {argv[0]}",
                    argv,
                    "either",
                    _copied(run, "result.json", text.encode()),
                )
        for file in ("config.yaml", "best.pt"):
            content = (run / file).read_bytes()
            for name, damaged in {
                "empty": b"",
                "half": content[: len(content) // 2],
                "a text": b"seed: {",
                "zeros": b"\0" * len(content),
                "a byte": _flipped(content, draw),
            }.items():
                for argv in (
                    ("recommend", "--run=copy", "--all", "--k=3", "--output=a.csv"),
                    ("export", "--run=copy", "--output=a"),
                    ("--resume=copy",),
                ):
                    right = "either" if argv[0].startswith("--resume") or name == "a byte" else "refused"
                    if file == "best.pt" and model == "TVDiff" and argv[0] == "export":
                        right = "either"
                    yield _case(
                        f"{model}: {file}: {name}: {argv[0]}", argv, right, _copied(run, file, damaged)
                    )
        for name, change in _CHANGED.items():
            for argv in (
                ("recommend", "--run=copy", "--all", "--k=3", "--output=a.csv"),
                (
                    f"--model={model}",
                    *EASE[1:],
                    "--epochs=0",
                    "--load_checkpoint=copy/best.pt",
                    *(
                        ("--hidden_size=8",)
                        if model == "TVDiff"
                        else ("--embedding_size=8",)
                        if model == "BPR"
                        else ()
                    ),
                ),
            ):
                yield _case(f"{model}: best.pt: {name}: {argv[0]}", argv, "refused", _repacked(run, change))


def _tensors(state: Any) -> list[tuple[Any, str]]:
    """Return the places of all float tensors in nested mappings."""
    found = []
    for key, value in state.items() if isinstance(state, dict) else ():
        if isinstance(value, dict):
            found += _tensors(value)
        elif hasattr(value, "is_floating_point") and value.is_floating_point() and value.numel() > 3:
            found.append((state, key))
    return found


def _nan_weights(state: Any) -> None:
    for where, key in _tensors(state):
        where[key] = where[key] * float("nan")


def _cut_weights(state: Any) -> None:
    for where, key in _tensors(state):
        where[key] = where[key][:-1]


def _no_weights(state: Any) -> None:
    for where, key in _tensors(state):
        del where[key]


def _text_weights(state: Any) -> None:
    for where, key in _tensors(state):
        where[key] = "weights"


_CHANGED = {
    "NaN weights": _nan_weights,
    "shorter weights": _cut_weights,
    "no weights": _no_weights,
    "texts for weights": _text_weights,
}


def _repacked(run: Path, change: Callable[[Any], None]) -> Callable[[], None]:
    def make() -> None:
        import torch

        shutil.copytree(run, "copy")
        _clean()
        state = torch.load("copy/best.pt", weights_only=True)
        change(state)
        torch.save(state, "copy/best.pt")

    return make


def _copied(run: Path, file: str, content: bytes) -> Callable[[], None]:
    def make() -> None:
        shutil.copytree(run, "copy")
        Path("copy", file).write_bytes(content)

    return make


def _flipped(content: bytes, draw: random.Random) -> bytes:
    where = draw.randrange(len(content))
    return content[:where] + bytes([content[where] ^ (1 << draw.randrange(8))]) + content[where + 1 :]


# Sweeps: only what must be refused before a trial starts.


def _sweep(shared: Path, draw: random.Random) -> Iterator[Case]:
    start = (
        "tune",
        "--model=EASE",
        "--dataset=d",
        "--data_path=data",
        "--topk=5",
        "--valid_metric=Recall@5",
        "--sweep_dir=run",
    )
    for option in (
        "--num_samples=0",
        "--num_samples=x",
        "--search=rnadom",
        "--scheduler=ahsa",
        "--grace_period=0",
        "--grace_period=9999",
        "--reduction_factor=1",
        "--max_concurrent=-1",
        "--trial_cpus=0",
        "--trial_cpus=-1",
        "--trial_gpus=-1",
        "--time_budget=-5",
        "--max_failures=-2",
        "--final_seeds=-1",
        "--storage=http://example.org/a",
        "--storage=ftp:x",
        "--space=none.yaml",
        "--space=x.yaml",
        "--ray_address=nonsense",
        "--resume=nowhere",
        "--space=when.yaml",
        "--space=list.yaml",
        "--space=empty.yaml",
        "--space=unknown.yaml",
    ):
        right = "either" if option in ("--final_seeds=-1", "--max_failures=-2") else "refused"
        yield _case(option, (*start, option), right, _spaces)


def _spaces() -> None:
    _clean()
    for name, text in {
        "x": "reg_weight: {uniform: [5, 1]}\n",
        "when": "reg_weight: {choice: [1.0, 2.0]}\nseed: {choice: [1, 2], when: {reg_weight: [7.0]}}\n",
        "list": "- reg_weight\n",
        "empty": "",
        "unknown": "reg_wieght: {choice: [1.0]}\n",
    }.items():
        Path(f"{name}.yaml").write_text(text)


# Bytes.


def _bytes(shared: Path, draw: random.Random) -> Iterator[Case]:
    good = (header() + "".join(lines())).encode()
    run = _trained(shared, "EASE", ())
    yaml = (run / "config.yaml").read_bytes()
    result = (run / "result.json").read_bytes()
    for number in range(120):
        yield _case(f"inter {number}", EASE, "either", _written(_mangled(good, draw)))
    for number in range(60):
        yield _case(
            f"yaml {number}",
            (*EASE, "--config_files=c.yaml"),
            "either",
            _configured(
                _mangled(
                    b"reg_weight: 100.0\ntopk: [5]\neval_args: {mode: full, split: {RS: [0.8, 0.1, 0.1]}}\n",
                    draw,
                )
            ),
        )
    for number in range(40):
        argv = ("recommend", "--run=copy", "--all", "--k=3", "--output=a.csv")
        yield _case(f"config {number}", argv, "either", _copied(run, "config.yaml", _mangled(yaml, draw)))
    for number in range(40):
        yield _case(
            f"result {number}",
            ("compare", "copy"),
            "either",
            _copied(run, "result.json", _mangled(result, draw)),
        )
    for number in range(40):
        argv = ("recommend", "--run=copy", "--all", "--k=3", "--output=a.csv")
        yield _case(
            f"checkpoint {number}",
            argv,
            "either",
            _copied(run, "best.pt", _mangled((run / "best.pt").read_bytes(), draw)),
        )


def _mangled(content: bytes, draw: random.Random) -> bytes:
    """Return content with a piece dropped, doubled, overwritten or inserted."""
    where, length = draw.randrange(len(content)), draw.choice((1, 1, 2, 7, 40))
    piece = bytes(draw.randrange(256) for _ in range(length))
    return draw.choice(
        (
            content[:where] + content[where + length :],
            content[:where] + content[where : where + length] * 2 + content[where + length :],
            content[:where] + piece + content[where + length :],
            content[:where] + piece + content[where:],
            content[:where] + bytes([content[where] ^ (1 << draw.randrange(8))]) + content[where + 1 :],
        )
    )


__all__ = ["KINDS", "USERS", "cases"]
