-- What each subscriber used, by app category and hour.
SELECT
  msisdn,
  coalesce(apps.category, 'unknown') AS category,
  date_trunc('hour', make_timestamp(start_ms * 1000)) AS hour,
  count(*) AS sessions,
  sum(ul_bytes)::BIGINT AS ul_bytes,
  sum(dl_bytes)::BIGINT AS dl_bytes,
  sum(dur_ms)::BIGINT AS dur_ms
FROM ipdr
LEFT JOIN apps USING (app_id)
GROUP BY ALL
