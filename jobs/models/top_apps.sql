-- The 20 apps that moved the most bytes.
SELECT
  app_id,
  app,
  category,
  subscribers,
  ul_bytes + dl_bytes AS bytes
FROM app_daily
ORDER BY bytes DESC, app_id
LIMIT 20
