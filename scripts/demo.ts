/**
 * `scripts/demo`: a real cluster, a generated day, the example job, its results; then everything stops again.
 * Text goes to standard output, with --json to standard error so that the summary is the only line there.
 */
import { DaymillClient } from "../client/client.ts";
import { stopClusterOf, writeClusterFile } from "../client/cluster-file.ts";
import { errorLines, exitCodeOf, exitCodes } from "../client/exit-codes.ts";
import { formatBytes, formatCount, formatTable } from "../client/format.ts";
import { type LocalCluster, startLocalCluster } from "../client/local-cluster.ts";
import { MemorySampler } from "../client/process-memory.ts";
import { showRun } from "../client/show-run.ts";
import { readArrowRows } from "../shared/adapters/arrow-rows.ts";
import { readJobBundle } from "../shared/adapters/job-file.ts";
import { type DaymillError, fail, fromUnknown } from "../shared/kernel/failure.ts";
import { type DemoOptions, demoOptions, demoUsage } from "./demo-options.ts";
import { summarise, summaryLines } from "./demo-summary.ts";
import { demoJob, prepareWork } from "./demo-work.ts";
import { type GenerateSummary, generate } from "./generate/generate.ts";
import { interruptible } from "./terminal.ts";

/** What is shown of the results: dataset, order, rows. */
const shown = [
  { title: "Top apps", dataset: "top_apps", orderBy: "bytes DESC", limit: 10 },
  { title: "Busiest cells", dataset: "cell_busy_hour", orderBy: "bytes DESC", limit: 10 },
  { title: "Segments", dataset: "segments", orderBy: "subscribers DESC", limit: 12 },
] as const;

const interrupt = interruptible();

async function main(): Promise<number> {
  const options = demoOptions(process.argv.slice(2));
  if (options === "help") {
    process.stdout.write(demoUsage);
    return exitCodes.ok;
  }
  prepareWork(options.work);
  const say = (line: string) => (options.json ? process.stderr : process.stdout).write(`${line}\n`);
  const executors = options.executors === 1 ? "1 executor" : `${options.executors} executors`;
  say(`starting a cluster of 2 coordinators and ${executors} in ${options.work}`);
  const { threads } = options;
  const cluster = await startLocalCluster({
    work: options.work,
    executors: options.executors,
    slots: options.slots,
    memoryBytes: options.memoryBytes,
    ...(options.keep ? { metricsPort: 0 } : {}),
    signal: interrupt,
    ...(threads === undefined ? {} : { threads }),
  });
  let keep = false;
  try {
    const code = await day(options, cluster, say);
    keep = options.keep && code === exitCodes.ok;
    if (keep) leaveRunning(options, cluster, say);
    return code;
  } finally {
    if (!keep) {
      await cluster.stop();
      await stopClusterOf(options.work);
    }
  }
}

async function day(
  options: DemoOptions,
  cluster: LocalCluster,
  say: (line: string) => void,
): Promise<number> {
  writeClusterFile(options.work, cluster);
  for (const { name, pid } of cluster.processes()) say(`  ${name.padEnd(16)} pid ${pid}`);
  const sampler = new MemorySampler(() => cluster.processes(), 250);
  const client = new DaymillClient({
    coordinators: cluster.coordinators.map(({ address }) => address),
  });
  try {
    const leader = await client.leader();
    say(`  with nats-server ${leader.natsVersion}, DuckDB ${leader.duckdbVersion}`);
    const made = await makeDay(options, cluster.storageRoot, say);
    const bundle = await readJobBundle(demoJob(options));
    const { planJson } = await client.explain({ bundle }, options.day);
    const { runId } = await client.submit({ bundle }, options.day);
    say(`\nsubmitted ${runId} to ${leader.address}`);
    const run = await showRun(client, runId, process.stderr, interrupt);
    if (run === undefined || interrupt.aborted) throw interrupted();
    sampler.sample();
    if (run.state === "committed") await showResults(client, options.day, say);
    const summary = summarise({
      run,
      planJson,
      executors: cluster.executors.map(({ id }) => id),
      pids: Object.fromEntries(cluster.processes().map(({ name, pid }) => [name, pid])),
      made,
      storageRoot: cluster.storageRoot,
      peakMemory: sampler.peaks(),
      totalPeakPssBytes: sampler.totalPssBytes(),
      natsVersion: leader.natsVersion,
      duckdbVersion: leader.duckdbVersion,
    });
    say("");
    for (const line of summaryLines(summary, run)) say(line);
    if (!summary.ok) say(`logs: ${cluster.logs}`);
    const { natsUrl, coordinators } = cluster;
    const reach = { coordinators: coordinators.map(({ address }) => address), natsUrl };
    if (options.json) process.stdout.write(`${JSON.stringify({ ...summary, ...reach })}\n`);
    return summary.ok ? exitCodes.ok : exitCodes.runFailed;
  } finally {
    sampler.stop();
    client.close();
  }
}

async function makeDay(
  options: DemoOptions,
  root: string,
  say: (line: string) => void,
): Promise<GenerateSummary> {
  say(`\nmaking ${formatCount(options.rows)} records of ${options.day}`);
  const { rows, day, gzip, skew, malformedShare, seed } = options;
  const made = await generate({
    ...{ root, day, rows, gzip, skew, malformedShare, seed },
    progress: () => {
      if (interrupt.aborted) throw interrupted();
    },
  });
  say(`  ${made.files} files, ${formatBytes(made.bytes)}, in ${made.seconds.toFixed(1)} s`);
  return made;
}

async function showResults(
  client: DaymillClient,
  day: string,
  say: (line: string) => void,
): Promise<void> {
  for (const { title, dataset, orderBy, limit } of shown) {
    const { columns, rows } = await readArrowRows(client.read(dataset, day, { orderBy, limit }));
    say(`\n${title} (${dataset})`);
    const { isTTY, columns: lineMax } = process.stdout;
    const fitting = isTTY === true && lineMax > 0 ? { lineMax } : {};
    for (const line of formatTable(columns, rows, fitting)) say(line);
  }
}

function leaveRunning(
  options: DemoOptions,
  cluster: LocalCluster,
  say: (line: string) => void,
): void {
  const { coordinators, metrics = [] } = writeClusterFile(options.work, cluster);
  cluster.release();
  const daymill = "node dist/client/main.js";
  say(
    [
      "",
      "the cluster stays up; try:",
      `  export DAYMILL_COORDINATORS=${coordinators.join(",")} DAYMILL_NATS=${cluster.natsUrl}`,
      `  ${daymill} runs`,
      `  ${daymill} result app_daily --day ${options.day} --order-by "dl_bytes DESC" --limit 5`,
      `  ${daymill} submit ${demoJob(options)} --day ${options.day} --rerun --wait`,
      ...metrics.map((place) => `  curl -s http://${place}/metrics`),
      `stop it with:`,
      `  ${daymill} down --work ${options.work}`,
    ].join("\n"),
  );
}

function interrupted(): DaymillError {
  return fail("cancelled", "interrupted; everything is stopped");
}

try {
  process.exitCode = await main();
} catch (error) {
  const failure = fromUnknown(error);
  for (const line of errorLines(failure)) process.stderr.write(`${line}\n`);
  process.exitCode = exitCodeOf(failure.code);
}
