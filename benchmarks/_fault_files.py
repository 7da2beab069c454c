"""Damaged data files of ``benchmarks.faults``: interactions, times, parts, features, users.

Longer than most files: a list of what users get wrong, one line each.
"""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._fault_cases import EASE, Start, case, clean, in_folder, trained, undamaged, without, written
from benchmarks._fault_data import ITEMS, header, lines, parts, write, write_parts
from benchmarks._fault_runs import Case

# Interaction files.

RATED = (
    "--model=DGRM",
    "--dataset=d",
    "--data_path=data",
    "--epochs=1",
    "--hidden_size=8",
    "--steps=3",
    "--rating_scale=[1, 5]",
)


def inter_cases(start: Start) -> Iterator[Case]:
    good = header() + "".join(lines())
    rows = lines()
    result = undamaged(start.folder, EASE, lambda folder: write(folder, good))
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
        yield case(name, EASE, right, written(content, name == "a folder"), result=result)
    for name, (old, new) in {
        "a row with a field less": ("\t", ""),
        "a row with a field more": ("\n", "\tmore\n"),
        "a row of two": ("\n", "\t"),
        "a quote that does not close": ("\t", '\t"'),
    }.items():
        for number in start.draw.sample(range(len(rows)), 8):
            row = rows[number].replace(old, new, 1)
            content = header() + "".join([*rows[:number], row, *rows[number + 1 :]])
            right = "either" if "quote" in name else "refused"
            yield case(f"{name}, line {number + 2}", EASE, right, written(content))
    for word in ("five", "", "1,5", "nan", "inf", "-inf", "1e400", "0x10", "true", "1_0", "--", "NULL"):
        row = start.draw.randrange(len(rows))
        user, item, _, time = rows[row].rstrip("\n").split("\t")
        content = header() + "".join([*rows[:row], f"{user}\t{item}\t{word}\t{time}\n", *rows[row + 1 :]])
        yield case(f"rating {word!r}", (*RATED, "--run_dir=run"), "refused", written(content))
    for column in (0, 1):
        for word in ("", " ", "\\N"):
            row = start.draw.randrange(len(rows))
            fields = rows[row].rstrip("\n").split("\t")
            fields[column] = word
            content = header() + "".join([*rows[:row], "\t".join(fields) + "\n", *rows[row + 1 :]])
            right = "either" if word == "\\N" else "said"
            name = f"{('user', 'item')[column]} {word!r}"
            yield case(name, EASE, right, written(content), words=("empty", "missing", "without"))
    for word in ("NA", "null", "None", "nan", "NaN", "N/A", "#N/A", "True", "1.0", "01", "-", "ö", "[PAD]"):
        rename = {rows[0].split("\t")[1]: word}
        content = header() + "".join(
            "\t".join(rename.get(one, one) if at == 1 else one for at, one in enumerate(row.split("\t")))
            for row in rows
        )
        right = "either" if word == "[PAD]" else "same"
        yield case(f"an item named {word}", EASE, right, written(content), result=result)
    for token in ("rating:token", "rating:float_seq", "rating:token_seq"):
        content = good.replace("rating:float", token)
        yield case(token, (*RATED, "--run_dir=run"), "refused", written(content))
    yield from _rows_and_labels(good, rows)


def _rows_and_labels(good: str, rows: list[str]) -> Iterator[Case]:
    """Yield rows that stand there several times, filters, and labels that a model does not read."""
    repeated = header() + "".join(row for row in rows for _ in range(3))
    for model in ("EASE", "BPR", "ItemKNN", "Pop"):
        argv = (f"--model={model}", *EASE[1:], "--epochs=1")
        yield case(f"each row three times, {model}", argv, "said", written(repeated), words=("rm_dup_inter",))
    for limit in ("[100,inf)", "[-5,inf)", "(5,3)", "five", "5", "[5,inf"):
        for name in ("user_inter_num_interval", "item_inter_num_interval"):
            right = "either" if limit == "[-5,inf)" else "refused"
            yield case(f"{name} {limit}", (*EASE, f"--{name}={limit!r}"), right, written(good))
    label = good.replace("rating:float", "label:float")
    for model in ("EASE", "BPR", "TVDiff", "LightGCN"):
        argv = (f"--model={model}", *EASE[1:], "--epochs=1", "--load_col={inter: [user_id, item_id, rating]}")
        argv += ("--hidden_size=8",) if model == "TVDiff" else ()
        words = ("val_interval", "threshold")
        yield case(
            f"threshold, {model}", (*argv, "--threshold={rating: 4}"), "said", written(good), words=words
        )
        labelled = (*argv[:-1], argv[-1]) if model == "TVDiff" else argv
        labelled = tuple(one.replace("item_id, rating]", "item_id, label]") for one in labelled)
        binary = label.replace("\t5\t", "\t1\t").replace("\t4\t", "\t1\t")
        for low in ("1", "2", "3"):
            binary = binary.replace(f"\t{low}\t", "\t0\t")
        yield case(f"a label, {model}", labelled, "said", written(binary), words=("val_interval", "label"))


# Times.


def time_cases(start: Start) -> Iterator[Case]:
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
            yield case(f"{name}, {way}", argv, "refused", written(change(header() + "".join(rows))))
        for word in ("", "nan", "yesterday", "inf", "2021-05-01", "1e400"):
            for number in start.draw.sample(range(len(rows)), 3):
                fields = rows[number].rstrip("\n").split("\t")
                row = "\t".join([*fields[:3], word]) + "\n"
                content = header() + "".join([*rows[:number], row, *rows[number + 1 :]])
                yield case(f"{word!r} in line {number + 2}, {way}", argv, "refused", written(content))
    split = ("split", "--dataset=d", "--data_path=data", "--shift=temporal", "--output=made")
    for word in ("", "nan", "inf", "noon"):
        fields = rows[5].rstrip("\n").split("\t")
        content = header() + "".join([*rows[:5], "\t".join([*fields[:3], word]) + "\n", *rows[6:]])
        yield case(f"{word!r}, split", split, "refused", written(content))
    for options in ("split: {TS: [0.8, 0.1, 0.1]}", "split: {TS: [0.8, 0.1, 0.1]}, order: RO"):
        yield case(
            f"TS alone: {options}",
            (*EASE, f"--eval_args={{{options}}}"),
            "either",
            written("".join([header(), *rows])),
        )


# Parts.


def parts_cases(start: Start) -> Iterator[Case]:
    whole_parts = parts()
    names = ("train", "valid", "test")
    result = undamaged(start.folder, _of_parts("EASE"), lambda folder: write_parts(folder, whole_parts))
    yield case("nothing", _of_parts("EASE"), "same", _parted(whole_parts), result=result)
    words = (
        "in train",
        "in both",
        "more than one",
        "overlap",
        "twice",
        "same rows",
        "also in",
        "repeatable",
        "chosen on the test part",
    )
    for model in ("EASE", "BPR", "TVDiff", "ItemKNN", "LightGCN", "Pop"):
        argv = _of_parts(model)
        for into, out_of in (("test", "train"), ("valid", "train"), ("test", "valid")):
            for share in (0.1, 1.0):
                count = max(1, int(share * len(whole_parts[into])))
                mixed = {
                    **whole_parts,
                    into: whole_parts[into][count:] + start.draw.sample(whole_parts[out_of], count),
                }
                name = f"{count} rows of {out_of} in {into}, {model}"
                yield case(name, argv, "said", _parted(mixed), words=words)
        yield case(
            f"valid is test, {model}",
            argv,
            "said",
            _parted({**whole_parts, "valid": whole_parts["test"]}),
            words=words,
        )
        whole = {name: [row for part in whole_parts.values() for row in part] for name in names}
        yield case(f"all parts are one file, {model}", argv, "said", _parted(whole), words=words)
        for part in ("valid", "test"):
            for kind, row in {
                "user": f"stranger\t{whole_parts['train'][0].split(chr(9))[1]}\t5\t900000\n",
                "item": f"{whole_parts['train'][0].split(chr(9))[0]}\tunseen\t5\t900000\n",
            }.items():
                mixed = {**whole_parts, part: [*whole_parts[part], row]}
                told = ("not in train", "unknown", "no training", "without", "new")
                yield case(f"unknown {kind} in {part}, {model}", argv, "said", _parted(mixed), words=told)
    for part in names:
        yield case(f"empty {part}", _of_parts("EASE"), "refused", _parted({**whole_parts, part: []}))
        fewer = {name: rows for name, rows in whole_parts.items() if name != part}
        yield case(f"no {part}", _of_parts("EASE"), "refused", _parted(fewer))
    for option in (
        "--user_inter_num_interval='[5,inf)'",
        "--eval_args={split: {LS: valid_and_test}}",
        "--rm_dup_inter=first",
    ):
        told = ("no effect", "as they are", "taken")
        yield case(
            f"{option} with parts", (*_of_parts("EASE"), option), "said", _parted(whole_parts), words=told
        )


def _of_parts(model: str) -> tuple[str, ...]:
    small = ("--hidden_size=8",) if model == "TVDiff" else ()
    start = (f"--model={model}", *EASE[1:], "--epochs=1", "--benchmark_filename=[train, valid, test]")
    return (*start, *small)


def _parted(rows: dict[str, list[str]]) -> Callable[[], None]:
    return lambda: write_parts(Path("data"), rows)


# Features.


def features_cases(start: Start) -> Iterator[Case]:
    generator = np.random.default_rng(0)
    good = {name: generator.standard_normal((ITEMS, 8)).astype(np.float32) for name in ("image", "text")}
    ids = [f"i{number}" for number in range(ITEMS)]
    argv = ("--model=FREEDOM", *EASE[1:], "--epochs=1", "--embedding_size=8", "--knn_k=3")

    def made(
        image: Any = None, items: list[str] | None = None, raw: bytes | None = None
    ) -> Callable[[], None]:
        def make() -> None:
            clean()
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

    result = undamaged(start.folder, argv, lambda _: in_folder(start.folder, made()))
    yield case("nothing", argv, "same", made(), result=result)
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
        yield case(name, argv, "either" if name == "huge" else "refused", made(rows))
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
        yield case(f"npy: {name}", argv, "refused", made(raw=raw))
    for name, items in {
        "an id less": ids[:-1],
        "an id twice": [*ids[:-1], ids[0]],
        "other ids": [f"x{one}" for one in ids],
        "an empty id": [*ids[:-1], ""],
    }.items():
        yield case(f"items: {name}", argv, "refused", made(items=items))


def _npy(rows: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, rows)
    return file.getvalue()


# Users and histories.


def users_cases(start: Start) -> Iterator[Case]:
    run = trained(start.folder, "EASE", ())
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
            right = "either" if name in ("unknown", "twice", "item twice", "blank", "header") else "refused"
            yield case(f"{option}: {name}", argv, right, _file("u.txt", content))
    for option in (
        "--k=0",
        "--k=-1",
        "--k=99999",
        "--k=x",
        "--format=xls",
        "--exclude=some",
        "--unknown=a.csv",
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
        yield case(f"recommend {option}", (*without(argv, option[2:].partition("=")[0]), option), right, None)
    for option in ("--index=faist", "--k=0", "--output=", "--overwrite=perhaps"):
        yield case(
            f"export {option}",
            (*without(("export", f"--run={run}", "--output=a"), option[2:].partition("=")[0]), option),
            "refused",
            None,
        )


def _file(name: str, content: str | bytes) -> Callable[[], None]:
    return lambda: (
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode()) and None
    )
