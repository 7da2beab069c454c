"""The configuration of a run that goes on with an earlier one, or that begins with its weights."""

from pathlib import Path
from typing import Any

from recbole_diffusion.config import Config
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.first_stages import is_pretraining
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.run_folder import RunFolder

# Options that a resume may change: none of them changes what the run computes.
RESUME_OPTIONS = frozenset(
    {
        "epochs",
        "stopping_step",
        "show_progress",
        "use_gpu",
        "gpu_id",
        "data_path",
        "shift_test",
        "allow_overlap",
    }
)


def resumed(
    resume: str | Path, model: str | None, dataset: str | None, config_files: list, overrides: dict[str, Any]
) -> tuple[RunFolder, Config]:
    """Return the folder and the configuration of a run to go on with.

    Args:
        resume: its folder.
        model: the given model, which may only be the run's own, or None.
        dataset: the same of the data set.
        config_files: the given files; there must be none.
        overrides: the given options, of RESUME_OPTIONS.

    Raises:
        UsageError: there is no run, or something is given that a resume cannot change.
    """
    folder = RunFolder.existing(resume)
    stored = folder.read_config()
    other = sorted(set(overrides) - RESUME_OPTIONS)
    if other or config_files:
        raise UsageError(
            f"--resume continues with the configuration of {folder.path}; "
            f"{', '.join(other) or 'config_files'} cannot change now. "
            f"Allowed: {', '.join(sorted(RESUME_OPTIONS))}"
        )
    for name, given in (("model", model), ("dataset", dataset)):
        if given is not None and given != stored.get(name):
            raise UsageError(
                f"the run in {folder.path} has {name} {stored.get(name)!r}, not {given!r}; leave --{name} "
                "out with --resume"
            )
    if "epochs" in overrides and is_pretraining(stored):
        overrides = {**overrides, "pretrain_epochs": overrides["epochs"]}
    config = Config(overrides={**stored, **overrides}, stored=True, earlier=True)
    return folder, config


def continued(
    origin: str | Path, model: str | None, dataset: str | None, config_files: list, overrides: dict[str, Any]
) -> Config:
    """Return the configuration of a new run that begins with the best weights of an earlier one."""
    from recbole_diffusion.options.recbole import REPLACED_WHOLE

    folder = RunFolder.existing(origin)
    stored = folder.read_config()
    if not folder.best.is_file():
        raise UsageError(
            f"the run in {folder.path} has no weights to continue from: best.pt is missing; train it with "
            f"--resume={folder.path}"
        )
    if model is not None and model != stored["model"]:
        raise UsageError(
            f"the run in {folder.path} has the model {stored['model']!r}, not {model!r}; leave --model out "
            "with --continue_from"
        )
    given: dict[str, Any] = {}
    for file in config_files:
        given = yaml_io.merged(given, yaml_io.load_yaml(file), REPLACED_WHOLE)
    given = yaml_io.merged(given, overrides, REPLACED_WHOLE)
    for name in ("load_checkpoint", "preset"):
        if given.get(name) is not None:
            raise UsageError(
                f"--continue_from takes weights and options of {folder.path}; leave --{name} out"
            )
    given |= {"load_checkpoint": str(folder.best), "trust_checkpoint": False}
    given |= {"dataset": dataset} if dataset else {}
    return Config(overrides=yaml_io.merged(stored, given, REPLACED_WHOLE), stored=True)
