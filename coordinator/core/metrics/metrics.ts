/**
 * What a coordinator tells those who scrape it, as values: a pure function of its state between two steps. A standby tells
 * that it is one, and nothing that only the leader knows. It costs no pass over tasks: what is counted is kept counted,
 * and days are as the desk judged them last.
 */
import type { Metric, MetricSample, ProcessFigures } from "../../../shared/kernel/metric.ts";
import type { Instant } from "../../../shared/kernel/time.ts";
import { isOverdue } from "../leadership.ts";
import type { CoordinatorState } from "../state.ts";
import { alertSamples } from "./alert-samples.ts";
import { clusterSamples } from "./cluster-samples.ts";
import { declared, type MetricName } from "./declared.ts";
import { jobSamples } from "./job-samples.ts";
import type { Samples, SamplesOfEvery, SamplesOfLeader } from "./samples.ts";

/** In the order of their declaration; what is not known at the moment is left out. */
export function metricsOf(
  state: CoordinatorState,
  at: Instant,
  { version, ...own }: ProcessFigures,
): Metric[] {
  const { role, config, epochSeen } = state;
  // A leader that stood still does not know yet that it leads no more.
  const isLeader = role.kind === "leader" && !isOverdue(state, at);
  const every: SamplesOfEvery = {
    daymill_build_info: [[{ version, duckdb: config.duckdb }, 1]],
    daymill_leader: isLeader ? 1 : 0,
    daymill_epoch: role.kind === "leader" ? role.epoch : epochSeen,
    process_start_time_seconds: own.startedMs / 1_000,
    process_cpu_seconds_total: own.cpuMs / 1_000,
    process_resident_memory_bytes: own.residentBytes,
    process_heap_used_bytes: own.heapUsedBytes,
    process_event_loop_busy_seconds_total: own.busyMs / 1_000,
  };
  const samples: Partial<Samples> = isLeader ? { ...every, ...ofLeader(state) } : every;
  return (Object.keys(declared) as MetricName[]).flatMap((name) => {
    const found = samples[name];
    return found === undefined ? [] : [{ name, ...declared[name], samples: listed(found) }];
  });
}

/** The compiler sees that none that is declared is missing. */
function ofLeader(state: CoordinatorState): SamplesOfLeader {
  return { ...clusterSamples(state), ...jobSamples(state), ...alertSamples(state) };
}

function listed(
  found: number | readonly (readonly [MetricSample["labels"], number])[],
): readonly MetricSample[] {
  if (typeof found === "number") return [{ labels: {}, value: found }];
  return found.map(([labels, value]) => ({ labels, value }));
}
