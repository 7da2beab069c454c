"""Wrong requests of ``benchmarks.faults``: options, configuration files, command lines, sweeps.

Longer than most files: a list of what users get wrong, one line each.
"""

import dataclasses
import random
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._fault_cases import EASE, Start, case, clean, configured, undamaged, without
from benchmarks._fault_data import header, lines, write
from benchmarks._fault_runs import Case
from recbole_diffusion import registry
from recbole_diffusion.options.general import GeneralOptions
from recbole_diffusion.options.rating import RatingOptions
from recbole_diffusion.options.recbole_ranges import of_model
from recbole_diffusion.options.split import SplitOptions

# Options.


def option_cases(start: Start) -> Iterator[Case]:
    for cls, model in ((GeneralOptions, "EASE"), (SplitOptions, "EASE"), (RatingOptions, "EASE")):
        for field in dataclasses.fields(cls):
            yield from _wrong_values(field.name, field.type, field.metadata, model, start.draw)
    for model in registry.MODELS:
        own = registry.options_class(model)
        for field in dataclasses.fields(own) if own else ():
            yield from _wrong_values(field.name, field.type, field.metadata, model, start.draw)
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
            yield case(f"--{name}={text}", (*without(EASE, name), f"--{name}={text}"), "refused", clean)
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
        yield case(f"--{name}=3", (*EASE, f"--{name}=3"), "refused", clean)


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
    if meta.get("choices") and "nonsense" not in bad:
        bad.append("nonsense")
    if bool in kinds:
        bad += [2, "perhaps"]
    for value in draw.sample(bad, min(len(bad), 4)):
        yield _wrong(model, name, value)


def _wrong(model: str, name: str, value: Any) -> Case:
    from recbole_diffusion.storage.yaml_io import dump_value

    argv = (f"--model={model}", *without(EASE[1:], name), f"--{name}={dump_value(value)}")
    return case(f"{model} --{name}={dump_value(value)}", argv, "refused", clean)


# Configuration files.


def yaml_cases(start: Start) -> Iterator[Case]:
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
        yield case(name, (*EASE, "--config_files=c.yaml"), "refused", configured(text))
    for name, content in {
        "utf-16": "seed: 3\n".encode("utf-16"),
        "zeros": b"\0\0\0",
        "latin": b"learner: ad\xe4m\n",
    }.items():
        yield case(name, (*EASE, "--config_files=c.yaml"), "refused", configured(content))
    for name in ("none.yaml", ".", "c.yaml none.yaml", "/proc/none/c.yaml"):
        yield case(f"file {name}", (*EASE, f"--config_files={name}"), "refused", configured("seed: 3\n"))
    result = undamaged(
        start.folder, (*EASE, "--reg_weight=100.0"), lambda folder: write(folder, header() + "".join(lines()))
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
        yield case(name, (*EASE, "--config_files=c.yaml"), "same", configured(text), result=result)


# Command lines.


def words_cases(_: Start) -> Iterator[Case]:
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
            yield case(" ".join([name, *words]), (name, *words), "refused" if right else right, clean)
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
        yield case(" ".join(words) or "(no words)", tuple(words), "refused", clean)
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
        "convert": [
            ["nowhere.csv", "--output=a"],
            ["data", "--output=a"],
            ["data/d/d.inter"],
            ["data/d/d.inter", "--output=data/d"],
            ["data/d/d.inter", "--output=a", "--user=who"],
            ["data/d/d.inter", "--output=a", "--form=yelp"],
            ["data/d/d.inter", "--output=a", "--encoding=klingon"],
        ],
        "inspect": [
            ["--dataset=none"],
            ["--dataset=d", "--data_path=nowhere"],
            ["--dataset=d", "--data_path=data", "--output=a.pdf"],
            ["--dataset=d", "--data_path=data", "--model=EASE"],
            ["--dataset=d", "--data_path=data", "--shift=sideways"],
        ],
        "prepare": [["nonsense"], ["food", "--source=nowhere", "--output=a"], ["food", "--min_user=-1"]],
    }.items():
        for one in words:
            yield case(" ".join([name, *one]), (name, *one), "refused", clean)


# Sweeps: only what must be refused before a trial starts.


def sweep_cases(_: Start) -> Iterator[Case]:
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
        "--storage=ftp://example.org/a",
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
        yield case(option, (*start, option), right, _spaces)


def _spaces() -> None:
    clean()
    for name, text in {
        "x": "reg_weight: {uniform: [5, 1]}\n",
        "when": "reg_weight: {choice: [1.0, 2.0]}\nseed: {choice: [1, 2], when: {reg_weight: [7.0]}}\n",
        "list": "- reg_weight\n",
        "empty": "",
        "unknown": "reg_wieght: {choice: [1.0]}\n",
    }.items():
        Path(f"{name}.yaml").write_text(text)
