-- Read the tables of a run with DuckDB, in the run folder:
--
--     cd runs/ml-100k && duckdb < ../../docs/examples/read_tables.sql

-- The most popular items.
SELECT title, count(*) AS interactions
FROM 'interactions.parquet' JOIN 'items.parquet' USING (item_id)
GROUP BY item_id, title
ORDER BY interactions DESC, item_id
LIMIT 5;

-- What the retriever proposes to the first user, best first, with the item held out for test marked.
SELECT position, round(score, 2) AS score, title, item_id = label AS held_out
FROM (
    SELECT label, unnest(items) AS item_id, unnest(scores) AS score, unnest(range(1, len(items) + 1)) AS position
    FROM 'candidates.parquet'
    WHERE split = 'test' AND user_id = 1
) JOIN 'items.parquet' USING (item_id)
ORDER BY position
LIMIT 5;

-- Recall of the candidate lists. At k = the lists' length it is the one in metrics.parquet.
SELECT split, round(avg(list_contains(items, label)::INT), 4) AS recall
FROM 'candidates.parquet'
GROUP BY split
ORDER BY split;
