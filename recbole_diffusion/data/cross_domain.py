"""Two domains: a target data set with its source data set. Users match by token, items never do.

Longer than most files: two domains, their shared users and the cold ones are one data set.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from recbole_diffusion.compat import RECBOLE_FOLDER, FeatureType
from recbole_diffusion.data.cold_start import divide_users, first_records, users_cut_within_a_time
from recbole_diffusion.data.columns import plain_id
from recbole_diffusion.data.dataset import InteractionDataset
from recbole_diffusion.data.domains_apart import check_apart, tell_numbered_users
from recbole_diffusion.data.item_columns import item_cells
from recbole_diffusion.data.rating_scale import tell_other_scales
from recbole_diffusion.data.ratings import rating_column
from recbole_diffusion.data.reader import opened
from recbole_diffusion.data.table_file import file_or_table
from recbole_diffusion.errors import UsageError, agreeing, counted, did_you_mean
from recbole_diffusion.options.cross_domain import OF_RECBOLE_1_0
from recbole_diffusion.options.recbole import check_data_options


@dataclass(frozen=True)
class Ratings:
    """Ratings in the ids of one domain, [rows] each: ``users`` and ``items`` long, ``ratings`` float32."""

    users: torch.Tensor
    items: torch.Tensor
    ratings: torch.Tensor

    def __len__(self) -> int:
        return len(self.users)

    def to(self, device: Any) -> Self:
        """Return the ratings on a device; themselves where they are there."""
        return type(self)(self.users.to(device), self.items.to(device), self.ratings.to(device))


def ratings_of(dataset: Any) -> Ratings:
    """Return the rating rows of a data set."""
    users, items = (
        torch.as_tensor(np.asarray(dataset.inter_feat[name])).long()
        for name in (dataset.uid_field, dataset.iid_field)
    )
    return Ratings(users, items, torch.from_numpy(rating_column(dataset).astype(np.float32)))


def domain_config(config: Any, name: str) -> Any:
    """Return the run's configuration with the block ``source_domain`` or ``target_domain`` over it.

    Raises:
        UsageError: RecBole does not accept a value of the block.
    """
    block = {key: value for key, value in config[name].items() if key not in OF_RECBOLE_1_0}
    dataset = block.pop("dataset", config["dataset"])
    parent = Path(block.pop("data_path", Path(config["data_path"]).parent)).expanduser()
    folder = parent / dataset
    if dataset == "ml-100k" and not folder.is_dir():  # RecBole ships it
        folder = RECBOLE_FOLDER / "dataset_example" / dataset
    unsplit = {"benchmark_filename": None, "shift": "none"}
    try:
        own = config.changed(**unsplit, dataset=dataset, data_path=str(folder), **block)
        check_data_options(own.final_config_dict)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from error
    columns, path = (block.get("load_col") or {}).get("inter"), file_or_table(folder / f"{dataset}.inter")
    if "load_col" not in block:
        unread = unloaded(own, block)
        own["load_col"] = {"inter": [one for one in _columns(own, path) if one not in unread]}
        there = opened(path, own).header() if unread and path.is_file() else unread
        if absent := [one for one in unread if one not in there]:
            logging.getLogger().warning(
                "no effect of unload_col for %s: %s has no such column", ", ".join(absent), path
            )
        own["unload_col"] = None  # RecBole takes one of the two
    elif name == "target_domain" and config.options.warm_start_share and isinstance(columns, list):
        time = [one for one in _columns(own, path)[3:] if one not in columns]
        own["load_col"] = {**block["load_col"], "inter": [*columns, *time]}
    return own


def unloaded(config: Any, block: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns of interactions that a domain does not read, by its block or by the run."""
    given = block.get("unload_col") or config.given.get("unload_col") or {}
    return tuple(given.get("inter") or ())


def _columns(config: Any, path: Path) -> list[str]:
    """Return the columns to load: user, item, rating, and time if the file has it."""
    names = [config[f"{kind}_FIELD"] for kind in ("USER_ID", "ITEM_ID", "RATING", "TIME")]
    if not path.is_file():
        return names[:3]  # the data set reports the missing file
    there = opened(path, config).header()
    return names[:3] + [name for name in names[3:] if name in there]


class DomainDataset(InteractionDataset):
    """One domain: RecBole's data set, with only the items that the block chooses by their .item file.

    Attributes:
        users_of_file: tokens of all users of its file, also of those that the block leaves out.
    """

    shares_scale = True  # with the other domain, which messages on ratings say

    def __init__(self, config: Any, block: Mapping[str, Any]) -> None:
        self.block = block
        super().__init__(config)

    def _data_filtering(self) -> None:
        self.users_of_file = self.inter_feat[self.uid_field].dropna().astype(str).unique().tolist()
        if self.block.get("with") or self.block.get("without"):
            items = self.inter_feat[self.iid_field]
            tokens, known = chosen_items(self.config, self.block)
            chosen = items.isin(tokens)
            if unknown := int((~items.isin(known)).sum()):
                self.logger.warning(
                    "%d of the %s of data set %r %s left out: the .item file, by which 'with' and 'without' "
                    "choose, has no row for their items",
                    *(unknown, counted(len(items), "rating"), self.dataset_name, agreeing(unknown, "are")),
                )
            self.inter_feat = self.inter_feat.drop(index=self.inter_feat.index[~chosen])
        super()._data_filtering()

    def _why_times(self) -> str | None:
        return None

    def _read_times(self) -> bool:
        return self.time_field not in unloaded(self.config, self.block) and super()._read_times()

    def rows(self, numbers: np.ndarray) -> Any:
        """Return a part with these rows."""
        return self.copy(self.inter_feat[numbers.tolist()])


def chosen_items(config: Any, block: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """Return the tokens of the items that have one of the words of ``with`` and none of ``without``.

    The words of a cell are the whole of it and what its sequence separator divides it into; numbers are
    compared as such. Words that no item has are told.

    Returns:
        These tokens, and those of all items of the file.

    Raises:
        UsageError: there is no .item file, it lacks a column, or no item is left.
    """
    path = file_or_table(Path(config["data_path"]) / f"{config['dataset']}.item")
    if not path.is_file():
        raise UsageError(
            f"the domain is chosen by columns of items, but there is no {path}; write it, or remove 'with' "
            "and 'without'"
        )
    file = opened(path, config)
    kinds = file.header()
    wanted, unwanted = block.get("with") or {}, block.get("without") or {}
    for column in [config["ITEM_ID_FIELD"], *wanted, *unwanted]:
        if column not in kinds:
            raise UsageError(f"{path} has no column {column!r}; a domain can be chosen by {', '.join(kinds)}")
    columns = list(dict.fromkeys([*wanted, *unwanted]))
    numbers = {one: kinds[one] in (FeatureType.FLOAT, FeatureType.FLOAT_SEQ) for one in columns}
    cells = item_cells(file, config["ITEM_ID_FIELD"], columns)
    words = {
        token: {
            column: {_plain(word, numbers[column]) for word in (cell, *cell.split(config["seq_separator"]))}
            for column, cell in zip(columns, own, strict=True)
        }
        for token, own in cells.items()
    }
    found = set(words)
    for key, choice in (("with", wanted), ("without", unwanted)):
        for column, some in choice.items():
            asked = {_plain(str(one), numbers[column]): str(one) for one in some}
            found &= {
                token for token, own in words.items() if bool(own[column] & set(asked)) == (key == "with")
            }
            there = set().union(*(own[column] for own in words.values()))
            if absent := [one for plain, one in asked.items() if plain not in there]:
                logging.getLogger().warning(
                    "%r names %s of the column %r that no item of %s has: %s%s",
                    *(key, counted(len(absent), "word"), column, path, ", ".join(absent[:5])),
                    did_you_mean(absent[0], there),
                )
    if not found:
        raise UsageError(
            f"no item of {path} has {dict(wanted)} without {dict(unwanted)}; correct 'with' and 'without'"
        )
    return found, set(words)


def _plain(word: str, number: bool) -> str:
    """Return a word, a number in one form: 1991 and 1991.0 are one."""
    try:
        return repr(float(word)) if number else word
    except ValueError:
        return word


class CrossDomainDataset(DomainDataset):
    """The target domain with its source domain, divided by users.

    ``build`` gives train (the target ratings of everyone except validation and test users), valid, test (all
    hidden ratings of the test users) and, with a warm start, the later part of each test user's ratings
    twice: ``test_cold`` and ``test_warm``. The parts share the attributes below.

    Attributes:
        source: the whole source domain.
        size: number of ratings of the target domain, including hidden ones.
        shared: target and source id of each shared user, long [n_shared, 2], ascending by target id.
        train_users: target ids of the shared users in neither of the other groups, long.
        valid_users: target ids of the validation users, long.
        test_users: target ids of the test users, long.
        warm_rows: first ratings of validation and test users, only for the warm start; None without one.
        warm_valid: the other ratings of the validation users; None without a warm start.
        test_names: names of the test parts.
        warm: for a part, whether the warm start comes before its evaluation.
        masked: for a part, rows that are left out of its rankings like training rows; None for none.
    """

    reads_options = frozenset(
        {
            "source_domain",
            "target_domain",
            "cold_user_ratio",
            "cold_seed",
            "valid_user_ratio",
            "warm_start_share",
        }
    )
    warm = False
    masked: Any = None

    def __init__(self, config: Any) -> None:
        blocks = [config["target_domain"], config["source_domain"]]
        for name, nothing in (
            ("shift", "none"),
            ("valid_part", "iid"),
            ("valid_shift", "none"),
            ("benchmark_filename", None),
        ):
            if config[name] not in (None, nothing):
                raise UsageError(
                    f"{name} is {config[name]!r}, but cross-domain models divide users by cold_user_ratio, "
                    f"valid_user_ratio and cold_seed; leave {name} out, or set it to "
                    f"{nothing or 'null'}"
                )
        if config.rating.rating_scale is None:
            raise UsageError(
                "rating_scale is not given; cross-domain models predict ratings and need it, such as "
                "--rating_scale=[1,5]"
            )
        if (
            config.given.get("load_col")
            and not config.stored
            and not all("load_col" in one for one in blocks)
        ):
            logging.getLogger().warning(
                "no effect of load_col: a domain reads the columns that load_col of its block names, such "
                "as target_domain: {load_col: {inter: [user_id, item_id, rating]}}, and without it users, "
                "items, ratings and, if there are any, times"
            )
        super().__init__(self.config_from(config), blocks[0])
        self.source = DomainDataset(domain_config(config, "source_domain"), blocks[1])
        for domain in (self, self.source):
            rating_column(domain)
        check_apart(self, self.source)
        names = (f"the target {self.dataset_name!r}", f"the source {self.source.dataset_name!r}")
        tell_other_scales(config, dict(zip(names, (self, self.source), strict=True)))
        _tell_repeated(self, self.source)
        self.options, self.size = config.options, len(self.inter_feat)
        names, other = (domain.field2id_token[domain.uid_field] for domain in (self, self.source))
        _, own, there = np.intersect1d(names[1:].astype(str), other[1:].astype(str), return_indices=True)
        if not len(own):
            first = [", ".join(map(str, one[1:4])) for one in (names, other)]
            raise UsageError(
                f"data sets {self.dataset_name!r} and {self.source.dataset_name!r} share no users: users are "
                f"matched by token, and these begin with {first[0]} and {first[1]}; write the same tokens "
                "for the same users"
            )
        self._tell_unmatched(
            *(np.delete(one[1:].astype(str), at) for one, at in ((names, own), (other, there)))
        )
        tell_numbered_users(self, self.source)
        order = np.argsort(own)
        self.shared = torch.from_numpy(np.stack([own[order] + 1, there[order] + 1], 1))

    def _tell_unmatched(self, own: np.ndarray, there: np.ndarray) -> None:
        """Warn of users of one domain alone who would be one user but for the form of their ids.

        Args:
            own: tokens of the users of the target domain alone.
            there: those of the source domain alone.
        """
        by_form = {plain_id(token): token for token in there.tolist()}
        pairs = [(token, by_form[plain_id(token)]) for token in own.tolist() if plain_id(token) in by_form]
        if pairs:
            self.logger.warning(
                "data sets %r and %r: %s of one domain alone %s from one of the other only in blanks, .0, "
                "leading zeros, capitals or the form of a letter, such as %r and %r; they count as "
                "different, so correct the files if they are not",
                *(self.dataset_name, self.source.dataset_name, counted(len(pairs), "user")),
                *(agreeing(len(pairs), "differ"), *pairs[0]),
            )

    @staticmethod
    def config_from(config: Any) -> Any:
        """Return the configuration of the target domain."""
        return domain_config(config, "target_domain")

    def _why_times(self) -> str | None:
        if not self.config.options.warm_start_share or self.time_field not in self.inter_feat:
            return None
        return "a warm start learns the first ratings of each test user"

    def build(self) -> list[Any]:
        """Divide by users; see the class.

        Raises:
            UsageError: there are no training, validation or test users.
        """
        o = self.options
        seeds = (o.cold_seed, self.config.general.split_seed, self.config.general.seed)
        seed = next(one for one in seeds if one is not None)
        for domain in (self.source, self):
            domain._change_feat_format()
        ids = self.shared[:, 0]
        tokens = self.id2token(self.uid_field, ids.numpy()).astype(str)
        test, valid, train = divide_users(tokens, o.cold_user_ratio, o.valid_user_ratio, seed)
        self.test_users, self.valid_users, self.train_users = ids[test], ids[valid], ids[train]
        users = self.inter_feat[self.uid_field].numpy()
        of_test, of_valid = (np.isin(users, some.numpy()) for some in (self.test_users, self.valid_users))
        self.test_names, self.warm_rows, self.warm_valid = ["test"], None, None
        first = np.zeros(len(users), bool)
        if o.warm_start_share:
            first = first_records(users, self.times, o.warm_start_share, seed)
            if self.times is None:
                self.logger.warning(
                    "data set %r is loaded without the time column %r: the ratings that a warm start learns "
                    "are drawn at random",
                    *(self.dataset_name, self.time_field),
                )
            else:
                cut = users_cut_within_a_time(users[of_test], self.times[of_test], first[of_test])
                if cut:
                    self.logger.warning(
                        "warm start: %d of %s %s ratings with the same time in both halves; the seed decides "
                        "which of these come first",
                        *(cut, counted(len(self.test_users), "test user"), agreeing(cut, "have")),
                    )
            self.warm_rows = ratings_of(self.rows(np.flatnonzero(first & (of_test | of_valid))))
            self.warm_valid = ratings_of(self.rows(np.flatnonzero(~first & of_valid)))
            self.test_names = ["test", "test_cold", "test_warm"]
        numbers = [~(of_test | of_valid), of_valid, of_test, *[of_test & ~first] * (len(self.test_names) - 1)]
        parts = [self.rows(np.flatnonzero(one)) for one in numbers]
        for part in parts:
            part.times = None  # not those of all rows
        if self.warm_rows is not None:
            parts[4].warm = True
            learned = np.flatnonzero(first & of_test)
            for part in parts[3:]:  # neither half ranks what the warm start has learned
                part.masked = self.rows(learned) if len(learned) else None
        return parts


def _tell_repeated(target: DomainDataset, source: DomainDataset) -> None:
    """Warn about items that a user has rated twice in one of the domains."""
    for domain, what in (
        (target, "an evaluation uses the first, and a warm start may learn it"),
        (source, "models learn all of them"),
    ):
        repeated = int(domain.inter_feat.duplicated([domain.uid_field, domain.iid_field]).sum())
        if repeated:
            logging.getLogger().warning(
                "%s of data set %r %s of an item that the user has rated before: %s; keep one with "
                "--rm_dup_inter=first (or last)",
                *(counted(repeated, "rating"), domain.dataset_name, agreeing(repeated, "are"), what),
            )


def describe(dataset: CrossDomainDataset) -> dict[str, Any]:
    """Return the sizes of both domains and of the division, for the result."""
    domains = {"source": (dataset.source, len(dataset.source.inter_feat)), "target": (dataset, dataset.size)}
    sizes = {
        name: {
            "dataset": one.dataset_name,
            "users": one.user_num - 1,
            "items": one.item_num - 1,
            "ratings": ratings,
        }
        for name, (one, ratings) in domains.items()
    }
    people = {f"{name}_users": len(getattr(dataset, f"{name}_users")) for name in ("train", "valid", "test")}
    return {**sizes, "shared_users": len(dataset.shared), **people}
