-- The hour in which a cell carried the most bytes (the earliest, where two are equal).
SELECT
  cell,
  region,
  hour AS busy_hour,
  sessions,
  subscribers,
  ul_bytes + dl_bytes AS bytes
FROM cell_hourly
QUALIFY row_number() OVER (PARTITION BY cell ORDER BY ul_bytes + dl_bytes DESC, hour) = 1
