/** Bounds of alerts and of what is sent of them. A part of `limits` (limits.ts), through which they are used. */

export const alertLimits = {
  /** Alerts that are open at a time; above it the rest of a rule is one alert. */
  alertsOpenMax: 1_000,
  /** Alerts that one message tells in full; the others are counted. */
  alertsPerNoticeMax: 20,
  /** Length of each text of an alert. */
  alertTextCharactersMax: 1_000,
  /** Ended alerts that `daymill alerts` can show; those whose end some channel is still to be told come on top. */
  alertsEndedKept: 500,
  /** Messages that wait to be sent: the oldest of a channel that takes none go first, and that is an alert of its own. */
  noticesWaitingMax: 1_000,
  silencesMax: 200,
  /** How often the leader looks at what its rules find. */
  alertsEveryMs: 5_000,
  /** What is not found any more has ended after this long: what comes and goes is one alert. */
  alertHoldMs: 60_000,
  /** A new leader says nothing of executors before this: they dial in first. */
  alertSettleMs: 15_000,
  /** A change of leader is told for this long. */
  leaderChangedShownMs: 600_000,
  /** What is odd about a committed day is told for this long after its commit. */
  committedShownMs: 86_400_000,
  /** A failed day that is in no window is told for this long. */
  oldFailureShownMs: 604_800_000,
  /** Failing tries in a row after which a channel is said to fail. */
  channelFailuresMin: 3,
  /** The last runs that make a trend. */
  trendRuns: 3,
  /** Longest silence. */
  silenceMsMax: 30 * 86_400_000,
  /** One try to send, answer included. */
  sendMs: 20_000,
  /** Bytes of a receiver's answer that are read. */
  sendAnswerBytesMax: 64 * 1024,
  /** Pause before the second try; each further one takes twice as long, up to the longest. */
  sendRetryPauseMs: 5_000,
  sendRetryPauseMsMax: 900_000,
  /** A receiver that asks for more patience than this is asked again after this. */
  retryAfterMsMax: 3_600_000,
  /** How long a message is tried; then it is given up and said so on other channels. */
  noticeTriedMs: 86_400_000,
  /** Failing tries of the last ones at which a channel is left alone for a while, and for how long. */
  breakerFailuresShare: 0.5,
  breakerTriesMin: 5,
  breakerWindowMs: 300_000,
  breakerRestMs: 60_000,
} as const;
