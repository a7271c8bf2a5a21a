/** Which first lines are the declared header: names that need their quotes. */

import { expect, test } from "vitest";
import { assertHeader } from "../../executor/shell/worker/csv-header.ts";
import { plainCsv } from "../../shared/kernel/job.ts";

test("a delimiter or a quote in a quoted header belongs to the name", () => {
  const csv = { ...plainCsv, quote: '"', escape: '"' };
  const declared = [
    { name: 'amount, "net"', type: "BIGINT" },
    { name: "b", type: "BIGINT" },
  ];
  const check = (line: string) => () => assertHeader("raw/a.csv", line, csv, declared);
  expect(check('"Amount, ""net""",b')).not.toThrow();
  expect(check('"Amount, ""net"",b')).toThrow(/is not the header/);
  expect(check('amount, "net",b')).toThrow(/is not the header/);
});
