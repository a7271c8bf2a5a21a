/** The days of a job, counted by what was found of them: for the backlog as people are shown it, and for metrics. */
import { type DayState, dayStates, type Judgement } from "./judge.ts";

export interface DaysTally {
  readonly states: Readonly<Record<DayState, number>>;
  /** Days that will be run by themselves and are not done. */
  readonly toDo: number;
  /** Until they are, one after the other; 0 = nothing to do, or no run has said yet how long one takes. */
  readonly catchUpMs: number;
}

/** `usualMs`: of a run of the job, 0 = not known. */
export function tallyOf(judgements: readonly Judgement[], usualMs: number): DaysTally {
  const states = Object.fromEntries(dayStates.map((state) => [state, 0])) as Record<
    DayState,
    number
  >;
  for (const { state } of judgements) states[state]++;
  const toDo = judgements.filter(isToDo).length;
  return { states, toDo, catchUpMs: toDo * usualMs };
}

function isToDo({ state, action }: Judgement): boolean {
  if (action.kind === "wait" && action.isSoon === true) return true;
  return state === "running" || action.kind === "run";
}
