"""Scores that are none, damaged run folders, and bytes changed at random, for ``benchmarks.faults``."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks._fault_cases import EASE, Start, case, clean, configured, trained, written
from benchmarks._fault_data import header, lines
from benchmarks._fault_runs import Case

# Scores.


def scores_cases(_: Start) -> Iterator[Case]:
    huge = "--learning_rate=1e6"
    for model, options in {
        "EASE": ["--reg_weight=0.0"],
        "ItemKNN": ["--shrink=1e300", "--k=1"],
        "BPR": [huge, f"--learner=sgd {huge}", "--weight_decay=1e30"],
        "LightGCN": [huge, "--reg_weight=1e30"],
        "TVDiff": [f"--hidden_size=8 {huge}", f"--hidden_size=8 --learner=sgd {huge}"],
        "MultiVAE": [huge],
        "CNSDiff": [huge],
        "NeuMF": [huge],
        "DiffRec": [huge, "--noise_scale=1e-30"],
        "ENMF": [huge, "--negative_weight=1e30"],
        "DGRM": [f"--hidden_size=8 --steps=3 --rating_scale=[1,5] {huge}"],
    }.items():
        for option in options:
            # A diverged model may still rank: then it has numbers, which are its own.
            yield case(
                f"{model} {option}",
                (f"--model={model}", *EASE[1:], *option.split(), "--epochs=2"),
                "either",
                clean,
            )
    for model, option in {"EASE": "--reg_weight=1e300", "BPR": "--learning_rate=1e-300"}.items():
        argv = (f"--model={model}", *EASE[1:], option, "--epochs=1")
        yield case(f"{model} {option}", argv, "refused" if model == "EASE" else "either", clean)


# Run folders.


def run_cases(start: Start) -> Iterator[Case]:
    runs = {
        "EASE": trained(start.folder, "EASE", ()),
        "TVDiff": trained(start.folder, "TVDiff", ("--hidden_size=8",)),
        "BPR": trained(start.folder, "BPR", ("--embedding_size=8",)),
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
        for key in start.draw.sample(sorted(stored), 8):
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
                yield case(
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
                "a byte": _flipped(content, start.draw),
            }.items():
                for argv in (
                    ("recommend", "--run=copy", "--all", "--k=3", "--output=a.csv"),
                    ("export", "--run=copy", "--output=a"),
                    ("--resume=copy",),
                ):
                    right = "either" if argv[0].startswith("--resume") or name == "a byte" else "refused"
                    if file == "best.pt" and model == "TVDiff" and argv[0] == "export":
                        right = "either"
                    yield case(
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
                yield case(f"{model}: best.pt: {name}: {argv[0]}", argv, "refused", _repacked(run, change))


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
        clean()
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


# Bytes.


def bytes_cases(start: Start) -> Iterator[Case]:
    good = (header() + "".join(lines())).encode()
    run = trained(start.folder, "EASE", ())
    yaml = (run / "config.yaml").read_bytes()
    result = (run / "result.json").read_bytes()
    for number in range(120):
        yield case(f"inter {number}", EASE, "either", written(_mangled(good, start.draw)))
    for number in range(60):
        yield case(
            f"yaml {number}",
            (*EASE, "--config_files=c.yaml"),
            "either",
            configured(
                _mangled(
                    b"reg_weight: 100.0\ntopk: [5]\neval_args: {mode: full, split: {RS: [0.8, 0.1, 0.1]}}\n",
                    start.draw,
                )
            ),
        )
    for number in range(40):
        argv = ("recommend", "--run=copy", "--all", "--k=3", "--output=a.csv")
        yield case(
            f"config {number}", argv, "either", _copied(run, "config.yaml", _mangled(yaml, start.draw))
        )
    for number in range(40):
        yield case(
            f"result {number}",
            ("compare", "copy"),
            "either",
            _copied(run, "result.json", _mangled(result, start.draw)),
        )
    for number in range(40):
        argv = ("recommend", "--run=copy", "--all", "--k=3", "--output=a.csv")
        yield case(
            f"checkpoint {number}",
            argv,
            "either",
            _copied(run, "best.pt", _mangled((run / "best.pt").read_bytes(), start.draw)),
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
