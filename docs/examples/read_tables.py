"""Read the tables of a run with pandas.

    python docs/examples/read_tables.py runs/ml-100k

Needs pandas and pyarrow. The tables are plain Parquet; nothing of mllm4rec is needed.
"""

import sys
from pathlib import Path

import pandas as pd

run = Path(sys.argv[1])
items = pd.read_parquet(run / "items.parquet").set_index("item_id")
interactions = pd.read_parquet(run / "interactions.parquet")
sequences = pd.read_parquet(run / "sequences.parquet").set_index("user_id")
candidates = pd.read_parquet(run / "candidates.parquet")

print("The most popular items")
popular = interactions.groupby("item_id").size().sort_values(ascending=False, kind="stable").head(5)
for item, count in popular.items():
    print(f"  {count:6d}  {items.title[item]}")

user = sequences.index[0]
print(f"The latest items of user {user}, the one held out for test last")
history = [*sequences.train[user][-3:], sequences.val[user], sequences.test[user]]
for item in history:
    print(f"  {items.title[item]}")

proposed = candidates.query("user_id == @user and split == 'test'").iloc[0]
print(f"What the retriever proposes to user {user}")
for item, score in list(zip(proposed["items"], proposed.scores))[:5]:
    print(f"  {score:6.2f}  {items.title[item]}{'  (held out)' if item == proposed.label else ''}")

print("Recall of the candidate lists")
hit = [label in proposed for label, proposed in zip(candidates.label, candidates["items"])]
for split, recall in candidates.assign(hit=hit).groupby("split").hit.mean().items():
    print(f"  {split:4s}  {recall:.4f}")
