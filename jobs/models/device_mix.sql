-- Which devices are used on which radio network.
SELECT
  coalesce(devices.vendor, 'unknown') AS vendor,
  coalesce(devices.model, 'unknown') AS model,
  rat,
  count(*) AS sessions,
  count(DISTINCT msisdn) AS subscribers,
  sum(ul_bytes + dl_bytes)::BIGINT AS bytes
FROM ipdr
LEFT JOIN devices USING (tac8)
GROUP BY ALL
