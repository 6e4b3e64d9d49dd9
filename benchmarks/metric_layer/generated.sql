-- Combine Aggregated Outputs
-- Write to DataTable
WITH sma_10001_cte AS (
  -- Read Elements From Semantic Model 'user_days'
  -- Metric Time Dimension 'date'
  SELECT
    DATE_TRUNC('day', date) AS metric_time__day
    , cell AS user_day__hub
    , person_key AS __people
  FROM main.user_days user_days_src_10000
)

SELECT
  COALESCE(subq_9.metric_time__day, subq_18.metric_time__day, subq_27.metric_time__day) AS metric_time__day
  , COALESCE(subq_9.user_day__hub, subq_18.user_day__hub, subq_27.user_day__hub) AS user_day__hub
  , MAX(subq_9.dau) AS dau
  , MAX(subq_18.wau) AS wau
  , MAX(subq_27.mau) AS mau
FROM (
  -- Join Self Over Time Range
  -- Select: ['__people', 'user_day__hub', 'metric_time__day']
  -- Select: ['__people', 'user_day__hub', 'metric_time__day']
  -- Aggregate Inputs for Simple Metrics
  -- Compute Metrics via Expressions
  -- Compute Metrics via Expressions
  SELECT
    subq_3.day AS metric_time__day
    , sma_10001_cte.user_day__hub AS user_day__hub
    , COUNT(DISTINCT sma_10001_cte.__people) AS dau
  FROM main.days subq_3
  INNER JOIN
    sma_10001_cte
  ON
    (
      sma_10001_cte.metric_time__day <= subq_3.day
    ) AND (
      sma_10001_cte.metric_time__day > subq_3.day - INTERVAL 1 day
    )
  GROUP BY
    subq_3.day
    , sma_10001_cte.user_day__hub
) subq_9
FULL OUTER JOIN (
  -- Join Self Over Time Range
  -- Select: ['__people', 'user_day__hub', 'metric_time__day']
  -- Select: ['__people', 'user_day__hub', 'metric_time__day']
  -- Aggregate Inputs for Simple Metrics
  -- Compute Metrics via Expressions
  -- Compute Metrics via Expressions
  SELECT
    subq_12.day AS metric_time__day
    , sma_10001_cte.user_day__hub AS user_day__hub
    , COUNT(DISTINCT sma_10001_cte.__people) AS wau
  FROM main.days subq_12
  INNER JOIN
    sma_10001_cte
  ON
    (
      sma_10001_cte.metric_time__day <= subq_12.day
    ) AND (
      sma_10001_cte.metric_time__day > subq_12.day - INTERVAL 7 day
    )
  GROUP BY
    subq_12.day
    , sma_10001_cte.user_day__hub
) subq_18
ON
  (
    subq_9.user_day__hub = subq_18.user_day__hub
  ) AND (
    subq_9.metric_time__day = subq_18.metric_time__day
  )
FULL OUTER JOIN (
  -- Join Self Over Time Range
  -- Select: ['__people', 'user_day__hub', 'metric_time__day']
  -- Select: ['__people', 'user_day__hub', 'metric_time__day']
  -- Aggregate Inputs for Simple Metrics
  -- Compute Metrics via Expressions
  -- Compute Metrics via Expressions
  SELECT
    subq_21.day AS metric_time__day
    , sma_10001_cte.user_day__hub AS user_day__hub
    , COUNT(DISTINCT sma_10001_cte.__people) AS mau
  FROM main.days subq_21
  INNER JOIN
    sma_10001_cte
  ON
    (
      sma_10001_cte.metric_time__day <= subq_21.day
    ) AND (
      sma_10001_cte.metric_time__day > subq_21.day - INTERVAL 30 day
    )
  GROUP BY
    subq_21.day
    , sma_10001_cte.user_day__hub
) subq_27
ON
  (
    COALESCE(subq_9.user_day__hub, subq_18.user_day__hub) = subq_27.user_day__hub
  ) AND (
    COALESCE(subq_9.metric_time__day, subq_18.metric_time__day) = subq_27.metric_time__day
  )
GROUP BY
  COALESCE(subq_9.metric_time__day, subq_18.metric_time__day, subq_27.metric_time__day)
  , COALESCE(subq_9.user_day__hub, subq_18.user_day__hub, subq_27.user_day__hub)
