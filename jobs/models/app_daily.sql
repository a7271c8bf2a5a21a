-- Each app's day. The byte sums stay DECIMAL(38,0): they may outgrow BIGINT over a big network.
SELECT
  app_id,
  coalesce(apps.app, 'unknown') AS app,
  coalesce(apps.category, 'unknown') AS category,
  count(*) AS sessions,
  count(DISTINCT msisdn) AS subscribers,
  sum(ul_bytes) AS ul_bytes,
  sum(dl_bytes) AS dl_bytes,
  avg(dur_ms) AS mean_session_ms,
  stddev_samp(dl_bytes) AS dl_bytes_deviation
FROM ipdr
LEFT JOIN apps USING (app_id)
GROUP BY ALL
