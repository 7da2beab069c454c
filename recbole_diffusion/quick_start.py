"""run(): configuration -> data -> model -> trainer -> result. One run is one folder."""

import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from recbole_diffusion import registry
from recbole_diffusion.config import Config
from recbole_diffusion.errors import Interrupted, UsageError, command_line
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.storage.versions import versions

# What may differ between a run and its continuation without changing what it computes.
RESUME_OPTIONS = frozenset(
    {"epochs", "stopping_step", "show_progress", "use_gpu", "gpu_id", "data_path", "shift_test"}
)


def run(
    model: str | type | None = None,
    dataset: str | None = None,
    *,
    config_files: Iterable[str | Path] = (),
    overrides: Mapping[str, Any] | None = None,
    resume: str | Path | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
    test: bool = True,
    command: str | None = None,
    prepared: Any = None,
) -> dict[str, Any]:
    """Train and evaluate one model, in one folder.

    Args:
        model: name of a model of ours or of RecBole, ``package.module:Class`` of one from outside, or its class.
        dataset: name of a data set.
        config_files: YAML files, later ones win.
        overrides: option values, of their real types; they win over the files.
        resume: folder of an earlier run to continue from its last finished epoch; ``overrides`` then takes
            only RESUME_OPTIONS.
        on_epoch: called with epoch and validation score after each validation.
        test: whether to evaluate the test part at the end; a search leaves it alone.
        command: the command line that asked for this run, kept in the result.
        prepared: what ``create_dataset`` made for the same data options, instead of reading the files again;
            it is used up.

    Returns:
        The content of ``result.json``, and ``run_dir``.

    Raises:
        UsageError: the request cannot be run; nothing of it stays. RunError: the run failed.
        Interrupted: Ctrl-C, with the run folder.
    """
    overrides, config_files = dict(overrides or {}), list(config_files)
    model = registry.name_of(model) if model else None
    if resume is None:
        config = Config(model, dataset, config_files, overrides)
        folder = RunFolder.create(
            config.model_class.__name__, config["dataset"], config["runs_path"], config["run_dir"]
        )
        folder.write_config(config.resolved)
    else:
        folder, config = _resumed(resume, model, dataset, config_files, overrides)
    from recbole_diffusion.storage.run_log import logging_to

    config["checkpoint_dir"] = str(folder.path)
    try:
        with logging_to(folder.log, config["state"]):
            result = _trained(config, folder, resume is not None, on_epoch, test, prepared)
            result["command"] = command or _command(model, dataset, config_files, overrides, resume)
            folder.write_result(result)
    except UsageError:
        if resume is None:
            folder.discard()
        raise
    except KeyboardInterrupt as interrupt:
        raise Interrupted(folder.path) from interrupt
    return {**result, "run_dir": str(folder.path)}


def _resumed(
    resume: str | Path, model: str | None, dataset: str | None, config_files: list, overrides: dict[str, Any]
) -> tuple[RunFolder, Config]:
    folder = RunFolder.existing(resume)
    stored = folder.read_config()
    other = sorted(set(overrides) - RESUME_OPTIONS)
    if other or config_files:
        raise UsageError(
            f"--resume continues with the configuration of {folder.path}; "
            f"{', '.join(other) or 'config_files'} cannot change "
            f"now. Allowed: {', '.join(sorted(RESUME_OPTIONS))}"
        )
    for name, given in (("model", model), ("dataset", dataset)):
        if given is not None and given != stored.get(name):
            raise UsageError(
                f"the run in {folder.path} has {name} {stored.get(name)!r}, not {given!r}; leave --{name} "
                "out with --resume"
            )
    config = Config(overrides={**stored, **overrides})
    folder.remove_drafts()
    return folder, config


def _trained(
    config: Config, folder: RunFolder, resuming: bool, on_epoch: Callable | None, test: bool, prepared: Any
) -> dict[str, Any]:
    """Load, train, evaluate; return the result without its command."""
    from logging import getLogger

    from recbole.utils import init_seed

    from recbole_diffusion.data.dataset import id_fingerprint, selects_on_test
    from recbole_diffusion.data.fingerprint import part_fingerprints
    from recbole_diffusion.data.preparation import adopt_dataset, create_dataset, prepare_data
    from recbole_diffusion.report.rating_plots import plot_ratings
    from recbole_diffusion.trainer import checkpoint
    from recbole_diffusion.trainer.factory import trainer_for

    logger = getLogger()
    clock = time.perf_counter()
    init_seed(
        config["seed"] if config["split_seed"] is None else config["split_seed"], config["reproducibility"]
    )
    dataset = create_dataset(config) if prepared is None else adopt_dataset(config, prepared)
    logger.info("%s", dataset)
    train_data, valid_data, tests = prepare_data(config, dataset)
    load_seconds = time.perf_counter() - clock

    init_seed(config["seed"], config["reproducibility"])
    model = config.model_class(config, train_data._dataset).to(config["device"])
    logger.info("%s", model)
    trainer = trainer_for(config, model, folder)
    trainer.ids = id_fingerprint(dataset)
    held_out = {"valid": valid_data._dataset} | {name: loader._dataset for name, loader in tests.items()}
    model.observe_parts(held_out)
    if resuming and folder.checkpoint.is_file():
        trainer.resume(train_data)
        folder.write_config(config.resolved)  # the number of epochs may be new
    else:
        if resuming:
            logger.warning("no epoch was finished in %s; starting from the beginning", folder.path)
            folder.write_metrics([])
            folder.best.unlink(missing_ok=True)
        if config["load_checkpoint"]:
            path = Path(config["load_checkpoint"])
            trainer.load_weights(
                checkpoint.load(path, config["device"], trust=config["trust_checkpoint"]), path
            )

    logger.info(
        "run folder %s, device %s", folder.path, config["device"]
    )  # now that nothing of the request can be wrong
    progress = sys.stderr.isatty() if config["show_progress"] is None else config["show_progress"]
    score, valid = trainer.fit(train_data, valid_data, show_progress=progress, callback_fn=on_epoch)
    if valid is None:
        valid = trainer.evaluate(valid_data, show_progress=progress)
        score = valid[config["valid_metric"].lower()]
    clock = time.perf_counter()
    tested, groups, rated = (
        _tested(config, trainer, folder, train_data, tests, progress) if test else ({"test": None}, {}, {})
    )
    test_seconds = time.perf_counter() - clock
    plot_ratings(folder, rated)
    for part, values in {"valid": valid, **tested}.items():
        if values:
            logger.info("%s: %s", part, "  ".join(f"{name} {value:.4f}" for name, value in values.items()))
    epochs = [record["train_seconds"] for record in trainer.records]
    return {
        "model": config["model"],
        "dataset": config["dataset"],
        "selection": "test" if selects_on_test(config) else "validation",
        "seed": config["seed"],
        "parameters": sum(one.numel() for one in model.parameters() if one.requires_grad),
        "best_epoch": trainer.chosen_epoch,
        "best_valid_score": float(score),
        "valid": {name: float(value) for name, value in valid.items()},
        "test": next(iter(tested.values())),
        **(tested if len(tested) > 1 else {}),
        "groups": groups,
        "rated": rated,
        "split": getattr(dataset, "split_summary", None),
        "diagnostics": model.final_diagnostics(),
        "parts": part_fingerprints({"train": train_data._dataset} | held_out),
        "seconds": {
            "load": round(load_seconds, 3),
            "train": round(sum(epochs), 3),
            "valid": round(sum(record.get("valid_seconds", 0.0) for record in trainer.records), 3),
            "test": round(test_seconds, 3),
        },
        "epoch_seconds": epochs,
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "versions": versions(),
    }


def _tested(
    config: Config, trainer: Any, folder: RunFolder, train_data: Any, tests: dict[str, Any], progress: bool
) -> tuple[dict[str, dict[str, float]], dict[str, Any], dict[str, Any]]:
    """Evaluate each test part with the best weights; return metrics, group and rating reports, write the users' metrics."""
    from recbole_diffusion.evaluation.group_report import group_report
    from recbole_diffusion.evaluation.lists import USER_METRICS, TopLists, save_user_metrics

    tested, groups, kept, rated, errors = {}, {}, {}, {}, {}
    topk, metrics = (
        [value] if isinstance(value, int | str) else list(value)
        for value in (config["topk"], config["metrics"])
    )
    for name, loader in tests.items():
        lists = TopLists(max(topk))
        values = trainer.evaluate(loader, show_progress=progress, lists=lists)
        tested[name] = {metric: float(value) for metric, value in values.items()}
        if trainer.rated is not None:
            rated[name] = trainer.rated.report()
        if len(lists):
            kept[name] = lists
            errors[name] = trainer.rated.by_user(lists.users) if trainer.rated is not None else {}
            if config["report_groups"]:
                groups[name] = group_report(
                    lists, train_data._dataset, loader._dataset, config["report_groups"], topk
                )
    if kept:
        dataset = train_data._dataset
        tokens = dataset.field2id_token[dataset.uid_field]
        by_user = [metric for metric in metrics if metric.lower() in USER_METRICS]
        save_user_metrics(folder.user_metrics, kept, tokens, topk, by_user, errors)
    return tested, groups, rated


def _command(
    model: str | None,
    dataset: str | None,
    config_files: Iterable,
    overrides: Mapping[str, Any],
    resume: str | Path | None,
) -> str:
    """Return a command line for a run that was started from Python."""
    argv = [
        f"--{name}={value}"
        for name, value in (("model", model), ("dataset", dataset), ("resume", resume))
        if value
    ]
    files = " ".join(map(str, config_files))
    argv += [f"--config_files={files}"] if files else []
    argv += [f"--{name}={yaml_io.dump_value(value)}" for name, value in overrides.items()]
    return command_line(*argv)
