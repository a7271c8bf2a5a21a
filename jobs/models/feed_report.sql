-- What each gateway delivered: the first thing to look at when a figure looks odd.
SELECT
  regexp_extract(file, 'gw=([0-9]+)', 1)::INTEGER AS gateway,
  count(*) AS files,
  sum(bytes)::BIGINT AS bytes,
  sum(lines)::BIGINT AS lines,
  sum("rows")::BIGINT AS records,
  sum(rejects)::BIGINT AS rejects,
  sum(blank)::BIGINT AS blank_lines,
  sum(outside_day)::BIGINT AS outside_day,
  min(first_event_ms) AS first_event_ms,
  max(last_event_ms) AS last_event_ms
FROM ipdr_files
GROUP BY gateway
