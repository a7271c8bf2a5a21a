-- Heat of each cell by hour.
SELECT
  cell,
  coalesce(cells.region, 'unknown') AS region,
  date_trunc('hour', make_timestamp(start_ms * 1000)) AS hour,
  count(*) AS sessions,
  count(DISTINCT msisdn) AS subscribers,
  sum(ul_bytes)::BIGINT AS ul_bytes,
  sum(dl_bytes)::BIGINT AS dl_bytes
FROM ipdr
LEFT JOIN cells USING (cell)
GROUP BY ALL
