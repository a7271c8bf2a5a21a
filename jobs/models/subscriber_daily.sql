-- One profile per subscriber: how much, how often, how varied, how nightly, how far from home.
SELECT
  msisdn,
  count(*) AS sessions,
  sum(ul_bytes)::BIGINT AS ul_bytes,
  sum(dl_bytes)::BIGINT AS dl_bytes,
  max(dur_ms) AS longest_session_ms,
  count(DISTINCT app_id) AS apps,
  count(DISTINCT cell) AS cells,
  count(DISTINCT start_ms // 3600000) AS active_hours,
  count(*) FILTER (WHERE start_ms // 3600000 % 24 < 6) / count(*) AS night_share,
  count(*) FILTER (WHERE plmn <> 40445) / count(*) AS roaming_share
FROM ipdr
GROUP BY msisdn
