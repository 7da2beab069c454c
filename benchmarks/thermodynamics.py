"""Energy and entropy of trained models' scores (TV-Diff, Eq. 7 and 8; Figures 2 and 3), a mean for each user.

python -m benchmarks.thermodynamics --runs RUN_DIR ... [--output=FILE]
"""

from pathlib import Path

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from recbole_diffusion.evaluation.thermodynamics import original_thermodynamics, thermodynamics
from recbole_diffusion.serving.loaded_run import load_run


def main() -> None:
    """Read the command line, measure, print the table."""
    parser = page_parser(__doc__)
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    arguments = parser.parse_args()
    lines = []
    for folder in arguments.runs:
        loaded = load_run(folder)
        config, model = loaded.config, loaded.model
        o = config.options
        found = thermodynamics(
            lambda users, model=model: model.full_sort_predict({model.USER_ID: users}), model.positives
        )
        original = original_thermodynamics(model.positives)
        if not lines:
            lines = [
                f"# Energy and entropy of scores on {config['dataset']}",
                "",
                "`python -m benchmarks.thermodynamics --runs RUN_DIR ...`; scores normalised by their L1 "
                "norm (Eq. 5), means",
                f"over {found.users:,} users. Delta is against the interactions themselves, as in Figure 3 "
                "of the paper.",
                f"Seed {config['seed']}, {machine()}; {stack()}.",
                "",
                *table_head("model", "width", "energy", "delta energy", "entropy", "delta entropy"),
                f"| interactions | | {original.energy / original.users:.1f} | 0 | "
                f"{original.entropy / original.users:.3f} | 0 |",
            ]
        name = f"{o.denoiser}, entropy {o.entropy_loss}, negatives {o.negative_sampler}"
        energy, entropy = found.energy / found.users, found.entropy / found.users
        delta = energy - original.energy / original.users, entropy - original.entropy / original.users
        lines.append(
            f"| {name} | {o.hidden_size} | {energy:.1f} | {delta[0]:.1f} | {entropy:.3f} | {delta[1]:+.3f} |"
        )
    show_page(lines, arguments.output)


if __name__ == "__main__":
    main()
