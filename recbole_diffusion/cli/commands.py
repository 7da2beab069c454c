"""The commands: ``module:function`` below this package, imported when called, and a summary."""

COMMANDS: dict[str, tuple[str, str]] = {
    "train": ("cli.train:train", "train and evaluate one model (the default)"),
    "evaluate": (
        "cli.evaluate:evaluate",
        "evaluate a trained run again, with other metrics, cut-offs, parts or groups",
    ),
    "compare": (
        "cli.compare:compare",
        "compare finished runs: means over seeds, paired tests, cost",
    ),
    "report": ("cli.report:report", "write one HTML page of a run, of several, or of a sweep"),
    "recommend": (
        "cli.recommend:recommend",
        "write the best items for known or new users, from a run",
    ),
    "serve": ("cli.serve:serve", "answer requests for lists by HTTP, from a run"),
    "export": ("cli.export:export", "write the user and item vectors of a run, and an index of its items"),
    "convert": ("cli.convert:convert", "make a data set of a CSV, JSON lines or Parquet file of your own"),
    "inspect": (
        "cli.inspect:inspect",
        "describe a data set: sizes, repeats, times, and what each split makes of it",
    ),
    "split": ("cli.split:split", "split a data set into train, valid, test_iid and test_ood"),
    "prepare": ("cli.prepare:prepare", "make a data set from its published files; without a name, list them"),
    "tune": (
        "cli.tune:tune",
        "search a model's options in parallel trials, and run the best ones again with several seeds",
    ),
    "doctor": ("cli.doctor:doctor", "print versions, device, threads and paths"),
}
