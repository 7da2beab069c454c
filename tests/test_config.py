"""The configuration: layers, types, ranges, names, and nothing evaluated."""

import copy
import os
import re

import pytest

from recbole_diffusion.config import Config
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.keys_read import keys_read_by
from recbole_diffusion.options.kind_options import check_transform
from recbole_diffusion.quick_start import run
from recbole_diffusion.registry import model_class
from recbole_diffusion.storage import yaml_io


def make(model: str = "TVDiff", dataset: str = "ml-100k", config_files=(), **overrides) -> Config:
    return Config(model, dataset, config_files, overrides)


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a configuration file."""

    def write(text: str, name: str = "mine.yaml"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


# Layers.


def test_each_layer_wins_over_the_one_below(file):
    first, second = (
        file("epochs: 7\nseed: 5\ntopk: [3, 20]\n", "a.yaml"),
        file("seed: 6\ntopk: [4, 20]\n", "b.yaml"),
    )
    config = make(config_files=[first, second], topk=[5, 20])
    assert config["loss_decimal_place"] == 4  # RecBole's
    assert config["metric_decimal_place"] == 6  # our overall.yaml over RecBole's 4
    assert config["train_neg_sample_args"]["distribution"] == "none"  # TVDiff.yaml over RecBole's uniform
    assert config["load_col"]["inter"] == ["user_id", "item_id", "rating", "timestamp"]  # ml-100k.yaml
    assert (config["epochs"], config["seed"], config["topk"]) == (
        7,
        6,
        [5, 20],
    )  # first file, second file, overrides


def test_model_and_dataset_may_stand_in_a_file(file):
    config = Config(config_files=[file("model: BPR\ndataset: ml-100k\n")])
    assert (config["model"], config["dataset"], config.model_class.__name__) == ("BPR", "ml-100k", "BPR")


def test_our_own_nested_mappings_merge():
    features = make("FREEDOM", item_features={"text": {"size": 8}})["item_features"]
    assert features["text"] == {"by": "tfidf", "columns": ["movie_title", "class"], "size": 8}
    assert features["attributes"]["by"] == "indicators"


def test_recboles_mappings_are_replaced_as_a_whole(file):
    given = make("BPR", train_neg_sample_args={"distribution": "popularity"})["train_neg_sample_args"]
    assert (given["distribution"], given["sample_num"]) == ("popularity", 1)
    lower, upper = (
        file("load_col: {inter: [user_id, item_id], item: [item_id]}\n", "a.yaml"),
        file("load_col: {inter: '*'}\n"),
    )
    assert make(config_files=[lower, upper])["load_col"] == {"inter": "*"}


def test_eval_args_are_taken_whole_as_recbole_takes_them_and_what_changes_is_said():
    config = make("DGRM", eval_args={"order": "TO", "mode": "full"})
    assert config["eval_args"] == {
        "split": {"RS": [0.8, 0.1, 0.1]},
        "order": "TO",
        "group_by": "user",
        "mode": {"valid": "full", "test": "full"},
    }
    assert config.notes[0] == (
        "eval_args is replaced as a whole, as in RecBole: split is {'RS': [0.8, 0.1, 0.1]} and not "
        "{'RS': [0.72, 0.08, "
        "0.2]}; give it too to change it"
    )
    assert make("BPR", eval_args={"order": "RO"}).notes == []  # nothing changes


@pytest.mark.parametrize(("part", "other"), [("valid", "test"), ("test", "validation")])
def test_a_mode_of_one_part_holds_for_both_and_is_kept_so(part, other):
    config = make("BPR", eval_args={"mode": {part: "uni20"}})
    both = {"valid": "uni20", "test": "uni20"}
    assert config["eval_args"]["mode"] == config.resolved["eval_args"]["mode"] == both
    assert (
        f"eval_args.mode uni20 holds for {other} too, as in RecBole; name both to have another"
        in config.notes
    )


def test_recboles_settings_of_a_kind_of_model_win_over_ours_for_all_models():
    sequential, context, knowledge = make("SASRec"), make("FM"), make("KGCN")
    assert (sequential["eval_args"]["split"], sequential["eval_args"]["order"]) == (
        {"LS": "valid_and_test"},
        "TO",
    )
    assert (context["metrics"], context["valid_metric"]) == (["AUC", "LogLoss"], "AUC")
    assert (context["eval_args"]["group_by"], context["threshold"]) == (None, {"rating": 4})
    assert context["load_col"]["user"] == ["user_id", "age", "gender", "occupation"]
    assert knowledge["load_col"]["kg"] == ["head_id", "relation_id", "tail_id"]
    assert (
        sequential["metric_decimal_place"] == context["metric_decimal_place"] == 6
    )  # ours, which they leave alone
    assert sequential["rating_scale"] is context["rating_scale"] is None  # they rank no user's items once
    assert knowledge["rating_scale"] == [1, 5]


# Choices that follow from others.


@pytest.mark.parametrize(
    ("overrides", "metrics", "chosen"),
    [
        ({"topk": [5, 7]}, None, "recall@7"),
        ({"topk": 5, "metrics": ["NDCG", "Hit"]}, ["NDCG", "Hit"], "ndcg@5"),
        ({"metrics": ["GAUC"]}, ["GAUC"], "gauc"),
        ({"eval_args": {"mode": "labeled"}, "LABEL_FIELD": "rating"}, ["AUC"], "auc"),
        ({"eval_args": {"mode": "labeled"}, "metrics": ["RMSE", "MAE"]}, ["RMSE", "MAE"], "rmse"),
    ],
)
def test_a_metric_that_is_computed_chooses_the_epoch_where_none_is_given(overrides, metrics, chosen):
    config = make("BPR", **overrides)
    assert config["valid_metric"] == chosen
    assert metrics is None or config["metrics"] == metrics
    assert config.notes[-1] == (
        f"valid_metric is {chosen}: metrics and topk do not give the default Recall@20"
    )
    assert config.general.valid_metric == chosen


def test_ranking_metrics_are_taken_where_a_context_model_ranks_all_items():
    config = make("FM", eval_args={"mode": "full"})
    assert (config["metrics"][0], config["valid_metric"]) == ("Recall", "recall@20")
    assert "eval_args.mode is full: metrics are Recall, NDCG, MRR, Hit, Precision" in config.notes


def test_a_sequential_model_whose_loss_compares_with_all_items_draws_no_negatives():
    config = make("SASRec")
    assert config["train_neg_sample_args"]["distribution"] == "none"
    assert config.notes == ["loss_type is CE, which compares with all items: no negatives are drawn"]
    assert make("SASRec", loss_type="BPR")["train_neg_sample_args"]["distribution"] == "uniform"
    with pytest.raises(UsageError, match=r"SASRec with loss_type CE compares with all items; leave it out"):
        make("SASRec", train_neg_sample_args={"distribution": "uniform"})


def test_a_scale_of_ratings_has_no_effect_where_no_users_items_are_ranked_once():
    config = make("GRU4Rec", loss_type="BPR", rating_scale=[1, 5])  # as folders of earlier versions hold it
    assert config.rating.rating_scale is config["rating_scale"] is None
    assert config.notes == ["no effect of rating_scale: GRU4Rec ranks single rows, not a user's rated items"]


def test_the_time_is_loaded_where_the_split_is_by_time():
    config = make("BPR", load_col={"inter": ["user_id", "item_id"]}, eval_args={"order": "TO"})
    assert config["load_col"]["inter"] == ["user_id", "item_id", "timestamp"]
    assert config.notes[-1] == "the column timestamp is loaded too: eval_args splits by time"
    assert make("SASRec", "mine")["load_col"]["inter"] == ["user_id", "item_id", "timestamp"]
    assert make("BPR", "mine")["load_col"]["inter"] == ["user_id", "item_id"]


# Values.


def test_numbers_in_files_are_numbers(file):
    config = make(
        config_files=[file("learning_rate: 1e-4\nnoise_scale: 1e-3\nepochs: 12\nnoise_max: 5e-1\n")]
    )
    assert (config["learning_rate"], config.options.noise_scale, config.options.noise_max) == (
        1e-4,
        1e-3,
        0.5,
    )
    assert (config["epochs"], type(config["epochs"])) == (12, int)


@pytest.mark.parametrize("text", ["__import__('os').getpid()", "1/0", "2+3", "lambda: 0"])
def test_nothing_is_evaluated(text):
    config = make(TIME_FIELD=text)
    assert config["TIME_FIELD"] == text


def test_numbers_are_taken_for_text_options():
    assert make(gpu_id=0)["gpu_id"] == "0"
    assert make(gpu_id=[0, 1])["gpu_id"] == "0,1"
    assert make(gpu_id=None)["gpu_id"] == ""


def test_paths_do_not_depend_on_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = make(dataset="mine", data_path="here", load_checkpoint="a.pt")
    assert config["data_path"] == str(tmp_path / "here" / "mine")
    assert config["load_checkpoint"] == str(tmp_path / "a.pt")


def test_a_copy_of_ml_100k_below_data_path_is_taken(tmp_path):
    shipped = make(data_path=str(tmp_path))["data_path"]
    assert "dataset_example" in shipped
    (tmp_path / "ml-100k").mkdir()
    assert make(data_path=str(tmp_path))["data_path"] == str(tmp_path / "ml-100k")


def test_the_gpu_can_be_turned_off_and_the_environment_is_left_alone(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert make(use_gpu=False)["device"].type == "cpu"
    assert make(gpu_id="")["device"].type == "cpu"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"


def test_the_callers_values_are_not_changed():
    given = {
        "train_neg_sample_args": {"distribution": "uniform"},
        "eval_args": {"mode": "full"},
        "metrics": ["Recall"],
        "topk": 20,
    }
    before = copy.deepcopy(given)
    Config("BPR", "ml-100k", overrides=given)
    assert given == before


def test_recboles_lists_are_not_changed(monkeypatch):
    short = ["load_col"]  # whatever other tests have done to the real one
    monkeypatch.setattr("recbole.config.configurator.dataset_arguments", short)
    config = make()
    assert "seq_separator" in config.parameters["Dataset"]
    assert short == ["load_col"]


def test_the_command_line_of_the_process_is_not_read(monkeypatch):
    monkeypatch.setattr("sys.argv", ["pytest", "--learning_rate=0.5", "--nonsense=1"])
    assert make()["learning_rate"] == 0.001


def test_config_yaml_holds_every_option_and_makes_the_same_configuration(file):
    first = make(epochs=3, eval_args={"split": {"RS": [0.6, 0.2, 0.2]}}, seed=11)
    second = Config(config_files=[file(yaml_io.dump_yaml(first.resolved))])
    assert second.resolved == first.resolved
    assert second.options == first.options
    assert second.final_config_dict == first.final_config_dict


def test_config_yaml_alone_repeats_the_run(checkerboard, tmp_path):
    overrides = {
        **checkerboard.overrides,
        "epochs": 2,
        "hidden_size": 8,
        "steps": 4,
        "run_dir": str(tmp_path / "first"),
    }
    first = run("TVDiff", overrides=overrides)
    second = run(config_files=[tmp_path / "first/config.yaml"])
    assert (second["valid"], second["test"]) == (first["valid"], first["test"])
    assert second["run_dir"] != first["run_dir"]
    third = run(config_files=[tmp_path / "first/config.yaml"], overrides={"seed": 1})
    assert third["valid"] != first["valid"]


# Refusals.

REFUSED = [
    ({"embeding_size": 64}, r"unknown option 'embeding_size' \(did you mean 'embedding_size'\?\)"),
    ({"Epochs": 3}, r"unknown option 'Epochs' \(did you mean 'epochs'\?\)"),
    ({"zzz": 1}, "unknown option 'zzz'; --model=TVDiff --help"),
    ({"n_layers": 2}, "unknown option 'n_layers'"),  # LightGCN's, not TVDiff's
    ({"gamma": 0}, r"'gamma' is 0.0; it takes float in \(0, 1\]"),
    ({"steps": 0}, r"'steps' is 0; it takes int in \[1, inf\)"),
    ({"hidden_size": "wide"}, "'hidden_size' is 'wide'; it takes int"),
    ({"noise_min": 0.2, "noise_max": 0.1}, "noise_min must not be larger"),
    ({"epochs": -1}, "'epochs' is -1"),
    ({"learning_rate": 0}, "'learning_rate' is 0.0"),
    ({"learner": "foo"}, r"'learner' is 'foo'; it takes adam \| adamw"),
    ({"seed": "abc"}, "'seed' is 'abc'"),
    ({"state": "LOUD"}, "'state' is 'LOUD'; it takes DEBUG"),
    ({"shuffle": "maybe"}, "'shuffle' is 'maybe'; it takes bool"),
    ({"eval_args": "full"}, "'eval_args' is 'full'; it takes dict"),
    ({"device": "cuda"}, "'device' is not supported.*--use_gpu"),
    ({"MODEL_TYPE": "x"}, "'MODEL_TYPE' is not supported"),
    ({"topk": 0}, "'topk' is 0; it takes a whole number from 1"),
    ({"topk": []}, r"'topk' is \[\]"),
    ({"topk": ["a"]}, r"'topk' is \['a'\]"),
    ({"topk": [5.5]}, r"'topk' is \[5.5\]"),
    ({"topk": True}, "'topk' is True"),
    ({"metrics": "Recal"}, r"unknown metric 'Recal' \(did you mean 'Recall'\?\).*NDCG"),
    ({"metrics": []}, r"'metrics' is \[\]; it takes a list of .*Recall"),
    ({"metrics": [1]}, "unknown metric 1"),
    ({"metrics": ["Recall", "RMSE"]}, "mixes ranking metrics with RMSE"),
    ({"metrics": ["RMSE"], "valid_metric": "RMSE"}, "mode full ranks all items: it cannot give RMSE"),
    (
        {"valid_metric": "MRR@3"},
        r"'MRR@3', which is not computed \(did you mean 'mrr@20'\?\); .*recall@10, recall@20",
    ),
    (
        {
            "valid_metric": "rated_ndcg@5",
            "rating_scale": [1, 5],
            "eval_args": {"mode": {"valid": "uni10", "test": "full"}},
        },
        "from a full ranking, but eval_args.mode is 'uni10' for validation",
    ),
    ({"metrics": ["GAUC"], "valid_metric": "GAUC@10"}, "'GAUC@10', which is not computed"),
    (
        {"eval_args": {"spilt": {"RS": [8, 1, 1]}}},
        r"unknown name 'spilt' in eval_args \(did you mean 'split'\?\)",
    ),
    ({"eval_args": {"split": {"RSS": [8, 1, 1]}}}, "'eval_args.split' is {'RSS'"),
    ({"eval_args": {"split": {"RS": [0.8, 0.2]}}}, "with three shares"),
    ({"eval_args": {"split": {"RS": [0.8, -0.1, 0.3]}}}, "with three shares"),
    (
        {"eval_args": {"split": {"RS": [1, 0, 0]}}},
        "with three shares, of which that of validation or that of",
    ),
    ({"eval_args": {"split": {"RS": [0, 0.5, 0.5]}}}, "with three shares"),
    ({"eval_args": {"split": {"LS": "train_only"}}}, "LS: valid_and_test"),
    ({"eval_args": {"order": "XX"}}, "'eval_args.order' is 'XX'"),
    ({"eval_args": {"group_by": "users"}}, "'eval_args.group_by' is 'users'"),
    ({"eval_args": {"group_by": "User"}}, "'eval_args.group_by' is 'User'; it takes user or none"),
    ({"normalize_field": "rating"}, "'normalize_field' is 'rating'; it takes a list of names of columns"),
    ({"normalize_field": ["price"]}, "give --normalize_all=False beside it"),
    ({"numerical_features": "price"}, "'numerical_features' is 'price'; it takes a list"),
    ({"alias_of_item_id": "near"}, "'alias_of_item_id' is 'near'; it takes a list"),
    ({"seq_len": 5}, "'seq_len' is 5; it takes a whole number from 1 by column"),
    ({"seq_len": {"title": 0}}, "'seq_len' is {'title': 0}"),
    ({"discretization": ["price"]}, "'discretization' is .*; it takes a method by column"),
    ({"discretization": {"price": {"method": "XX"}}}, "'discretization.price' is {'method': 'XX'}"),
    ({"discretization": {"price": {"method": "ED"}}}, "bucket: a whole number from 1"),
    ({"discretization": {"price": {"method": "LD"}}}, "add it there, such as numerical_features: .price."),
    (
        {"discretization": {"rating": {"method": "LD"}}, "numerical_features": ["rating"]},
        "discretization names the column 'rating', which is read as the number that it is",
    ),
    ({"transform": "crop"}, "'transform' is 'crop'; it takes mask_itemseq"),
    ({"transform": "crop_itemseq", "eta": 0.6}, "but TVDiff does not read the sequences that it makes"),
    ({"model": "SASRec", "transform": "mask_itemseq"}, "but SASRec does not read the sequences"),
    ({"model": "BERT4Rec", "transform": None}, "'transform' is None; it takes mask_itemseq with BERT4Rec"),
    ({"transform": "user_defined"}, "RecBole's class of this name is empty"),
    ({"eval_args": {"mode": "ful"}}, "'eval_args.mode' is 'ful'"),
    ({"eval_args": {"mode": "uni0"}}, "'eval_args.mode' is 'uni0'"),
    ({"eval_args": {"mode": {"tset": "full"}}}, "'eval_args.mode' is {'tset'"),
    ({"eval_args": {"mode": "labeled"}, "metrics": ["Recall"]}, "labeled evaluates single rows"),
    ({"load_col": {"item": ["item_id"]}}, "without inter: as in RecBole it replaces the default"),
    ({"benchmark_filename": "train"}, "'benchmark_filename' is 'train'; it takes two parts"),
    ({"benchmark_filename": ["train"]}, "it takes two parts"),
    ({"load_col": {"intre": ["user_id"]}}, r"unknown file 'intre' in load_col \(did you mean 'inter'\?\)"),
    ({"load_col": {"inter": "user_id"}}, "'load_col.inter' is 'user_id'; it takes a list"),
    (
        {"user_inter_num_interval": "5"},
        r"'user_inter_num_interval' is '5'; it takes an interval.*'\[5,inf\)'",
    ),
    ({"val_interval": {"rating": 3}}, "'val_interval.rating' is 3"),
    ({"val_interval": {"rating": "[inf,4)"}}, r"no number is in \[inf,4\): it begins at inf and ends at 4"),
    ({"val_interval": {"rating": "[1,2];(3,3]"}}, r"no number is in \(3,3\]: it begins at 3 and ends at 3"),
    ({"item_inter_num_interval": "[10,2]"}, r"'item_inter_num_interval' .* no number is in \[10,2\]"),
    ({"rm_dup_inter": "middle"}, "it takes first, last or null"),
    ({"clip_grad_norm": 5}, "'clip_grad_norm' is 5; it takes {max_norm"),
    ({"field_separator": ""}, "'field_separator' is ''"),
    ({"encoding": "utf-99"}, "'encoding' is 'utf-99'"),
    ({"train_neg_sample_args": {"distribution": "gauss"}}, "'gauss'; it takes uniform, popularity"),
    ({"train_neg_sample_args": {"distribution": "uniform", "sample_num": 0}}, "sample_num' is 0"),
    (
        {"train_neg_sample_args": {"distribution": "uniform", "sampel_num": 2}},
        r"\(did you mean 'sample_num'\?\)",
    ),
]


@pytest.mark.parametrize(
    ("overrides", "message"),
    REFUSED,
    ids=[f"{key}={value}" for case, _ in REFUSED for key, value in [*case.items()][:1]],
)
def test_a_wrong_option_is_refused(overrides, message):
    with pytest.raises(UsageError, match=message):
        make(**overrides)


@pytest.mark.parametrize("name", ["crop_itemseq", "mask_itemseq", None])
@pytest.mark.parametrize("base", ["SASRec", "BERT4Rec"])
def test_a_model_from_elsewhere_takes_any_transform(base, name):
    """It may read the new sequences by their name in the batch, or make its own."""
    check_transform({"model": "Own", "transform": name}, type("Own", (model_class(base),), {}))


def test_an_earlier_run_keeps_its_transform():
    given = {"transform": "inverse_itemseq", "train_neg_sample_args": None}
    assert Config("SASRec", "ml-100k", overrides=given, stored=True)["transform"] == "inverse_itemseq"


@pytest.mark.parametrize(
    ("model", "dataset", "message"),
    [
        (None, "ml-100k", "--model is missing"),
        ("", "ml-100k", "--model is missing"),
        ("BPR", None, "--dataset is missing"),
        (3, "ml-100k", "--model is 3, which is not a name"),
        ("BPR", "a/b", "dataset 'a/b' is a path.*--data_path"),
        ("BPR", "..", "is a path"),
    ],
)
def test_a_wrong_name_is_refused(model, dataset, message):
    with pytest.raises(UsageError, match=message):
        Config(model, dataset)


ACCEPTED = [
    {"metrics": "NDCG", "topk": 5, "valid_metric": "ndcg@5"},
    {"metrics": ["GAUC"], "valid_metric": "GAUC"},
    {"metrics": ["ItemCoverage", "Recall"], "valid_metric": "itemcoverage@10"},
    {"metrics": ["RMSE", "MAE"], "valid_metric": "RMSE", "eval_args": {"mode": "labeled"}},
    {"metrics": ["AUC"], "valid_metric": "AUC", "eval_args": {"mode": {"valid": "uni10", "test": "uni20"}}},
    {"user_inter_num_interval": "[5,inf)", "item_inter_num_interval": "(1.5, 1e3];[2000,inf)"},
    {"val_interval": {"rating": "[3,inf)", "user_id": ["1", "2"]}},
    {"val_interval": {"rating": "[3,3];(-inf,inf)"}},
    {"load_col": None, "clip_grad_norm": {"max_norm": 5}, "encoding": "latin-1", "save_dataset": False},
    {"load_col": {"inter": "*", "item": ["item_id"]}},
    {"eval_args": {"split": {"RS": [0.8, 0, 0.2]}, "group_by": "None"}},
    {"eval_args": {"split": {"LS": "valid_only"}}},
    {"metrics": ["TailPercentage"], "tail_ratio": 0.2},
    {"seq_len": {"title": 5}, "numerical_features": ["price"]},
    {"normalize_field": ["price"], "normalize_all": False},
    {"numerical_features": ["price"], "discretization": {"price": {"method": "ED", "bucket": 5}}},
    {"numerical_features": ["rating"], "discretization": {"rating": {"method": "LD"}}, "rating_scale": None},
    {"additional_feat_suffix": "text", "load_col": {"inter": "*", "text": "*"}},
    {"benchmark_filename": ["train", "test"], "eval_args": {"split": None}},
]


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ({"RS": [0.8, 0.1, 0.2]}, "sum to 1.1 and not to 1: .* to 0.7273, 0.09091, 0.1818"),
        ({"TS": [0.8, 0.05, 0.1]}, "sum to 0.95 and not to 1"),
        ({"RS": [8, 1, 1]}, None),
        ({"RS": [0.7, 0.1, 0.2]}, None),
        ({"RS": [1 / 3, 1 / 3, 1 / 3]}, None),
        ({"LS": "valid_and_test"}, None),
    ],
)
def test_shares_that_do_not_sum_to_one_are_told(split, told):
    notes = make(eval_args={"split": split, "order": "TO"}).notes
    about = [note for note in notes if "eval_args.split has the shares" in note]
    assert len(about) == (told is not None)
    assert not told or re.search(told, about[0])


@pytest.mark.parametrize("overrides", ACCEPTED, ids=lambda overrides: next(iter(overrides)))
def test_a_right_option_is_accepted(overrides):
    config = make(**overrides)
    assert all(name in config for name in overrides)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"reranker_CAN_NUM": "10,20", "n_facet_all": 6},
            "takes a whole number from 1, or several that fall",
        ),
        ({"reranker_CAN_NUM": "10,x"}, "reranker_CAN_NUM' is '10,x'; it takes"),
        (
            {"reranker_CAN_NUM": "20,10"},
            "n_facet_all is 5; GRU4RecCPR takes the sum of .* n_facet_reranker: 6$",
        ),
        ({"eval_args": {"mode": "uni10"}}, "scores all items at once and no single ones; set it to full"),
    ],
)
def test_partitions_that_recbole_asserts_are_refused_in_a_sentence(given, told):
    with pytest.raises(UsageError, match=told):
        make("GRU4RecCPR", **given)
    taken = make("GRU4RecCPR", reranker_CAN_NUM="20,10", n_facet_all=6)  # the form of RecBole's page
    assert taken["reranker_CAN_NUM"] == "20,10"


@pytest.mark.parametrize(
    ("model", "files", "told"),
    [
        (
            "BPR",
            {"net": ["source_id"]},
            ["no effect of load_col.net: BPR loads no such file; additional_feat"],
        ),
        (
            "TVDiff",
            {"kg": "*", "link": "*", "item": ["item_id"]},
            ["no effect of load_col.kg, load_col.link: "],
        ),
        ("CKE", {"kg": ["head_id", "relation_id", "tail_id"], "link": ["item_id", "entity_id"]}, []),
        ("GRU4RecKG", {"kg": "*", "link": "*"}, []),
    ],
)
def test_files_of_load_col_that_nothing_loads_are_told(model, files, told):
    """A .net file is loaded if additional_feat_suffix names it, and its columns were passed over."""
    notes = make(model, load_col={"inter": ["user_id", "item_id", "timestamp"], **files}).notes
    found = [note for note in notes if "no effect of load_col" in note]
    assert len(found) == len(told) and all(one in note for one, note in zip(told, found, strict=True))


def test_options_that_only_a_models_code_names_are_known():
    assert "norm" in keys_read_by(model_class("DiffRec"))  # in no YAML of RecBole
    assert make("DiffRec", norm=True)["norm"] is True


@pytest.mark.parametrize("option", ["eta", "tail_ratios"])
def test_an_option_that_nothing_of_this_run_reads_is_unknown(option):
    with pytest.raises(UsageError, match=f"unknown option '{option}'"):
        make("BPR", **{option: 0.5})


# What old configuration files hold.


def test_template_options_without_effect_are_told_in_one_note():
    config = make("BPR", checkpoint_dir="saved/", save_dataset=True, dataset_save_path=None, nproc=1)
    assert config.notes == [
        "no effect of checkpoint_dir (a run writes one folder, which run_dir names), save_dataset (the files "
        "are read each time), nproc (a run is one process)"
    ]
    assert "checkpoint_dir" not in config.resolved


@pytest.mark.parametrize(
    ("model", "given", "names"),
    [
        ("EASE", {"learning_rate": 0.1}, "learning_rate (no gradient steps are taken)"),
        ("SLIM", {"train_batch_size": 9}, "train_batch_size (no gradient steps are taken)"),
        ("LinkProp", {"weight_decay": 0.1}, "weight_decay (no gradient steps are taken)"),
        ("MF", {"learning_rate": 0.1, "rating_scale": [1, 5]}, "learning_rate (solver is als)"),
        (
            "Pop",
            {"train_neg_sample_args": {"distribution": "popularity"}},
            "train_neg_sample_args (no gradient steps are taken)",
        ),
        (
            "MultiVAE",
            {"train_neg_sample_args": {"distribution": "popularity"}},
            "train_neg_sample_args (MultiVAE learns from whole rows of users)",
        ),
        (
            "BPR",
            {"train_neg_sample_args": {"distribution": "uniform", "alpha": 0.5}},
            "train_neg_sample_args.alpha (distribution is uniform)",
        ),
        (
            "BPR",
            {"train_neg_sample_args": {"distribution": "uniform", "candidate_num": 4}},
            "train_neg_sample_args.candidate_num (dynamic is false)",
        ),
        (
            "ItemRidge",
            {"train_neg_sample_args": {"distribution": "uniform"}, "rating_scale": [1, 5]},
            "train_neg_sample_args (no gradient steps are taken)",
        ),
        (
            "CNSDiff",
            {"train_neg_sample_args": {"distribution": "popularity"}},
            "train_neg_sample_args (CNSDiff draws its negatives itself, if it needs any)",
        ),
        ("EASE", {"shuffle": False}, "shuffle (no gradient steps are taken)"),
        ("EASE", {"enable_amp": True}, "enable_amp (no gradient steps are taken)"),
        (
            "DMF",
            {"embedding_size": 5},
            "embedding_size (DMF has user_embedding_size and item_embedding_size)",
        ),
        (
            "SASRec",
            {"numerical_features": ["rating"]},
            "numerical_features (SASRec embeds no columns of numbers)",
        ),
        ("BPR", {"MAX_ITEM_LIST_LENGTH": 5}, "MAX_ITEM_LIST_LENGTH (BPR reads no sequences)"),
        (
            "FPMC",
            {"MAX_ITEM_LIST_LENGTH": 5},
            "MAX_ITEM_LIST_LENGTH (FPMC reads the last item of a history alone)",
        ),
        ("HRM", {"reg_weight": 0.5}, "reg_weight (RecBole's HRM has no such term in its loss)"),
        (
            "RepeatNet",
            {"loss_type": "BPR", "train_neg_sample_args": None},
            "loss_type (RepeatNet has the cross-entropy of its paper alone)",
        ),
        (
            "MKR",
            {"kg_embedding_size": 5},
            "kg_embedding_size (RecBole's MKR has embedding_size for entities and relations too)",
        ),
        ("TVDiff", {"require_pow": True}, "require_pow (the loss of TVDiff has no such penalty)"),
        ("FM", {"kg_reverse_r": True}, "kg_reverse_r (FM reads no graph of knowledge)"),
        ("BPR", {"preload_weight": {"uid": "emb"}}, "preload_weight (BPR asks for no given vectors)"),
        (
            "EASE",
            {"numerical_features": ["rating"]},
            "numerical_features (EASE embeds no columns of numbers)",
        ),
    ],
)
def test_what_a_model_does_not_read_of_training_is_told(model, given, names):
    assert f"no effect of {names}" in make(model, **given).notes


@pytest.mark.parametrize(
    ("model", "given"),
    [
        ("DiffRec", {"w_min": 0.5, "time-aware": True}),
        ("RecVAE", {"beta": 0.5, "gamma": 0}),
        ("CORE", {"n_layers": 1}),
        ("EASE", {"enable_amp": False}),  # as it is anyway
        ("NNCF", {"resolution": 1}),
        ("LINE", {"second_order_loss_weight": 2}),
    ],
)
def test_an_option_that_counts_beside_the_others_is_not_told(model, given):
    assert "no effect of" not in " ".join(make(model, **given).notes)


@pytest.mark.parametrize("model", ["GRU4RecF", "FDSA", "DIN", "DIEN", "FM"])
def test_numbers_of_columns_are_read_by_models_of_features(model):
    config = make(model, numerical_features=["rating"], load_col={"inter": ["user_id", "item_id", "rating"]})
    assert "no effect of numerical_features" not in " ".join(config.notes)


@pytest.mark.parametrize("model", ["DiffRec", "TVDiff", "SGCL", "EASE"])
def test_a_choice_among_negatives_that_nothing_draws_is_left_out(model):
    chosen = {"distribution": "uniform", "sample_num": 1, "dynamic": True, "candidate_num": 4}
    config = make(model, train_neg_sample_args=chosen)
    assert any("no effect of train_neg_sample_args" in note for note in config.notes)
    assert not config["train_neg_sample_args"]["dynamic"]
    assert make("BPR", train_neg_sample_args=chosen)["train_neg_sample_args"]["dynamic"]


def test_a_sequential_model_has_its_order_where_eval_args_names_none():
    standard = {"split": {"LS": "valid_and_test"}, "order": "TO"}
    made = make("SASRec", eval_args={"mode": "uni10"})
    found = made["eval_args"]
    assert {name: found[name] for name in standard} == standard
    line = "eval_args: split is {'LS': 'valid_and_test'} and order is TO, as for every sequential model"
    assert any(note.startswith(line) for note in made.notes)
    assert not any("replaced as a whole" in note for note in made.notes)
    shares = {"split": {"RS": [0.8, 0.1, 0.1]}}
    own = make("SASRec", eval_args=shares)["eval_args"]
    assert (own["split"], own["order"]) == (shares["split"], "TO")
    with pytest.raises(UsageError, match=r"eval_args.order is 'RO', but SASRec is .*; give order: TO"):
        make("SASRec", eval_args={"order": "RO", "mode": "uni10"})
    assert make("SASRec", loss_type="BPR", eval_args={"mode": "uni10"})["eval_args"]["order"] == "TO"


@pytest.mark.parametrize("given", [{}, {"eval_args": {"mode": "uni10"}}])
def test_sequential_models_over_a_graph_have_the_order_of_sequential_models(given):
    """RecBole's defaults of KSR and GRU4RecKG name none, and its random one cannot be run."""
    found = make("GRU4RecKG", **given)["eval_args"]
    assert (found["split"], found["order"]) == ({"LS": "valid_and_test"}, "TO")


def test_options_of_mirror_gradient_and_of_epochs_without_either_are_told():
    line = "no effect of mirror_descent (mirror_gradient is False)"
    assert line in make("BPR", mirror_descent=0.3).notes
    assert make("BPR", mirror_descent=0.3, mirror_gradient=True).notes == make("BPR").notes
    again = Config("BPR", "ml-100k", overrides=make("BPR").resolved)
    assert not any("mirror" in note for note in again.notes)
    notes = make("EASE", stopping_step=3).notes
    assert "no effect of stopping_step (no epochs over batches are trained)" in notes


def test_scaled_gradients_are_told_where_there_is_no_gpu(monkeypatch):
    for gpu in (False, True):
        monkeypatch.setattr("torch.cuda.is_available", lambda gpu=gpu: gpu)
        told = "no effect of enable_scaler (gradients are scaled on a GPU alone)"
        assert (told in make("BPR", enable_scaler=True, use_gpu=False).notes) is not gpu


def test_epochs_without_a_validation_are_told():
    said = "eval_step is 5, but epochs 3: no epoch is validated on the way"
    assert said in " ".join(make("BPR", eval_step=5, epochs=3).notes)
    for model, given in (("BPR", {"eval_step": 3, "epochs": 3}), ("EASE", {"eval_step": 5, "epochs": 3})):
        assert "no epoch is validated" not in " ".join(make(model, **given).notes)


@pytest.mark.parametrize(
    ("model", "given", "told"),
    [
        ("BPR", {"metric_decimal_place": 2}, True),
        ("BPR", {"metric_decimal_place": 6}, False),
        ("BPR", {"metric_decimal_place": 2, "epochs": 1}, False),
        ("EASE", {"metric_decimal_place": 2}, False),
    ],
)
def test_epochs_that_are_chosen_by_rounded_metrics_are_told(model, given, told):
    said = "metric_decimal_place is 2: epochs are compared by rounded metrics too, and of equal ones the last"
    assert (said in " ".join(make(model, **given).notes)) == told


@pytest.mark.parametrize(
    ("model", "given"),
    [
        ("SASRec", {"MAX_ITEM_LIST_LENGTH": 5}),
        ("LightGCN", {"require_pow": True}),
        ("CKE", {"kg_reverse_r": True}),
        ("FM", {"numerical_features": ["rating"]}),
        ("BPR", {"shuffle": False, "require_pow": False, "MAX_ITEM_LIST_LENGTH": 50}),  # the defaults
    ],
)
def test_what_a_kind_of_model_reads_is_not_told(model, given):
    assert not [note for note in make(model, **given).notes if "no effect" in note]


@pytest.mark.parametrize(
    ("model", "given"),
    [
        ("BPR", {"learning_rate": 0.1, "train_neg_sample_args": {"distribution": "popularity"}}),
        ("MF", {"learning_rate": 0.1, "solver": "sgd", "rating_scale": [1, 5]}),
        ("CNSDiff", {"learning_rate": 0.1, "train_neg_sample_args": None}),
        ("MultiVAE", {"train_neg_sample_args": None}),
        (
            "BPR",
            {
                "train_neg_sample_args": {"distribution": "uniform", "alpha": 0.5},
                "eval_args": {"mode": "pop9"},
            },
        ),
    ],
)
def test_what_a_model_reads_of_training_is_not_told(model, given):
    assert not [note for note in make(model, **given).notes if "no effect" in note]


def test_options_of_an_older_recbole_are_told_all_at_once_with_what_replaces_them():
    old = {
        "eval_setting": "TO_LS,uni100",
        "group_by_user": True,
        "real_time_process": False,
        "min_user_inter_num": 5,
    }
    with pytest.raises(UsageError) as refused:
        make("BPR", **old, training_neg_sample_num=2, lowest_val={"rating": 3})
    assert str(refused.value) == (
        "RecBole no longer has eval_setting, group_by_user, real_time_process, min_user_inter_num, "
        "training_neg_sample_num, lowest_val: instead of eval_setting, group_by_user write eval_args: "
        "{split: {LS: valid_and_test}, order: TO, group_by: user, mode: uni100}; instead of "
        "min_user_inter_num "
        'write user_inter_num_interval: "[5,inf)"; instead of training_neg_sample_num write '
        "train_neg_sample_args: {distribution: uniform, sample_num: 2}; instead of lowest_val write "
        "val_interval: {'rating': '[3,inf)'}; leave real_time_process out"
    )


def test_what_the_message_says_to_write_is_accepted():
    written = {
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "uni100"},
        "user_inter_num_interval": "[5,inf)",
        "train_neg_sample_args": {"distribution": "uniform", "sample_num": 2},
        "val_interval": {"rating": "[3,inf)"},
    }
    assert make("BPR", **written)["user_inter_num_interval"] == "[5,inf)"


def test_an_old_option_beside_the_one_that_replaces_it_has_no_effect_as_in_recbole():
    config = make("BPR", eval_setting="RO_RS,full", eval_args={"order": "TO"})
    assert config["eval_args"]["order"] == "TO"
    assert config.notes == ["no effect of eval_setting (eval_args says it)"]


# What single models need.


@pytest.mark.parametrize(
    ("model", "overrides", "message"),
    [
        ("XGBoost", {}, "XGBoost of RecBole does not run here: a library trains its trees in one call"),
        ("BPR", {"train_neg_sample_args": None}, "BPR learns from pairs and needs negatives"),
        ("SASRec", {"loss_type": "BPR", "train_neg_sample_args": None}, "SASRec learns from pairs"),
        ("FM", {"shift": "popularity"}, "FM is a context model, whose data set cannot be split by shift"),
        (
            "NeuMF",
            {"use_pretrain": True},
            "use_pretrain is True: NeuMF of RecBole then reads weights from a file",
        ),
        ("NAIS", {"pretrain_path": "fism.pth"}, "pretrain_path is 'fism.pth': NAIS of RecBole then reads"),
        (
            "ConvNCF",
            {"train_method": "after_pretrain"},
            "train_method is 'after_pretrain': ConvNCF of RecBole",
        ),
        ("KD_DAGFM", {"phase": "distillation"}, "phase is 'distillation': KD_DAGFM of RecBole then reads"),
        ("DIEN", {"benchmark_filename": ["train", "valid", "test"]}, "DIEN reads a history of negatives too"),
    ],
)
def test_what_a_model_cannot_do_is_refused_in_one_sentence(model, overrides, message):
    with pytest.raises(UsageError, match=message):
        make(model, **overrides)


def test_a_model_of_pairs_takes_no_negatives_with_a_loss_that_needs_none():
    assert make("SINE", train_neg_sample_args=None)["train_neg_sample_args"]["distribution"] == "none"
    assert make("SINE", train_neg_sample_args=None, loss_type="NLL")["loss_type"] == "NLL"
    with pytest.raises(UsageError, match="SINE learns from pairs and needs negatives"):
        make("SINE", train_neg_sample_args=None, loss_type="BPR")


@pytest.mark.parametrize("none", [None, "None"])  # its documents have ~ and None, which YAML takes for a text
@pytest.mark.parametrize("model", ["MultiVAE", "MultiDAE", "MacridVAE", "RaCT", "RecVAE", "CDAE", "ENMF"])
def test_autoencoders_take_no_negatives_as_recboles_documentation_says(model, none):
    assert make(model, train_neg_sample_args=none)["train_neg_sample_args"]["distribution"] == "none"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"modle": "BPR", "dataset": "toy"}, "--model is missing, and 'modle' is no option; give both"),
        ({"model": "BPR", "datset": "toy"}, "--dataset is missing, and 'datset' is no option; give both"),
        ({"model": "BPR", "data_path": "toy"}, "--dataset is missing; give both"),
    ],
)
def test_a_misspelt_model_or_dataset_is_pointed_out(given, said):
    with pytest.raises(UsageError, match=said):
        Config(overrides=given)


def test_negatives_of_a_repeatable_run_of_users_are_told():
    def told(model, **given):
        notes = Config(model, "ml-100k", overrides=given).notes
        return [one for one in notes if one.startswith("repeatable: negatives of training")]

    (line,) = told("BPR", repeatable=True)
    assert line.endswith(
        "the user's other items among them; negative_sampler: uniform leaves out all of the user's"
    )
    assert told("BPR") == told("SASRec") == told("EASE", repeatable=True) == []
    assert told("BPR", repeatable=True, negative_sampler="uniform") == []
