/**
 * The file of alerts: who is told what, and how each channel is reached. Secrets are not in it, only where they are
 * read (alert-secrets.ts), and what it holds is not repeated in errors: a secret may stand in the wrong place.
 */
import { dirname, resolve } from "node:path";
import type { z } from "zod";
import type { AlertConfig } from "../kernel/alert.ts";
import { limits } from "../kernel/limits.ts";
import type { ChannelSpec, HeartbeatSpec } from "./alert-channel.ts";
import { alertConfig, alertSchema, channelSpecs, heartbeatSpec } from "./alert-file-schema.ts";
import { type LineOf, parseYaml, readText, refused, type Told } from "./job-yaml.ts";

export interface AlertSettings {
  readonly config: AlertConfig;
  readonly channels: readonly ChannelSpec[];
  readonly heartbeat?: HeartbeatSpec;
}

/** Errors: `jobInvalid` as `parseAlerts`, and when the file is not there, too large or cannot be read. */
export async function readAlertFile(path: string): Promise<AlertSettings> {
  const text = await readText(path, `the file of alerts ${path}`, limits.alertFileBytesMax);
  return parseAlerts(text, path);
}

/**
 * Paths in it are taken from the folder of `path`. Errors: `jobInvalid` whose message has one line for each problem:
 * file, line, field, what is allowed; detail: {file, line, field} of the first.
 */
export function parseAlerts(text: string, path = "alerts.yaml"): AlertSettings {
  const parsed = parseYaml(path, text, problemOf);
  const result = alertSchema.safeParse(parsed.value ?? {});
  if (!result.success) throw withoutValues(path, result.error.issues, parsed.lineOf);
  const heartbeat = heartbeatSpec(result.data);
  const from = dirname(path);
  return {
    config: alertConfig(result.data),
    channels: channelSpecs(result.data).map((spec) => located(spec, from)),
    ...(heartbeat === undefined ? {} : { heartbeat: located(heartbeat, from) }),
  };
}

/** The library's words repeat what stands there (an unknown alias is a password that begins with `*`). */
function problemOf({ code }: Told): string {
  switch (code) {
    case "DUPLICATE_KEY":
      return "the same key stands here twice";
    case "BAD_ALIAS":
      return "a text that begins with * or & stands in quotes";
    case "TAB_AS_INDENT":
      return "lines are set in with spaces, not with tabs";
    case "MISSING_CHAR":
      return "a quote or bracket is not closed";
    default:
      return `${code.toLowerCase().replaceAll("_", " ")}; texts with special characters stand in quotes`;
  }
}

/** A key that is no word of ours may be a secret that lost its field. */
function withoutValues(path: string, issues: readonly z.core.$ZodIssue[], lineOf: LineOf): Error {
  const told = issues.map((issue): z.core.$ZodIssue => {
    if (issue.code !== "unrecognized_keys") return issue;
    if (issue.keys.every((key) => /^[A-Za-z_]{1,24}$/.test(key))) return issue;
    const allowed = /\(allowed: [^)]*\)/.exec(issue.message)?.[0] ?? "";
    return { ...issue, code: "custom", message: `holds an unknown key ${allowed}`.trim() };
  });
  return refused(path, told, lineOf);
}

/** With the paths of its files as they are found from the folder of the file. */
function located<Spec extends ChannelSpec | HeartbeatSpec>(spec: Spec, folder: string): Spec {
  const place = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(place);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) =>
        key === "file" && typeof member === "string"
          ? [key, resolve(folder, member)]
          : [key, place(member)],
      ),
    );
  };
  const { ca } = spec;
  return { ...(place(spec) as Spec), ...(ca === undefined ? {} : { ca: resolve(folder, ca) }) };
}
