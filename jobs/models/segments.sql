-- How many subscribers each segment has, by plan, and what they use.
SELECT
  segment,
  plan,
  count(*) AS subscribers,
  sum(sessions)::BIGINT AS sessions,
  sum(bytes) AS bytes,
  max(bytes) AS largest_bytes,
  avg(night_share) AS mean_night_share
FROM subscriber_segment
GROUP BY segment, plan
