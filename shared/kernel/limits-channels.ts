/**
 * Bounds of what is sent to people: what each channel takes, measured as the channel measures it, and sizes of the file
 * that names them. A part of `limits` (limits.ts), through which they are used.
 */

export const channelLimits = {
  alertFileBytesMax: 256 * 1024,
  channelsMax: 50,
  alertRoutesMax: 200,
  /** Signing secrets of one webhook: the new one and those that receivers may still know. */
  signingSecretsMax: 4,
  headersPerChannelMax: 10,
  recipientsMax: 50,
  /** A secret's file or variable. */
  secretBytesMax: 8 * 1024,
  /** What a receiver answered, as far as it is repeated in an error. */
  answerShownCharactersMax: 200,
  /** One try at start to reach a channel's host. */
  reachMs: 5_000,
  /** A test message is an open alert of an Alertmanager for so long. */
  testAlertMs: 5 * 60_000,
  /** UTF-16 units after escaping; a longer section is refused with 400. */
  slackSectionCharactersMax: 3_000,
  slackHeaderCharactersMax: 150,
  slackTextCharactersMax: 3_000,
  slackBlocksMax: 50,
  /** UTF-8 bytes of the whole message: cards were lost above 21 KB in practice. */
  teamsBytesMax: 20_000,
  /** UTF-16 units of it: documented are 28 KB, which Teams counts two bytes for each unit elsewhere. */
  teamsUnitsMax: 14_000,
  /** Code points of the text. */
  mattermostCharactersMax: 16_383,
  pagerdutySummaryCharactersMax: 1_024,
  pagerdutyKeyCharactersMax: 255,
  /** UTF-8 bytes, routing key and all. */
  pagerdutyEventBytesMax: 512_000,
  /** UTF-8 bytes of a webhook's body. */
  webhookBytesMax: 20_000,
  mailSubjectCharactersMax: 200,
  /** UTF-8 bytes of each of a mail's two forms: well-known readers cut above 102 KB. */
  mailBytesMax: 100_000,
} as const;
