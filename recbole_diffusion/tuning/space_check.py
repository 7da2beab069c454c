"""A search space checked against its model: every key, bound and combination, before anything starts."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from recbole_diffusion import registry
from recbole_diffusion.config import DIGITS, Config
from recbole_diffusion.errors import UsageError, counted
from recbole_diffusion.options.declare import checked, read_options, unread, unread_text
from recbole_diffusion.options.general import GeneralOptions
from recbole_diffusion.options.linear_term import check_on_validation
from recbole_diffusion.options.negatives import NegativeOptions, check_sampler
from recbole_diffusion.options.rating import RatingOptions
from recbole_diffusion.options.split import SplitOptions
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.tuning.space import SearchParameter, SearchSpace

# General options that determine where and how a run runs, or how it is evaluated, and not what it learns.
NOT_SEARCHED = frozenset(
    {
        *(
            "preset",
            "data_path",
            "runs_path",
            "run_dir",
            "seed",
            "split_seed",
            "use_gpu",
            "gpu_id",
            "state",
            "worker",
            "epochs",
        ),
        *(
            "metrics",
            "topk",
            "valid_metric",
            "metric_decimal_place",
            "eval_batch_size",
            "report_groups",
            "checkpoint_interval",
            "keep_rows",
        ),
        *("load_checkpoint", "trust_checkpoint", "show_progress", "reproducibility", "model", "dataset"),
    }
)


def check_space(space: SearchSpace, config: Config, options: Mapping[str, Any]) -> None:
    """Check each parameter on its own: its name, its values, its conditions.

    Args:
        space: the space.
        config: configuration of a run without the space.
        options: the options that ``config`` was made from, besides model and data set.

    Raises:
        UsageError: the message names the file, the option, and what is allowed.
    """
    unsearchable = NOT_SEARCHED | set(config.parameters["Dataset"]) | set(config.parameters["Evaluation"])
    unsearchable |= set(SplitOptions.__dataclass_fields__) | set(RatingOptions.__dataclass_fields__)
    own = registry.options_class(config["model"])
    unsearchable |= getattr(own, "of_split", frozenset())
    unseen: Mapping[str, str] = getattr(own, "unseen_by_validation", {})
    declared = {name: one for cls in _declared(config) for name, one in cls.__dataclass_fields__.items()}
    for parameter in space.parameters:
        for name in parameter.names:
            if name in unseen:
                raise UsageError(
                    f"{space.source}: {name!r} cannot be searched, since trials are compared on validation: "
                    f"{unseen[name]}. Give it once, as --{name}=VALUE"
                )
        for name in set(parameter.names) & unsearchable:
            raise UsageError(
                f"{space.source}: {name!r} cannot be searched: trials are compared on the same data, by the "
                f"same score, with the same number of epochs. Give it once, as --{name}=VALUE"
            )
        for values in parameter.extremes():
            for name, value in zip(parameter.names, values, strict=True):
                _check_value(space.source, config, options, declared, name, value)
        _check_conditions(space, parameter, config)
        for name, values in parameter.when.items():
            for value in values:
                _check_value(space.source, config, options, declared, name, value)


def _declared(config: Config) -> list[type[Any]]:
    """Return the classes of the options that a trial of a configuration can differ in."""
    own = registry.options_class(config["model"])
    return [GeneralOptions, *([own] if own else []), *([NegativeOptions] if config.negatives else [])]


def _check_value(
    source: str, config: Config, options: Mapping, declared: Mapping, name: str, value: Any
) -> None:
    try:
        if name in declared:
            checked(declared[name], value)
            if name == "negative_sampler" and config.negatives is not None:
                check_sampler(value, config["model"], config.samplers)
        else:
            Config(config["model"], config["dataset"], [], {**options, name: value})
    except UsageError as error:
        words = f"{source}: {name} = {value!r}: {error}"
        if isinstance(value, list):
            words += f". To try each of them, write {name}: {{choice: {value}}}"
        raise UsageError(words) from error


def _check_conditions(space: SearchSpace, parameter: SearchParameter, config: Config) -> None:
    setters = {name: other for other in space.parameters for name in other.names}
    for name, values in parameter.when.items():
        if name not in setters:
            if name not in config.final_config_dict:
                raise UsageError(
                    f"{space.source}: {parameter.label} depends on {name!r}, which {config['model']} does "
                    "not have"
                )
            continue
        other = setters[name]
        for value in () if other.kind == "choice" else values:
            if type(value) not in (int, float) or not other.has(value):
                raise UsageError(
                    f"{space.source}: {parameter.label} needs {name} to be {value!r}, which is not a value "
                    f"of its {other.kind} from {other.low:g} to {other.high:g}"
                    + ("" if other.step is None else f" in steps of {other.step:g}")
                )
        possible = [choice[other.names.index(name)] for choice in other.values]
        if other.values and not all(value in possible for value in values):
            raise UsageError(
                f"{space.source}: {parameter.label} needs {name} to be {' or '.join(map(repr, values))}, but "
                f"the space gives it only {', '.join(map(repr, possible))}"
            )


def notes_on(space: SearchSpace, known: Mapping[str, Any], config: Config) -> list[str]:
    """Return lines about parameters that no trial sets, and about a metric of few digits.

    Raises:
        UsageError: no trial sets any parameter.
    """
    return _note_if_never_set(space, known) + _note_few_digits(config)


def _note_if_never_set(space: SearchSpace, known: Mapping[str, Any]) -> list[str]:
    """Return a line about parameters whose conditions hold in no trial.

    Raises:
        UsageError: it is all of them.
    """
    never = space.never_set(known)
    whys = [f"{name} is {known[name]!r}" for one in never for name in one.when if name in known]
    labels, why = ", ".join(one.label for one in never), ", ".join(dict.fromkeys(whys))
    if len(never) == len(space.parameters):
        raise UsageError(
            f"{space.source}: {labels} would be searched under conditions that never hold, since {why}; "
            "nothing is left to search"
        )
    return [f"not searched, since {why}: {labels}"] if never else []


def _note_few_digits(config: Config) -> list[str]:
    """Return a line about metrics that are rounded so far that trials are equal."""
    digits = config.final_config_dict["metric_decimal_place"]
    if digits >= DIGITS:
        return []
    return [
        f"metric_decimal_place is {digits}: trials are told apart by {counted(digits, 'digit')}, and of "
        f"equal ones the first is the best; with {DIGITS} or more few are equal"
    ]


def check_combinations(
    space: SearchSpace, config: Config, combinations: Iterable[Mapping[str, Any]]
) -> str | None:
    """Check whole configurations: options may contradict each other although each is allowed.

    Returns:
        a line that names the options of the space without effect in every one of them, None if none is.

    Raises:
        UsageError: the first one that the model refuses.
    """
    try:
        never = _combined(space.source, config, combinations)
    except UsageError as error:
        raise UsageError(f"{error}. Join or condition these lines") from error
    note = unread_text(never, space.names)
    return f"{note}: trials that differ in them alone are the same" if note else None


def _combined(source: str, config: Config, combinations: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the options that no combination reads, with the reason; raise UsageError for a refused one."""
    declared = _declared(config)
    never: dict[str, str] | None = None  # so far
    for combination in combinations:
        reasons = config.never_read()
        try:
            for cls in declared:
                options = read_options(cls, {**config.final_config_dict, **combination})
                reasons |= unread(options)
                if isinstance(options, NegativeOptions) and options.negative_sampler is not None:
                    reasons |= {"train_neg_sample_args": "negative_sampler is given"}
            check_on_validation({**config.final_config_dict, **combination})
        except UsageError as error:
            text = yaml_io.dump_value(dict(combination))
            raise UsageError(f"{source}: the combination {text} is refused: {error}") from error
        never = reasons if never is None else {name: why for name, why in never.items() if name in reasons}
    return never or {}


def check_stored(
    source: str, config: Config, options: Mapping[str, Any], combinations: Sequence[Mapping[str, Any]]
) -> None:
    """Check the configurations of a sweep that goes on: an earlier version may have allowed more.

    Args:
        source: where the space was read from.
        config: configuration of a run without the space.
        options: the options of every trial.
        combinations: the options of the trials that have not run.

    Raises:
        UsageError: a value, or values together, are refused by now.
    """
    declared = {name: one for cls in _declared(config) for name, one in cls.__dataclass_fields__.items()}
    values = {(name, repr(value)): value for one in combinations for name, value in one.items()}
    for (name, _), value in values.items():
        _check_value(source, config, options, declared, name, value)
    _combined(source, config, combinations)


def seed_of(options: Mapping[str, Any], seed: int) -> int:
    """Return the seed of a trial, which depends on its configuration and the sweep's seed alone."""
    text = yaml_io.dump_value({name: options[name] for name in sorted(options)})
    return int.from_bytes(hashlib.sha256(f"{seed} {text}".encode()).digest()[:4], "big")
