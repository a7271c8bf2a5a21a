/**
 * The columns of a source: one list, or a list of versions, each valid from a day. Pure: parsed YAML in, columns out.
 */
import { z } from "zod";
import type { SourceSpec } from "../kernel/job.ts";
import { limits } from "../kernel/limits.ts";
import { isDay } from "../kernel/time.ts";
import { columns, object } from "./job-fields.ts";

const day = z.string().refine(isDay, "a day is written YYYY-MM-DD");

const versions = z
  .array(object({ from: day.optional(), columns }))
  .max(limits.columnVersionsMax)
  .superRefine((list, context) => {
    for (const [index, { from }] of list.entries()) {
      const before = list[index - 1]?.from;
      const refuse = (message: string) =>
        context.addIssue({ code: "custom", message, path: [index, ...(from ? ["from"] : [])] });
      if (index > 0 && from === undefined) {
        refuse("a later version says from which day on it is valid: from: YYYY-MM-DD");
      } else if (from !== undefined && before !== undefined && from <= before) {
        refuse(`versions stand in the order of their days: ${from} is not after ${before}`);
      }
    }
  });

/** A list of versions, rather than of columns `{name, type}`? */
function areVersions(value: unknown): boolean {
  const isVersion = (entry: unknown) =>
    typeof entry === "object" && entry !== null && ("columns" in entry || "from" in entry);
  return Array.isArray(value) && value.some(isVersion);
}

/** One version without a day is no more than its columns. */
export const sourceColumns = z
  .unknown()
  .transform((value, context): Pick<SourceSpec, "columns" | "versions"> => {
    if (!areVersions(value)) {
      const plain = columns.safeParse(value);
      return plain.success ? { columns: plain.data } : refused(plain.error, context);
    }
    const parsed = versions.safeParse(value);
    if (!parsed.success) return refused(parsed.error, context);
    const forms = parsed.data.map(({ from, columns: of }) => ({
      ...(from === undefined ? {} : { from }),
      columns: of,
    }));
    const newest = forms.at(-1)?.columns ?? [];
    const isOne = forms.length === 1 && forms[0]?.from === undefined;
    return isOne ? { columns: newest } : { columns: newest, versions: forms };
  });

/** Hands the problems on as they are. */
function refused(error: z.ZodError, context: z.RefinementCtx): never {
  for (const issue of error.issues) context.addIssue({ ...issue });
  return z.NEVER;
}
