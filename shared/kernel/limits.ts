/**
 * Every bound of the system, with its unit in its name. Numbers like these live here and, for days, in limits-days.ts.
 * Relations between them are asserted once, at load.
 */
import { assert } from "./assert.ts";
import { alertLimits } from "./limits-alerts.ts";
import { channelLimits } from "./limits-channels.ts";
import { dayLimits } from "./limits-days.ts";
import { metricLimits } from "./limits-metrics.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

export const limits = {
  // --- leadership
  /** How often a coordinator looks at its clock. */
  tickEveryMs: 100,
  /** How often the leader renews. */
  renewEveryMs: 500,
  /** A leader without an acknowledged renewal for this long steps down by itself. */
  stepDownAfterMs: 2_000,
  /** A standby that saw no renewal for this long tries to lead. */
  leaseExpiresMs: 3_000,
  /** Spread of candidates, derived from their ids: fewer lost races for an epoch. */
  candidateJitterMsMax: 400,
  // --- executors
  heartbeatEveryMs: 500,
  /** An executor silent for this long is lost. */
  executorLostMs: 5_000,
  /** A lost executor is listed for this long, then forgotten. */
  lostExecutorShownMs: 600_000,
  /** An attempt that its executor's heartbeats have not named for this long is not running there. */
  attemptMissingMs: 3_000,
  executorsMax: 1_000,
  slotsPerExecutorMax: 64,
  // --- slow tasks, lanes
  /** How often the leader looks for slow attempts. */
  slowLookEveryMs: 1_000,
  /** An attempt is slow after this many times the median of its stage's finished ones … */
  slowFactor: 2,
  /** … and never before this long. */
  slowAfterMsMin: 5_000,
  /** … and only when this share of the stage's tasks is done: before that there is little to compare with. */
  slowStageDoneShare: 0.75,
  /** … or, at any time, when it has told the same figures for this long: what reads one file tells them file by file. */
  standsStillMs: 600_000,
  /** Share of all slots that second attempts may take up; one is always allowed. */
  secondAttemptsSlotsShare: 0.25,
  /** Share of all slots that runs which are not live may take while a live run is active; one slot at least. */
  backlogSlotsShare: 0.25,
  // --- executors that keep failing
  /** Different tasks whose attempts failed on one executor, within the window, before it is excluded. */
  exclusionTasksFailed: 3,
  exclusionWindowMs: 120_000,
  /** Outcomes remembered of each executor for that judgement. */
  outcomesKeptPerExecutor: 64,
  /** The first exclusion; each further one takes twice as long. */
  exclusionMsMin: 60_000,
  exclusionMsMax: 900_000,
  /** Share of the executors that may be excluded at a time; never all. */
  exclusionShareMax: 0.5,
  // --- runs
  runsLiveMax: 64,
  runsKeptInMemory: 500,
  tasksPerStageMax: 100_000,
  /** One producer as its reader is told of it, as JSON: all that a stage reads travel in one gRPC message. */
  winnerBytes: 150,
  /** Left in that message for the work itself. */
  workBytesReserved: MiB,
  attemptsPerTaskMax: 4,
  /** Counted failures of one task after which its run fails even if only one executor could try it. */
  failuresPerTaskMax: 8,
  /** Input files that an error of a task, or a word about duplicates of a source, names at most. */
  filesNamedMax: 10,
  /** Input files that an error about too many rejected lines names at most. */
  rejectFilesNamedMax: 3,
  /** Attempts of one task for whatever reason, also those that use up no budget. */
  attemptsPerTaskTotalMax: 100,
  /** Attempts of one task that may end because rows in its exchange were missing: others run again each time. */
  exchangeShortsPerTaskMax: 1_000,
  /** Attempts of one task that may end because storage or the exchange took nothing: a day of waiting. */
  storageRefusalsPerTaskMax: 10_000,
  /** Producers that one reader names as missing at once; the others are found by its next attempt. */
  shortProducersNamedMax: 100,
  /** Tasks named and started in one turn of the coordinator; the next turn goes on. */
  startsPerStepMax: 64,
  retryBackoffMsMin: 250,
  retryBackoffMsMax: 10_000,
  filesPerSplitMax: 500,
  filesPerDayMax: 200_000,
  modelsPerJobMax: 200,
  columnsPerTableMax: 1_000,
  /** Forms of one source's columns over time; a job is planned for each of them when it is new. */
  columnVersionsMax: 32,
  /** Rounds of questions to the engine while a job is planned; each answers all that the planner can name, a plan takes about ten. */
  planningRoundsMax: 1_000,
  /** More rows than this are not kept as a top-n of raw data. */
  topRowsMax: 1_000_000,
  jobBundleBytesMax: 4 * MiB,
  sqlBytesMax: 256 * KiB,
  // --- exchange
  /** Arrow payload of one exchange message; NATS' default max_payload is 1 MiB with headers. */
  exchangeMessageBytesMax: 900 * KiB,
  /** Room for headers beside a full payload. */
  exchangeHeaderBytesMax: 100 * KiB,
  /** Calls of the leader to the server at a time, while streams are made, dropped or looked at. */
  exchangeAdminCallsMax: 8,
  /** Silence after which a consumer is taken for lost and made anew. */
  readSilenceMs: 3_000,
  /** Plain bytes gathered for one message before compression; also bounds what a reader unpacks at a time. */
  exchangeRawBytesMax: 4 * MiB,
  /** Rows of one Arrow batch: large enough that per-batch costs vanish. */
  arrowBatchRowsMax: 65_536,
  /** One try of a publish waits this long for its acknowledgement. */
  publishAckTimeoutMs: 5_000,
  /** Transient failures of one message are retried for this long, e.g. while nats-server restarts. */
  publishRetryMs: 60_000,
  /** A reader that hears nothing for this long although messages are due gives up. */
  readStallMs: 60_000,
  /** Unacknowledged bytes of one publisher: the only back-pressure there is (the client buffers without bound). */
  publishWindowBytesMax: 16 * MiB,
  /** Messages asked for at a time by one reader: 16 × 900 KiB stays below the server's 64 MiB per connection. */
  readWindowMessagesMax: 16,
  partitionsMax: 4_096,
  groupsMax: 64,
  /** Small exchanges that one stage reads together: a task holds its group of each. */
  mergedExchangesMax: 8,
  exchangeBytesBudget: 50 * 1024 * MiB,
  /** Kept free in NATS for journal and registry: a server at its limit takes nothing from anybody. */
  reserveBytes: 16 * MiB,
  /** Whoever writes rows looks whether it is given away: before the first, and after so long or so many bytes. */
  roomLookEveryMs: 100,
  roomLookEveryBytes: 4 * MiB,
  /** It is tried to be made again this often at least; at first at once. */
  reserveRetryMsMax: 30_000,
  /** An exchange whose streams can't be reached for this long, while NATS itself answers, is made anew. */
  exchangeUnreachableMs: 120_000,
  /** What an attempt wrote in vain is removed this long after it was told to stop: by then it has. */
  purgeAfterMs: 5_000,
  /** How often the leader looks at what the exchange and the staging folders hold. */
  spaceLookEveryMs: 15_000,
  /** The same after a task found the exchange full. */
  spaceLookWhenFullMs: 1_000,
  /** All kept streams are looked through for rows that are nobody's this often, a few at a time with a pause between. */
  leftoversRoundEveryMs: 600_000,
  leftoversLookEveryMs: 5_000,
  leftoversStreamsPerLookMax: 16,
  /** Attempts removed from one stream after one look; the next look finds the rest. */
  leftoversRemovedMax: 100,
  /** Staging folders removed after one look; the next look finds the rest. */
  stagingSweptMax: 100,
  // --- old files on storage
  /** Superseded revisions of a day that stay beside the committed one. */
  retentionRevisionsDefault: 3,
  retentionRejectsDaysDefault: 30,
  retentionLateDaysDefault: 90,
  /** A day is looked at this long after one of its runs has ended. */
  retentionAfterRunMs: 5_000,
  /** All days are looked at this often, a few at a time with a pause between. */
  retentionRoundEveryMs: 3_600_000,
  retentionLookEveryMs: 5_000,
  retentionDaysPerLookMax: 50,
  /** Removals asked for after one look; the next one goes on where it stopped. */
  retentionDropsPerLookMax: 100,
  /** Reports on what goes that are made at a time, things that one part of a report names, removals that it asks for. */
  gcAtOnceMax: 4,
  gcItemsShownMax: 5_000,
  gcDropsMax: 1_000,
  ...dayLimits,
  ...alertLimits,
  ...channelLimits,
  ...metricLimits,
  // --- NATS
  /** How long a process tries to reach NATS at start. */
  natsConnectMs: 10_000,
  /** One request to JetStream. Shorter than stepDownAfterMs, so that a renewal that hangs can be tried again. */
  natsRequestMs: 1_500,
  // --- journal
  /** A record that was refused more than once is tried again this often at least; the first time at once. */
  appendRetryMsMax: 1_000,
  journalMessageBytesMax: 512 * KiB,
  /** Records asked for side by side: 32 of at most 512 KiB stay well below the 64 MiB that a server keeps for one connection. */
  journalReadWindowRecords: 32,
  /** Snapshots that stay: the newest may be torn, the one before it never is. */
  snapshotsKept: 3,
  /** Facts folded since the last snapshot before a new one is written. */
  snapshotEveryRecords: 5_000,
  /** … or as soon as the records since then have this many characters: whoever takes over reads them all … */
  snapshotEveryUnits: MiB,
  /** … unless the last snapshot was longer than this: writing it holds the leader up, and reading it takes longer. */
  snapshotUnitsEagerMax: 16 * MiB,
  /** Characters that are hashed and written at a time: the leader has other things to do in between. */
  snapshotPartUnits: MiB,
  /** Records asked for at a time when the journal is folded. */
  journalReadRecordsMax: 1_000,
  heapGrowthPercentMax: 75, // A coordinator's heap is collected after it grew by this share of what is in use.
  // --- mailboxes and wire
  mailboxMessagesMax: 10_000,
  grpcMessageBytesMax: 16 * MiB,
  /** Characters of a gRPC status text: it travels in headers of limited size … */
  grpcStatusCharsMax: 1_000,
  /** … and of the whole message, which is in the trailer. */
  grpcFailureCharsMax: 16_000,
  /** A client gives one address up after this long, so that a hung coordinator does not use up the whole deadline … */
  clientAttemptMs: 5_000,
  /** … and after this long where the job is planned: that looks at every input file of a day. */
  clientPlanningAttemptMs: 20_000,
  /** A process of a local cluster says within this time that it is ready: a slow machine elects a leader first. */
  localReadyMs: 60_000,
  grpcDeadlineMs: 30_000,
  eventBytesMax: 64 * KiB,
  /** Rows that `daymill result` prints at most: it holds them all to align columns. */
  resultRowsMax: 100_000,
  /** What a stage is called in progress and status; the full list of what it makes is beside it. */
  stageLabelCharactersMax: 40,
  /** A takeover takes less than five seconds: a command that found no leader for longer says so. */
  commandPatienceMs: 12_000,
  /** The same where nothing listens at any address: there is nobody to wait for. */
  commandUnreachedMs: 1_500,
  /** How long a command tries to reach NATS. */
  commandNatsMs: 2_000,
  /** WatchRun streams of one coordinator. */
  watchersMax: 1_000,
  /** A watcher is told of changes at most this often … */
  watchEveryMsMin: 250,
  /** … and asked for by itself this often: counters move without a change being announced. */
  watchEveryMsMax: 1_000,
  /** ReadDataset streams that one coordinator serves at a time, and the memory of each. */
  readsMax: 2,
  readMemoryBytes: 512 * MiB,
  /** Arrow bytes of one ReadDataset reply. */
  readReplyBytesMax: 4 * MiB,
  /** Attach stream: messages not yet written to one executor before its attachment is dropped. */
  attachBacklogMessagesMax: 1_000,
  // --- reading
  lineBytesMax: 2_000_000,
  rejectLineBytesKept: 4 * KiB,
  /** Rejected lines of one file that are looked into and kept; more are counted, and the rejects file says so. */
  rejectLinesKeptPerFile: 100_000,
  /** Bytes of a file that are looked into at a time for rejected lines. */
  rejectBlockBytes: 8 * MiB,
  /** Bad lines noted at a time: the engine spends about 1 KB outside its memory limit on each wrong field. */
  rejectLinesPerBlockMax: 2_000,
  /** What one gzip file may unpack to; a larger one would fill the worker's disk. */
  plainFileBytesMax: 64 * 1024 * MiB,
  /** Body of one record batch of an Arrow file, stored and unpacked, and all its dictionaries: they are held in memory. */
  arrowBodyBytesMax: 128 * MiB,
  /** Metadata of one Arrow message, and a file's footer. */
  arrowMetadataBytesMax: 16 * MiB,
  /** Fields of an Arrow schema, nested ones included. */
  arrowFieldsMax: 20_000,
  /** Rows at a time whose dictionary indexes are replaced by their texts; a multiple of 8. */
  arrowPieceRows: 2_048,
  /** Loaded bytes of an Arrow file before they are checked, cast and stored. */
  arrowLoadBytesMax: 64 * MiB,
  /** Read buffer of a CSV scan; DuckDB's own default is 16 lines of the largest size, twice per thread. */
  scanBufferBytes: 8_000_000,
  /** Files that one scan reads together, and their plain bytes: opening a query costs as much as 0.5 MB of lines. */
  scanBatchFilesMax: 100,
  scanBatchBytesMax: 64 * MiB,
  /** Share of a worker's memory that its engine may use; the rest is for exchange buffers. */
  engineMemoryShare: 0.75,
  /** The same on the next try after out-of-memory: with one thread the buffers beside it are few. */
  engineMemoryShareRetry: 0.9,
  // --- processes
  /**
   * Young generation of a coordinator's heap, MiB, given when it is started: what it decides lives about as long as one
   * round of the journal, and a small one copies all of it twice.
   */
  coordinatorYoungMiB: 32,
  // --- workers
  workerMemoryBytesDefault: 1024 * MiB,
  workerMemoryBytesMin: 128 * MiB,
  workerThreadsMax: 256,
  workerCancelGraceMs: 2_000,
  workerNice: 10,
  /** The same while it works for a run that is not live. */
  backlogNice: 19,
  /** A worker that is not ready by then is killed and started again. */
  workerStartMs: 30_000,
  /** Pause before a worker that failed to start is started again. */
  workerRestartAfterMs: 500,
  /** Failed starts in a row, over all slots, after which the executor gives up. */
  workerStartsFailedMax: 5,
  /** Attempts that one worker process runs before a fresh one takes its slot: peak memory must not creep. */
  attemptsPerWorkerMax: 50,
  /** JavaScript heap of one worker; DuckDB's memory is beside it. */
  workerHeapMiB: 256,
  /** libuv pool of one worker: DuckDB's calls and fsync share it. */
  workerPoolThreads: 8,
  /** Loaded dimensions that one executor keeps for its workers on its own disk; what was unused for longest goes. */
  dimensionCacheBytesMax: 4 * 1024 * MiB,
  dimensionCacheEntriesMax: 64,
  progressEveryMs: 250,
  /** An attempt's outcome as JSON; it travels in one gRPC message. */
  outcomeBytesMax: 15 * MiB,
  // --- the executor's supervisor
  executorTickMs: 100,
  leaderPollMs: 1_000,
  /** Hello sent, no welcome: the link is given up after this long. */
  attachTimeoutMs: 5_000,
  attachRetryMinMs: 100,
  attachRetryMaxMs: 2_000,
  /** The same while the coordinator that is dialled is about to lead: work waits for nothing else then. */
  attachRetryElectionMs: 400,
  /** Failures in a row after which an older leader's sign of life is believed, too. */
  attachFailuresDoubted: 5,
  /** A link that lasted this long has worked: the next one that breaks is dialled again without a long pause. */
  attachSteadyMs: 5_000,
  /** An unacknowledged report is sent again on the same link after this long. */
  reportResendMs: 5_000,
  reportsKeptMax: 1_000,
  /** Finished attempts remembered so that a repeated command never runs one twice. */
  settledAttemptsKept: 1_000,
  /** An executor told to drain lets attempts run on for this long, then hands them back. */
  drainFinishMs: 60_000,
  /** The same after a signal: whoever sent it waits for `shutdownGraceMs` or little more. */
  drainOnSignalMs: 2_000,
  /** Wait for the acknowledgement of the last reports before leaving. */
  drainReportMs: 2_000,
  // --- shutdown
  shutdownGraceMs: 5_000,
} as const;

assert(limits.renewEveryMs * 3 < limits.stepDownAfterMs, "a leader may miss two renewals");
assert(limits.natsRequestMs < limits.stepDownAfterMs, "a hanging renewal is known in time");
assert(
  limits.stepDownAfterMs < limits.leaseExpiresMs,
  "the old leader stops before a new one starts",
);
assert(limits.leaseExpiresMs < 5_000, "takeover stays under five seconds");
assert(
  limits.heartbeatEveryMs * 4 < limits.executorLostMs,
  "an executor may miss three heartbeats",
);
assert(
  limits.tasksPerStageMax * limits.winnerBytes <
    limits.grpcMessageBytesMax - limits.workBytesReserved,
  "a reader can be told of the largest stage, with room for its work",
);
assert(
  limits.attemptsPerTaskMax < limits.failuresPerTaskMax &&
    limits.failuresPerTaskMax < limits.attemptsPerTaskTotalMax,
  "a task that counts failures is given up before one that does not",
);
assert(
  limits.exclusionShareMax < 1 && limits.exclusionTasksFailed <= limits.outcomesKeptPerExecutor,
  "some executor is always left, and what excludes one is remembered",
);
assert(
  limits.backlogSlotsShare > 0 && limits.backlogSlotsShare <= 0.5,
  "a backlog has a part of the slots, and live runs no smaller one",
);
assert(limits.workerNice <= limits.backlogNice, "a worker's priority can only be lowered");
assert(limits.checkPointsMax * 7 < limits.checkDaysKept, "what days are compared with is kept");
assert(
  limits.exchangeMessageBytesMax < 1024 * KiB,
  "an exchange message fits NATS' default payload",
);
assert(
  limits.readWindowMessagesMax * limits.exchangeMessageBytesMax <= 32 * MiB,
  "a read window stays below half of the server's pending limit",
);
assert(
  limits.scanBufferBytes >= 2 * limits.lineBytesMax,
  "a scan buffer holds the longest line with room to spare",
);
assert(
  limits.lineBytesMax < limits.rejectBlockBytes,
  "a block that is looked into holds the longest line",
);
