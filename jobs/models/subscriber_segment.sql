-- Each subscriber's segment of the day, for campaigns and care.
SELECT
  d.msisdn,
  coalesce(s.plan, 'unknown') AS plan,
  coalesce(s.customer_type, 'unknown') AS customer_type,
  CASE
    WHEN d.roaming_share > 0.5 THEN 'traveller'
    WHEN d.ul_bytes + d.dl_bytes >= 1000000000 THEN 'heavy'
    WHEN d.night_share > 0.4 AND d.sessions >= 10 THEN 'night'
    WHEN d.apps >= 60 THEN 'explorer'
    WHEN d.sessions < 5 THEN 'light'
    ELSE 'regular'
  END AS segment,
  d.sessions,
  d.ul_bytes + d.dl_bytes AS bytes,
  d.night_share
FROM subscriber_daily AS d
LEFT JOIN subscribers AS s ON s.msisdn = d.msisdn
