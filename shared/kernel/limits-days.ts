/** Bounds of days that run by themselves and of their checks. A part of `limits` (limits.ts), through which they are used. */

const MiB = 1024 * 1024;

export const dayLimits = {
  // --- days by themselves
  /** Days of the past that are kept whole where a job says nothing. */
  backlogDaysDefault: 7,
  /** Starts that one look into a job's calendar gives: a year of days and a little more. */
  calendarStartsMax: 400,
  /** Datasets of other jobs that a job waits for. */
  upstreamsPerJobMax: 100,
  /** Days of a dataset that a model reads, and datasets of which a job's models read several days. */
  historyDaysMax: 100,
  historyTablesPerJobMax: 8,
  /** Days without a revision that a run names; the others are counted. */
  historyDaysNamedMax: 10,
  /** How often the leader looks through the days of its jobs. */
  deskEveryMs: 1_000,
  /** A day that is not made, or whose input is waited for, is looked at this often, any other day of the window this often. */
  lookEveryMs: 10_000,
  lookWhenDoneEveryMs: 60_000,
  /** Days looked at at a time: each lists all files of a day. */
  looksAtOnceMax: 4,
  /** The calendar is asked this far ahead, and again this often; as far back as the last start lies, up to this. */
  calendarAheadMs: 2 * 86_400_000,
  calendarBackMsMax: 366 * 86_400_000,
  calendarEveryMs: 3_600_000,
  /** Days of a job's backlog that run at a time. */
  backlogRunsPerJobMax: 2,
  /** Days of a backfill, how many of them are under way at a time, and backfills of a job that are remembered. */
  backfillDaysMax: 400,
  backfillRunsMax: 8,
  backfillsKept: 10,
  /** Days that are mapped ahead at a time; splits of a source from which on less than a split's worth of bytes waits. */
  aheadRunsMax: 16,
  aheadSmallSplitsMax: 200,
  /** Runs of a day that may fail in a row, with the same input and job, for what counts. */
  dayRunsFailedMax: 3,
  /** Pause before the next one; each further one takes twice as long. */
  dayRetryPauseMs: 60_000,
  dayRetryPauseMsMax: 900_000,
  /** Days that are shown of a job, by themselves and at most. */
  backlogDaysShown: 14,
  backlogDaysShownMax: 400,
  /** Consumers of a job's datasets. */
  consumersPerJobMax: 50,
  /** Newest committed days of a job whose deliveries are acknowledged and shown. */
  deliveryDaysMax: 100,
  /** Revisions of a day that are remembered as shown, for acknowledgements that come late. */
  shownRevisionsMax: 8,
  /** Length of what somebody says about a day, of what a caller names a request by, and of the caller's own name. */
  reasonCharactersMax: 500,
  requestIdCharactersMax: 200,
  byCharactersMax: 200,
  // --- late files
  /** How often days before the window are looked at for files that came late, so many of them at a time … */
  lateLookEveryMs: 30_000,
  lateDaysPerLookMax: 5,
  /** … from the window back so many days; files of days before that are not found. */
  lateDaysBackMax: 90,
  /** Late files of a job that are remembered by name, the newest ones; all are counted. */
  lateFilesKept: 500,
  /** Late files of a day that one look tells of; the next one goes on. */
  lateFilesPerLookMax: 100,
  /** Clocks of file servers may lag so far behind the leader's: a file that is so much older may still be late. */
  lateClockSkewMs: 30_000,
  /** A file that has not changed for this long, and was the same in two looks, is taken for whole. */
  fileSettledMs: 30_000,
  /** One control file; it is held in memory. 200,000 files take some 40 MB. */
  controlFileBytesMax: 64 * MiB,
  /** Control files whose content is kept for the next look. */
  controlFilesKept: 16,
  /** Missing files that a verdict names; the others are counted. */
  missingFilesNamedMax: 100,
  // --- checks
  /** A check over rows that runs longer than this is stopped, and has failed. */
  checkMs: 600_000,
  checksPerJobMax: 500,
  /** Columns that a `unique` check names at most. */
  checkColumnsMax: 16,
  /** Earlier days of the same weekday that a figure is compared with, and how many there must be. */
  checkPointsMax: 8,
  checkPointsMin: 7,
  /** Newest days of a job whose figures are remembered: 26 of each weekday. */
  checkDaysKept: 182,
  /** What `rows` and `volume` allow where the job does not say: 60 % to 140 % of the median. */
  checkToleranceDefault: 0.4,
} as const;
