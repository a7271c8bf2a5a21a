/**
 * What a receiver's answer, or the lack of one, means: the closed vocabulary, in one place for HTTP, mail and the
 * network below them. Pure. Hosts, URLs and logins are not in these words.
 */
import { type Failure, failure } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import { linkLocalCode } from "./alert-http.ts";
import { cut, line } from "./alert-text.ts";

interface Answered {
  readonly status: number;
  readonly retryAfter: string;
  readonly text: string;
}

/** Statuses by which a receiver says that this very message will never do. */
const hopeless = new Set([400, 411, 413, 415, 422]);

/** Undefined: the receiver has taken it. `wallMs`: now, for a Retry-After that is a date. */
export function answerFailure(answer: Answered, wallMs: number): Failure | undefined {
  const { status } = answer;
  if (status >= 200 && status < 300) return undefined;
  const said = cut(line(answer.text), limits.answerShownCharactersMax);
  const answered = `the receiver answered ${status}${said === "" ? "" : `: ${said}`}`;
  const detail = { status };
  if (status === 410) {
    const advice = "it is gone; give the channel another URL";
    return failure("badRequest", `${answered}; ${advice}`, detail);
  }
  if (hopeless.has(status)) {
    return failure("badRequest", `${answered}; it does not take such a message`, detail);
  }
  if (status >= 300 && status < 400) {
    const advice = "redirects are not followed: write the URL to which it leads";
    return failure("unavailable", `the receiver answered ${status}; ${advice}`, detail);
  }
  if (status === 401 || status === 403 || status === 404) {
    return failure(
      "unavailable",
      `${answered}; check the URL, token or key of the channel`,
      detail,
    );
  }
  const waitMs = patienceMs(answer.retryAfter, wallMs);
  return failure("unavailable", `${answered}; it is tried again`, {
    ...detail,
    ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
  });
}

/** Retry-After: seconds or a date, up to the most that is waited. */
export function patienceMs(header: string, wallMs: number): number | undefined {
  const text = header.trim();
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : undefined;
  const date = /[A-Za-z]{3}/.test(text) ? Date.parse(text) - wallMs : undefined;
  const ms = seconds ?? date;
  if (ms === undefined || Number.isNaN(ms)) return undefined;
  return Math.min(Math.max(0, ms), limits.retryAfterMsMax);
}

const networkWords: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "the host's name is not known",
  EAI_AGAIN: "the host's name could not be looked up",
  EDNS: "the host's name could not be looked up",
  ECONNRESET: "the connection was closed before an answer came",
  EPIPE: "the connection was closed before an answer came",
  EHOSTUNREACH: "there is no way to the host",
  ENETUNREACH: "there is no way to the host",
  ETLS: "no TLS came about: the server has to offer STARTTLS, with a certificate that is trusted (or `ca`)",
  EAUTH: "the server refused the login; check user and password",
  ECONNECTION: "the connection failed or was closed",
  ESOCKET: "the connection failed or was closed",
  EPROTOCOL: "the server does not speak SMTP",
};

/** What Node and nodemailer throw; the latter keeps the system's code as `originalCode`. */
interface Thrown {
  readonly name?: string;
  readonly code?: string;
  readonly originalCode?: string;
  readonly cause?: unknown;
}

/** What was thrown by a try to connect, send or read. */
export function networkFailure(error: unknown): Failure {
  const { name, cause, code = "", originalCode = code } = error as Thrown;
  const aborted = name === "AbortError";
  const late = aborted && (cause as Thrown | undefined)?.name === "TimeoutError";
  if (late || name === "TimeoutError" || originalCode === "ETIMEDOUT") {
    return failure("timeout", "no answer in time; it is tried again");
  }
  if (aborted) return failure("unavailable", "the sender was closed");
  if (code === linkLocalCode) {
    const advice = "where clouds hand out credentials; set allow_link_local if it is meant";
    return failure("badRequest", `the host has a link-local address, ${advice}`);
  }
  if (/CERT|SIGNATURE|ISSUER|ALTNAME|_TLS_|SSL/.test(originalCode)) {
    const what = `the receiver's certificate is not trusted (${originalCode}); set ca`;
    return failure("unavailable", what);
  }
  const known = networkWords[originalCode] ?? networkWords[code] ?? "the connection failed";
  return failure("unavailable", `${known} (${originalCode || name || "unknown"})`);
}

export interface MailRefusal {
  readonly code?: string;
  readonly responseCode?: number;
  readonly response?: string;
}

/** A mail server's refusal: 5xx about the message is final, about the login it is not. */
export function mailFailure(error: unknown): Failure {
  const { code, responseCode: status, response } = error as MailRefusal;
  const said = cut(line(response ?? ""), limits.answerShownCharactersMax);
  if (code !== "ETLS" && status !== undefined && said !== "") return refused(code, status, said);
  if (code === "EENVELOPE" || code === "EMESSAGE") {
    return failure("badRequest", "the mail server does not take such a mail; check from and to");
  }
  return networkFailure(error);
}

function refused(code: string | undefined, status: number, said: string): Failure {
  const answered = `the mail server answered: ${said}`;
  if (code === "EAUTH") {
    return failure("unavailable", `${answered}; check user and password`, { status });
  }
  const final = status >= 500 && (code === "EENVELOPE" || code === "EMESSAGE");
  return final
    ? failure("badRequest", `${answered}; check from, to and what the server takes`, { status })
    : failure("unavailable", `${answered}; it is tried again`, { status });
}
