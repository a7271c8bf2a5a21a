/**
 * What a message says, read out of each channel's own form: which alerts, and which of them are over. Channels that
 * people read say it in words; two messages with the same words are about the same.
 */
import { aboutOf } from "../../shared/adapters/alert-text.ts";
import { alertKey, type ChannelKind } from "../../shared/kernel/alert.ts";

export interface ToldAlert {
  /** The alert's key where the form has it, else its words. */
  readonly name: string;
  /** Where the form has both. */
  readonly words?: string;
  readonly isOver: boolean;
}

export interface Telling {
  readonly channel: string;
  readonly atMs: number;
  /** What receivers tell a message by that comes again; where the form has none, all of it. */
  readonly id: string;
  readonly alerts: readonly ToldAlert[];
}

/** `about` and the sentence without its figures, which grow as time goes by. */
export function wordsName(about: string, what: string): string {
  return `${about}: ${what.replaceAll(/\d+/g, "#")}`;
}

/** By kind; a PagerDuty message is one alert. */
export function toldBy(kind: ChannelKind, body: string): readonly ToldAlert[] {
  switch (kind) {
    case "email":
      return inText(plainPart(body), mailed, ([what = "", about = "", state = ""]) => [
        state,
        what,
        about,
      ]);
    case "slack":
      return slackTexts(body).flatMap((text) =>
        inText(unescaped(text), marked("\\*", "\\*"), (parts) => parts),
      );
    case "mattermost": {
      const { text } = JSON.parse(body) as { text: string };
      const plain = text.replaceAll(/\\([\\`*_[\]<>|~#])/g, "$1");
      return inText(plain, marked("\\*\\*", "- \\*\\*"), (parts) => parts);
    }
    case "teams":
      return teamsAlerts(body);
    case "pagerduty":
      return [pagerAlert(body)];
    case "alertmanager":
      return alertmanagerAlerts(body);
    case "webhook":
      return webhookAlerts(body);
  }
}

type Parts = readonly string[];

/** All that a pattern finds; `order` gives state, sentence, about. */
function inText(text: string, pattern: RegExp, order: (found: Parts) => Parts): ToldAlert[] {
  return [...text.matchAll(pattern)].map(([, ...found]) => {
    const [state, what = "", about = ""] = order(found);
    return { name: wordsName(about, what), isOver: state === "ended" };
  });
}

const mailed = /^(.+)\n {2}about: +(.*)\n {2}state: +(open|still open|ended), \w+$/gm;

function marked(mark: string, item: string): RegExp {
  const end = mark;
  return new RegExp(
    `^${mark}(open|still open|ended), \\w+:${end} (.*)\\n${item}About:${end} (.*)$`,
    "gm",
  );
}

function slackTexts(body: string): readonly string[] {
  const { blocks } = JSON.parse(body) as { blocks: { type: string; text?: { text: string } }[] };
  return blocks.flatMap(({ type, text }) => (type === "section" && text ? [text.text] : []));
}

function unescaped(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

interface Card {
  readonly attachments: readonly {
    readonly content: {
      readonly body: readonly {
        readonly items?: readonly { readonly inlines: readonly { readonly text: string }[] }[];
      }[];
    };
  }[];
}

function teamsAlerts(body: string): ToldAlert[] {
  const { attachments } = JSON.parse(body) as Card;
  return attachments.flatMap(({ content }) =>
    content.body.flatMap(({ items = [] }) => {
      const texts = items.map(({ inlines }) => inlines.map(({ text }) => text));
      const [[state = "", what = ""] = []] = texts;
      const about = texts.find(([label]) => label === "About: ")?.[1] ?? "";
      if (what === "") return [];
      return [{ name: wordsName(about, what), isOver: state.startsWith("ended") }];
    }),
  );
}

function pagerAlert(body: string): ToldAlert {
  const { dedup_key: name, event_action: action, payload } = JSON.parse(body);
  const { about } = payload.custom_details as { about: string };
  const what = (payload.summary as string).slice(about.length + 2);
  return { name, words: wordsName(about, what), isOver: action === "resolve" };
}

function webhookAlerts(body: string): ToldAlert[] {
  const { data } = JSON.parse(body) as { data: { alerts: Readonly<Record<string, string>>[] } };
  return data.alerts.map(({ key = "", state, job = "", day = "", subject = "", summary = "" }) => ({
    name: key,
    words: wordsName(aboutOf({ job, day, subject }), summary),
    isOver: state === "ended",
  }));
}

interface Posted {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The milder forms of an alert come after it, as ended. */
function alertmanagerAlerts(body: string): ToldAlert[] {
  const told = new Map<string, ToldAlert>();
  for (const { labels, annotations } of JSON.parse(body) as Posted[]) {
    const { alertname: rule = "", job = "", day = "", subject = "" } = labels;
    const about = { rule, job, day, subject } as Parameters<typeof alertKey>[0];
    const name = alertKey(about);
    if (!told.has(name)) told.set(name, { name, isOver: annotations["state"] === "ended" });
  }
  return [...told.values()];
}

/** The text form of a mail, decoded. */
export function plainPart(mail: string): string {
  const [, part = ""] = /Content-Type: text\/plain([\s\S]*?)\r\n--/.exec(mail) ?? [];
  const [head = "", ...rest] = part.split("\r\n\r\n");
  const body = rest.join("\r\n\r\n");
  const encoding = /Content-Transfer-Encoding: (\S+)/.exec(head)?.[1] ?? "7bit";
  return decoded(body, encoding).replaceAll("\r\n", "\n");
}

function decoded(text: string, encoding: string): string {
  if (encoding === "base64") return Buffer.from(text, "base64").toString();
  if (encoding !== "quoted-printable") return text;
  const bytes = text
    .replaceAll("=\r\n", "")
    .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
  return Buffer.from(bytes, "latin1").toString();
}
