"""The plan of a sweep: from a request to a record with options, space, and the configurations to try."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from recbole_diffusion import registry
from recbole_diffusion.compat import ModelType
from recbole_diffusion.config import Config
from recbole_diffusion.data.part_files import selects_on_test
from recbole_diffusion.errors import UsageError, counted
from recbole_diffusion.options.evaluation import parts_left_out
from recbole_diffusion.options.first_stages import is_pretraining
from recbole_diffusion.storage.versions import versions
from recbole_diffusion.tuning.options import SweepOptions
from recbole_diffusion.tuning.record import SweepRecord, Trial
from recbole_diffusion.tuning.space import LARGEST_GRID, SearchSpace
from recbole_diffusion.tuning.space_check import check_combinations, check_space, notes_on, seed_of
from recbole_diffusion.tuning.space_yaml import parse_space, read_space, shipped_spaces

SAMPLES = 16
CHECKED = 64  # random configurations that are checked for Optuna, which makes its own
ATTEMPTS = 100  # draws for each new configuration before the space counts as exhausted
PATHS = ("data_path", "load_checkpoint", "shift_test")
OF_A_RUN = ("run_dir", "runs_path", "show_progress", "use_gpu", "gpu_id", "model", "dataset", "seed")
logger = logging.getLogger(__name__)


def make_record(
    model: str | None,
    dataset: str | None,
    files: Iterable[str | Path],
    overrides: Mapping[str, Any],
    settings: SweepOptions,
    command: str,
) -> tuple[SweepRecord, Config]:
    """Return the record of a new sweep, with every configuration checked, and the Config without the space.

    Raises:
        UsageError: the request cannot be run.
    """
    config = Config(model, dataset, files, overrides)
    _refuse_options_of_one_run(config, settings)
    if settings.grace_period and settings.grace_period > config.general.epochs:
        raise UsageError(
            f"grace_period is {settings.grace_period}, above the {counted(config.general.epochs, 'epoch')} "
            "of a trial; lower it, or give more epochs"
        )
    options = _options_of_trials(config)
    if settings.search == "none":
        record = _empty_record(config, options, SearchSpace((), "no search", {}), settings, command)
        record.trials = [Trial(0, final_folder("000", record.seed), {}, record.seed, test=True)]
        return record, config
    space = space_for(config, settings.space, config.given)
    check_space(space, config, options)
    record = _empty_record(config, options, space, settings, command)
    known = known_options(space, config)
    record.notes += notes_on(space, known, config)
    if settings.scheduler != "none" and is_pretraining(config.final_config_dict):
        stage = config.final_config_dict["train_stage"]
        record.notes.append(
            f"train_stage is {stage!r}, which validates no epoch: every trial trains all of them, and "
            "scheduler, grace_period and reduction_factor have no effect"
        )
    if settings.search == "optuna":
        _plan_for_optuna(record, space, config, known)
        return record, config
    chosen = configurations(space, settings, known, record)
    if note := check_combinations(space, config, chosen):
        record.notes.append(note)
    width = max(3, len(str(len(chosen) - 1)))
    record.trials = [new_trial(number, one, record, width) for number, one in enumerate(chosen)]
    return record, config


def _refuse_options_of_one_run(config: Config, settings: SweepOptions) -> None:
    if config.general.run_dir is not None:
        raise UsageError(
            "run_dir is the folder of one run; name the sweep's with --sweep_dir, or its parent with "
            "--storage"
        )
    if config.given.get("gpu_id") is not None or (config.given.get("use_gpu") and not settings.trial_gpus):
        raise UsageError(
            "Ray gives trials their GPUs: write --trial_gpus=1, or 0.5 for two trials on one, not use_gpu or "
            "gpu_id"
        )
    if settings.resplit and config.general.split_seed is not None:
        raise UsageError(
            f"split_seed {config['split_seed']} fixes the split of every run, while resplit draws one with "
            "each final seed; leave one of them out"
        )
    if settings.resplit and config.final_config_dict.get("cold_seed") is not None:
        raise UsageError(
            f"cold_seed {config['cold_seed']} fixes the cold users of every run, while resplit draws them "
            "with each final seed; leave one of them out"
        )


def _options_of_trials(config: Config) -> dict[str, Any]:
    """Return the options of every trial: the given ones, with absolute paths, and one split for all seeds.

    With ``resplit`` each final run has its own ``split_seed``.
    """
    split_seed = config.general.seed if config.general.split_seed is None else config.general.split_seed
    given = {name: value for name, value in config.given.items() if name not in OF_A_RUN}
    paths = {name: config.resolved[name] for name in PATHS if name in given}
    return {**given, **paths, "split_seed": split_seed}


def _empty_record(
    config: Config, options: dict[str, Any], space: SearchSpace, settings: SweepOptions, command: str
) -> SweepRecord:
    """Return the record of a sweep without trials."""
    on_test = selects_on_test(config)
    if "valid" in parts_left_out(config["eval_args"]) and not config["benchmark_filename"]:
        raise UsageError(
            f"eval_args.split is {config['eval_args']['split']}, without a validation part to compare "
            "trials on; give it a share, such as {RS: [0.8, 0.1, 0.1]}"
        )
    record = SweepRecord(
        model=config["model"],
        dataset=config["dataset"],
        options=options,
        space=dict(space.content),
        space_source=space.source,
        settings={name: getattr(settings, name) for name in SweepOptions.__dataclass_fields__},
        valid_metric=config.general.valid_metric.lower(),
        bigger=bool(config["valid_metric_bigger"]),
        epochs=1 if config["MODEL_TYPE"] == ModelType.TRADITIONAL else config.general.epochs,
        seed=config.general.seed,
        command=command,
        directory=str(Path.cwd()),
        selection="test" if on_test else "validation",
        versions=versions(),
    )
    computed = config.model_class.computed_when_made or config["MODEL_TYPE"] == ModelType.TRADITIONAL
    if config.general.epochs == 0 and not config.general.load_checkpoint and not computed:
        record.notes.append(
            "epochs is 0 and no weights are given: what a model learns by epochs stays as it was drawn, in "
            "every trial; give epochs, or weights with --load_checkpoint"
        )
    if on_test and settings.search != "none":
        record.notes.append(
            "the data set has train and test only: trials are compared on the test part; only for comparison "
            "with papers that did the same"
        )
    return record


def _plan_for_optuna(
    record: SweepRecord, space: SearchSpace, config: Config, known: Mapping[str, Any]
) -> None:
    """Set the number of trials, and check a sample of what Optuna may choose."""
    samples = record.settings["num_samples"] or SAMPLES
    count = space.count(known)
    if count is not None and count < samples:
        record.notes.append(f"the space has only {counted(count, 'combination')}")
        samples = count
    record.settings["num_samples"] = samples
    random = Random(record.seed)
    if note := check_combinations(space, config, [space.draw(random, known) for _ in range(CHECKED)]):
        record.notes.append(note)


def new_trial(number: int, options: Mapping[str, Any], record: SweepRecord, width: int = 3) -> Trial:
    """Return a trial of the search that waits to be run."""
    return Trial(number, f"trials/{number:0{width}d}", dict(options), seed_of(options, record.seed))


def final_folder(name: str, seed: int) -> str:
    """Return the run folder of one seed of the winner, relative to the sweep's, given the winner's name."""
    return f"final/{name}-seed-{seed}"


def space_for(config: Config, asked: str | Mapping[str, Any] | None, given: Mapping[str, Any]) -> SearchSpace:
    """Return the space of a file, a mapping, or the model's own, without the options the user has fixed.

    A model from outside has its space beside its module, as ``<Class>.tune.yaml``.

    Raises:
        UsageError: the model has none, it is wrong, or nothing is left to search.
    """
    if isinstance(asked, Mapping):
        space = parse_space(asked, "space")
    else:
        space = read_space(asked or _own_space(config), config["model"])
    fixed = [one for one in space.parameters if set(one.names) & set(given)]
    if fixed:
        left = {
            key: value
            for key, value in space.content.items()
            if {name.strip() for name in key.split(",")}.isdisjoint(given)
        }
        labels = ", ".join(one.label for one in fixed)
        if not left:
            raise UsageError(f"{space.source}: {labels} given as an option too; nothing is left to search")
        logger.warning("not searched, because given as an option: %s", labels)
        space = parse_space(left, space.source)
    return space


def _own_space(config: Config) -> Path:
    """Return the file with the model's space: shipped, or beside the module of a model from outside."""
    if registry.is_outside(config["model"]):
        beside = registry.file_beside(config.model_class, ".tune.yaml")
        if not beside.is_file():
            raise UsageError(
                f"{config['model']} has no search space {beside}; write one, or give --space=FILE"
            )
        return beside
    shipped = shipped_spaces()
    if config["model"] not in shipped:
        names = ", ".join(sorted(shipped))
        raise UsageError(
            f"no search space is shipped for {config['model']}, only for {names}; give one with --space=FILE"
        )
    return shipped[config["model"]]


def known_options(space: SearchSpace, config: Config) -> dict[str, Any]:
    """Return the options that conditions may refer to and that the space does not set."""
    return {name: value for name, value in config.final_config_dict.items() if name not in space.names}


def configurations(
    space: SearchSpace, settings: SweepOptions, known: Mapping[str, Any], record: SweepRecord
) -> list[dict[str, Any]]:
    """Return the distinct configurations of a grid or random search; if they are few, note that."""
    count = space.count(known)
    if settings.search == "grid":
        if count is None:
            next(space.grid(known))  # a continuous range raises its own error
            raise UsageError(
                f"{space.source}: the grid has more than {LARGEST_GRID:,} combinations; use --search=random"
            )
        return list(space.grid(known))
    random, samples = Random(record.seed), settings.num_samples or SAMPLES
    if count is not None and count <= samples:
        if count < samples and settings.num_samples:
            record.notes.append(f"the space has only {counted(count, 'combination')}; all are tried")
        return random.sample(list(space.grid(known)), count)
    chosen: dict[str, dict[str, Any]] = {}
    for _ in range(samples * ATTEMPTS):
        one = space.draw(random, known)
        chosen.setdefault(repr(sorted(one.items())), one)
        if len(chosen) == samples:
            break
    return list(chosen.values())
