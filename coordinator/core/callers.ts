/** Callers whose answer a leader still owes. One that stops leading has to tell each of them: nobody else will. */
import type { ReplyId } from "./protocol.ts";
import type { CoordinatorState, Purpose } from "./state.ts";

export function callersOf(state: CoordinatorState): readonly ReplyId[] {
  const { journal, submissions, desk, alerts, asked, retries } = state;
  const held = journal.held.flatMap(({ effect }) =>
    effect.kind === "reply" ? [effect.reply] : [],
  );
  const submitting = [...submissions.values()].flatMap(({ waiters }) =>
    waiters.map(({ reply }) => reply),
  );
  const saying = [...desk.saving.values()].flatMap(({ waiters, next }) =>
    [...waiters, ...next].flatMap(({ to }) => to ?? []),
  );
  const { waiters = [], next = [] } = alerts.saving ?? {};
  const silencing = [...waiters, ...next].map(({ to }) => to);
  const asking = [...asked.values(), ...retries].flatMap(({ purpose }) => callerIn(purpose));
  // Several questions may be put for one caller.
  return [...new Set([...held, ...submitting, ...saying, ...silencing, ...asking])];
}

/** A question that is put for somebody, and answered to them. */
function callerIn(purpose: Purpose): readonly ReplyId[] {
  if (purpose.kind === "alerts") return purpose.of.kind === "test" ? [purpose.of.reply] : [];
  return "reply" in purpose ? [purpose.reply] : [];
}
