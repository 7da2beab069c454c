#!/usr/bin/env bash
# feast 0.67.0: `get_historical_features(events, ...)` for a training table, `get_online_features` for serving, from files and SQLite (provider "local").
#
# Guess: the training table has a row for each event, with null where no value was known at that time or all are older than `ttl`; serving has null
#        for what is older, too.
# Seen:  an event whose item has values, but none in time, is no row of the table: with a ttl of a day two of four events are gone, the item whose rate is
#        five days old and the one whose first rate came later; without a ttl the latter. An item without any value stays, with null. Serving ignores
#        ttl: the value of five days before is put out.
# So:    events of new items (before their first statistics) and of slow ones are not trained on, nor tested where the test part is made so, while
#        both are served. Count the rows, and join the table to the events.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" feast==0.67.0 pandas==2.3.3 dask==2026.8.0 pyarrow==26.0.1 numpy==2.4.6 protobuf==7.36.2 SQLAlchemy==2.1.9 pydantic==2.14.4
FEAST_USAGE=False OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - "$work" <<'PYTHON_SCRIPT'
import datetime
import sys
from importlib.metadata import version

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float32

print("feast", version("feast"), "pandas", pd.__version__)
assert version("feast") == "0.67.0"
work = sys.argv[1]
day = datetime.timedelta(days=1)
now = datetime.datetime(2026, 1, 10, tzinfo=datetime.timezone.utc)
pd.DataFrame({"item": [1, 2, 3], "rate": [0.1, 0.2, 0.3], "time": [now - day / 2, now - 5 * day, now + day / 2]}).to_parquet(f"{work}/rates.parquet")
what = {1: "rate of 12 hours before", 2: "rate of 5 days before", 3: "rate of 12 hours after", 4: "no rate at all"}
events = pd.DataFrame({"item": list(what), "event_timestamp": [now] * 4, "click": [1, 1, 1, 1]})
seen = {}
for name, ttl in (("ttl of a day", day), ("no ttl", datetime.timedelta(0))):
    folder = f"{work}/{name.replace(' ', '_')}"
    store = FeatureStore(
        config=RepoConfig(
            project="shop",
            provider="local",
            registry=f"{folder}.registry",
            online_store={"type": "sqlite", "path": f"{folder}.online"},
            offline_store={"type": "file"},
            entity_key_serialization_version=3,
        )
    )
    item = Entity(name="item", join_keys=["item"], value_type=ValueType.INT64)
    source = FileSource(path=f"{work}/rates.parquet", timestamp_field="time")
    store.apply([item, FeatureView(name="items", entities=[item], ttl=ttl, schema=[Field(name="rate", dtype=Float32)], source=source)])
    table = store.get_historical_features(events, ["items:rate"]).to_df()
    trained = {int(row.item): None if pd.isna(row.rate) else round(float(row.rate), 2) for row in table.itertuples()}
    store.materialize(now - 30 * day, now)
    online = store.get_online_features(["items:rate"], [{"item": number} for number in what]).to_dict()["rate"]
    seen[name] = trained, [None if rate is None else round(rate, 2) for rate in online]
    print(f"\n{name}: {len(table)} of {len(events)} events in the training table")
    for number, served in zip(what, seen[name][1]):
        print(f"    {what[number]}: {f'in training {trained[number]}' if number in trained else 'NOT A ROW of the training table'}, served {served}")
for name in seen:
    trained, served = seen[name]
    assert trained == {1: 0.1, 4: None} | ({} if name == "ttl of a day" else {2: 0.2})
    assert served == [0.1, 0.2, None, None]
PYTHON_SCRIPT
echo "as written"
