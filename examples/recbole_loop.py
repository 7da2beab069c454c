"""A model of this package in RecBole's own code: options, data, training, test, loading, lists of some users.

    python examples/recbole_loop.py --model=TVDiff --dataset=ml-100k --epochs=5

``enable`` makes it work; with ``--model=LightGCN`` the script is plain RecBole on a current stack.
"""

import recbole_diffusion

recbole_diffusion.enable()

from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.quick_start import load_data_and_model
from recbole.utils import get_model, get_trainer, init_logger, init_seed
from recbole.utils.case_study import full_sort_topk


def main() -> None:
    """Train, test, load again, and print the best items of three users."""
    config = Config(config_dict={"model": "TVDiff", "dataset": "ml-100k"})  # the command line wins
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)

    dataset = create_dataset(config)
    train, valid, test = data_preparation(config, dataset)
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(config["model"])(config, train._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    score, _ = trainer.fit(train, valid, show_progress=False)
    result = trainer.evaluate(test, show_progress=False)
    print(f"validation {score:.4f}; test", {name: round(float(value), 4) for name, value in result.items()})

    _, model, dataset, _, _, test = load_data_and_model(trainer.saved_model_file)
    users = [int(user) for user in test._dataset.inter_feat[dataset.uid_field][:3]]
    _, items = full_sort_topk(users, model, test, k=5, device=config["device"])
    for user, best in zip(users, items, strict=True):
        ids = dataset.id2token(dataset.iid_field, best.tolist())
        print(f"user {dataset.id2token(dataset.uid_field, user)}: items {', '.join(ids)}")


if __name__ == "__main__":
    main()
