"""A process that trains batches of one model on demand, so that two checkouts can be measured in turns.

Started as a file by ``python -P``, with the checkout to be measured in PYTHONPATH, and the case as JSON:
model, data set, options, number of batches, and ``data_path`` or the size of made-up interactions. It says
``ready``, and for each line on its standard input trains the batches and prints milliseconds of CPU a batch
and of what precedes an epoch. ``plain: true`` trains the plain form of CCDRec's released code
(``_ccdrec_plain.py``) instead.
"""

import importlib.util
import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch


def beside(name: str) -> Any:
    """Return the module of a file beside this one; ``benchmarks`` is that of the checkout in PYTHONPATH."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(case: dict[str, Any], folder: Path) -> tuple[Any, Any]:
    """Return a model with fresh weights, and its training loader."""
    from recbole_diffusion.config import Config
    from recbole_diffusion.data.preparation import create_dataset, prepare_data

    options = {"use_gpu": False, **case["options"]}
    if "made_up" in case:
        write = beside("made_up").write_made_up
        options["data_path"] = str(write(folder, case["dataset"], *case["made_up"]))
        options["benchmark_filename"] = ["train", "valid", "test"]
        options["load_col"] = {"inter": ["user_id", "item_id"]}
    else:
        options["data_path"] = case["data_path"]
    config = Config(case["model"], case["dataset"], overrides=options)
    loader = prepare_data(config, create_dataset(config))[0]
    torch.manual_seed(0)
    return config.model_class(config, loader._dataset), loader


def of_model(model: Any, loader: Any) -> tuple[Callable[[], None], Iterator[Callable[[], None]]]:
    """Return what begins an epoch, and the training of each batch."""
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def begin() -> None:
        model.train()
        model.begin_epoch(0)

    def step(batch: Any) -> None:
        optimizer.zero_grad()
        sum(model.calculate_loss(batch)).backward()
        optimizer.step()

    begin()
    return begin, (lambda batch=batch: step(batch) for batch in loader)


def of_plain(
    model: Any, loader: Any, batch_size: int
) -> tuple[Callable[[], None], Iterator[Callable[[], None]]]:
    """Return the same of the plain form of CCDRec, on the data of ``model``."""
    from recbole_diffusion.data.knn import fused, mean_graph

    form = beside("_ccdrec_plain")
    dataset, options = loader._dataset, model.options
    graphs = [mean_graph(dataset.neighbours(name)[0], model.n_items) for name in dataset.modalities]
    items = torch.arange(1, model.n_items)
    plain = form.PlainCCDRec(
        model.backbone.interactions[1:, 1:].tocsr(),
        fused(graphs, options.weights())[1:, 1:],
        [modality.take(items) for modality in dataset.modalities.values()],
        options.edge_dropout,
    )
    return plain.begin_epoch, form.plain_batches(plain, batch_size)


def cpu_ms(work: Callable[[], None]) -> float:
    """Return the milliseconds of CPU that a call takes."""
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start)


def main() -> None:
    """Serve the measurements of one case."""
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    case = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        model, loader = build(case, Path(folder))
    if case.get("plain"):
        begin, batches = of_plain(model, loader, case["options"]["train_batch_size"])
    else:
        begin, batches = of_model(model, loader)
    for _ in range(3):  # the first ones warm up
        next(batches)()
    kept = [batch for batch, _ in zip(batches, range(case["batches"]), strict=False)]
    print("ready", flush=True)
    for _ in sys.stdin:
        spent = [cpu_ms(batch) for batch in kept]
        print(sum(spent) / len(spent), cpu_ms(begin), flush=True)


if __name__ == "__main__":
    main()
