"""Reads Amazon 2014 metadata the usual way: eval on every line, a dict of dicts, a pandas DataFrame.

Prints seconds, CPU seconds, rows, bytes of text, and a digest of the fields that matter. For the benchmark's generated file only:
eval runs whatever a data file says.
"""

import gzip
import hashlib
import sys
import time

import pandas

start, cpu_start = time.perf_counter(), time.process_time()
rows, size = {}, 0
with (gzip.open if sys.argv[1].endswith(".gz") else open)(sys.argv[1], "rb") as lines:
    for line in lines:
        rows[len(rows)] = eval(line)
        size += len(line)
frame = pandas.DataFrame.from_dict(rows, orient="index")
seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start

digest = hashlib.sha256()
for row in frame[["asin", "title", "imUrl", "categories"]].itertuples(index=False):
    categories = list(dict.fromkeys(name for path in row.categories for name in path))
    digest.update("\t".join([row.asin, row.title, row.imUrl, *categories]).encode() + b"\n")
print(seconds, cpu, len(frame), size, digest.hexdigest())
