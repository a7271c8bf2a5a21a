/**
 * The header line of a delimited file. It is skipped, not obeyed, but it must be the declared one: a line that is none
 * would be a lost record, one in another order would mix up columns. What stands in it instead is never told.
 */
import { fail } from "../../../shared/kernel/failure.ts";
import type { Column, CsvOptions } from "../../../shared/kernel/job.ts";

/** Characters of the declared header in a message. */
const namesShown = 200;

/**
 * Takes a first line that names the declared columns in order; capitals, spaces and quotes around them don't matter.
 * Errors: `inputMalformed` naming file, declared header and what to do.
 */
export function assertHeader(
  file: string,
  line: string,
  csv: CsvOptions,
  columns: readonly Column[],
): void {
  const names = fieldsOf(line, csv).map((field) => bareName(field, csv.quote));
  const declared = columns.map(({ name }) => name.trim().toLowerCase());
  if (names.join("\n") === declared.join("\n")) return;
  const sameNames = [...names].sort().join("\n") === [...declared].sort().join("\n");
  const wanted = columns.map(({ name }) => name).join(csv.delimiter);
  const shown = wanted.length > namesShown ? `${wanted.slice(0, namesShown)}…` : wanted;
  const message = sameNames
    ? "header has the columns in another order than the job declares; declare them as in the file"
    : `its first line is not the header ${shown}; if the file has none, set \`header: false\`, ` +
      "otherwise declare the columns as in the file";
  throw fail("inputMalformed", `file ${file}: ${message}`, { file });
}

/** A delimiter between quotes belongs to the name. */
function fieldsOf(line: string, { delimiter, quote }: CsvOptions): readonly string[] {
  const fields: string[] = [];
  let from = 0;
  while (true) {
    let search = from;
    while (line[search] === " ") search++;
    if (quote !== "" && line[search] === quote) search = closingQuote(line, search + 1, quote);
    const end = line.indexOf(delimiter, search);
    fields.push(line.slice(from, end < 0 ? undefined : end));
    if (end < 0) return fields;
    from = end + delimiter.length;
  }
}

/** Index of the quote that ends the name, or the line's length; a doubled one is part of the name. */
function closingQuote(line: string, from: number, quote: string): number {
  let at = line.indexOf(quote, from);
  while (at >= 0 && line[at + 1] === quote) at = line.indexOf(quote, at + 2);
  return at < 0 ? line.length : at;
}

function bareName(field: string, quote: string): string {
  const text = field.trim();
  const quoted = quote !== "" && text.length > 1 && text.startsWith(quote) && text.endsWith(quote);
  const name = quoted
    ? text
        .slice(1, -1)
        .replaceAll(quote + quote, quote)
        .trim()
    : text;
  return name.toLowerCase();
}
