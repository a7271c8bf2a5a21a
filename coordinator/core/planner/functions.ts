/**
 * What the planner knows about DuckDB's functions: which are aggregates, which depend on row order, which can be
 * computed in two steps, and which no model may call. A test compares the names with the engine's own list.
 */

/** Every aggregate of the pinned DuckDB (functions that only exist as windows are not here). */
export const aggregateNames: ReadonlySet<string> = new Set([
  ..."any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null".split(
    " ",
  ),
  ..."arg_max_nulls_last arg_min arg_min_null arg_min_nulls_last argmax argmin array_agg avg bit_and".split(
    " ",
  ),
  ..."bit_or bit_xor bitstring_agg bool_and bool_or corr count count_if count_star countif covar_pop".split(
    " ",
  ),
  ..."covar_samp entropy favg first fsum group_concat histogram histogram_exact kahan_sum kurtosis".split(
    " ",
  ),
  ..."kurtosis_pop last list listagg mad max max_by mean median min min_by mode product quantile".split(
    " ",
  ),
  ..."quantile_cont quantile_disc regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope".split(
    " ",
  ),
  ..."regr_sxx regr_sxy regr_syy reservoir_quantile sem skewness stddev stddev_pop stddev_samp".split(
    " ",
  ),
  ..."string_agg sum sum_no_overflow sumkahan var_pop var_samp variance".split(" "),
]);

/** Aggregates whose answer is a value of whichever row came first: answered by the smallest value instead. */
export const anyRowAggregates: ReadonlySet<string> = new Set([
  "any_value",
  "arbitrary",
  "first",
  "last",
]);

/** Aggregates whose answer follows the order of rows: always given a total order. */
export const orderedAggregates: ReadonlySet<string> = new Set([
  ..."first last any_value arbitrary list array_agg string_agg group_concat listagg mode".split(
    " ",
  ),
  ..."arg_min arg_max argmin argmax min_by max_by arg_min_null arg_max_null".split(" "),
  ..."arg_min_nulls_last arg_max_nulls_last".split(" "),
]);

/** Window functions whose answer follows the order of rows among equals. */
export const orderedWindows: ReadonlySet<string> = new Set([
  "WINDOW_ROW_NUMBER",
  "WINDOW_FIRST_VALUE",
  "WINDOW_LAST_VALUE",
  "WINDOW_NTH_VALUE",
  "WINDOW_LEAD",
  "WINDOW_LAG",
  "WINDOW_NTILE",
  "WINDOW_FILL",
]);

/** Functions that give several rows or none for one. */
export const rowMakers: ReadonlySet<string> = new Set([
  "unnest",
  "unlist",
  "generate_subscripts",
  "regexp_split_to_table",
]);

/** Read as the run's logical time: `now()` and friends. */
export const timestampNow: ReadonlySet<string> = new Set([
  "now",
  "get_current_timestamp",
  "current_timestamp",
  "transaction_timestamp",
]);
export const dateNow: ReadonlySet<string> = new Set(["current_date", "today"]);
export const localNow: ReadonlySet<string> = new Set(["localtimestamp", "current_localtimestamp"]);
const timeNow = "current_time get_current_time localtime current_localtime ago".split(" ");

/** Names that the grammar reads as columns although they are functions. */
export const keywordFunctions: ReadonlySet<string> = new Set([
  "current_date",
  "current_timestamp",
  "localtimestamp",
  ...timeNow,
]);

const random = "random uuid gen_random_uuid uuidv4 uuidv7 setseed nextval currval".split(" ");
const approximate = "approx_count_distinct approx_quantile approx_top_k reservoir_quantile".split(
  " ",
);
const session = [
  ..."current_setting current_database current_schema current_schemas current_user user session_user".split(
    " ",
  ),
  ..."current_catalog current_query current_query_id current_connection_id current_transaction_id".split(
    " ",
  ),
  ..."txid_current in_search_path version pg_postmaster_start_time stats".split(" "),
  ..."add_parquet_key write_log sleep_ms query query_table json_execute_serialized_sql".split(" "),
];
const aggregateMacros =
  "geomean geometric_mean wavg weighted_avg json_group_array json_group_object json_group_structure".split(
    " ",
  );
const environment = "getenv getvariable current_setting".split(" ");

/** Why a function may not be called: clause-ready text with a way out; undefined when it may. */
export function forbiddenFunction(name: string): string | undefined {
  if (random.includes(name)) {
    return "gives other values on every attempt, so a re-run would not give the same rows; derive the value from columns, e.g. hash(…)";
  }
  if (approximate.includes(name)) {
    return "is approximate and depends on how rows are spread over tasks; use the exact count(DISTINCT …), quantile_cont(…) or GROUP BY with LIMIT";
  }
  if (aggregateMacros.includes(name)) {
    return "is a macro over aggregates; write them out, e.g. exp(avg(ln(x))), sum(x * w) / sum(w), string_agg(…)";
  }
  if (timeNow.includes(name)) {
    return "has no meaning for a day's run; use now() or current_date, which are the run's logical time";
  }
  if (environment.includes(name))
    return "reads the environment of the worker; write the value into the SQL";
  if (session.includes(name))
    return "reads or changes the session of the worker; models compute from columns only";
  if (
    /^(read_|parquet_|sniff_|glob$|duckdb_|pragma_|pg_|json_execute|load_|from_substrait)/.test(
      name,
    )
  ) {
    return "reads files or the catalogue of the worker; declare files as sources or dimensions of the job";
  }
  return undefined;
}
