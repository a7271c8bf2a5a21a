/**
 * Loads what a job declares into one plain DuckDB: sources, their file tables, dimensions, then the models' own SQL.
 * Shares no code with Daymill, on purpose: it is the second opinion.
 */
import { createHash } from "node:crypto";
import { createReadStream, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createGunzip, gzipSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";

/** A text as an SQL literal. */
export function literal(text) {
  return `'${String(text).replaceAll("'", "''")}'`;
}

/** A name as an SQL identifier. */
export function identifier(name) {
  return `"${name.replaceAll('"', '""')}"`;
}

/** All rows of a query as plain objects. */
export async function rowsOf(connection, sql) {
  return (await connection.runAndReadAll(sql)).getRowObjectsJson();
}

/**
 * A database with every table of the job for that day. `close()` removes its files.
 * options: {threads?, memoryLimit?}
 */
export async function openReference(job, root, day, options = {}) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "daymill-reference-"));
  const instance = await DuckDBInstance.create(path.join(folder, "reference.duckdb"), {
    threads: String(options.threads ?? 2),
    memory_limit: options.memoryLimit ?? "2GB",
    temp_directory: path.join(folder, "spill"),
    preserve_insertion_order: "false",
  });
  const connection = await instance.connect();
  const close = () => {
    connection.closeSync();
    instance.closeSync();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await connection.run(`SET TimeZone = ${literal(job.timezone)}`);
    for (const source of job.sources) {
      await loadSource(connection, job, source, root, day, folder);
    }
    for (const dimension of job.dimensions) await loadDimension(connection, dimension, root, day);
  } catch (error) {
    close();
    throw error;
  }
  return { connection, close };
}

/** Runs every model's SQL as a table, each after those it reads. */
export async function buildModels(connection, job) {
  let waiting = [...job.models];
  while (waiting.length > 0) {
    const stillWaiting = [];
    let lastError;
    for (const model of waiting) {
      try {
        await connection.run(`CREATE TABLE ${identifier(model.name)} AS ${bare(model.sql)}`);
      } catch (error) {
        // A model that reads a later one is bound again in the next round; any other error is one.
        if (!/Table with name \S+ does not exist/.test(String(error))) throw error;
        lastError = error;
        stillWaiting.push(model);
      }
    }
    if (stillWaiting.length === waiting.length) throw lastError;
    waiting = stillWaiting;
  }
}

/** The statement without its final semicolon; the newline ends a comment on the last line. */
function bare(sql) {
  return `(${sql.trim().replace(/;\s*$/, "")}\n)`;
}

/** The columns that a source's files have on a day, and those that only other days have: NULL here, newest type. */
function ofDay(source, day) {
  if (source.versions === undefined) return { source, others: [] };
  let now = source.versions[0];
  for (const version of source.versions) if ((version.from ?? "") <= day) now = version;
  const names = new Set(now.columns.map((column) => column.name.toLowerCase()));
  const others = new Map();
  for (const version of source.versions) {
    for (const column of version.columns) {
      if (!names.has(column.name.toLowerCase())) others.set(column.name.toLowerCase(), column);
    }
  }
  return { source: { ...source, columns: now.columns }, others: [...others.values()] };
}

async function hashOf(file) {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest("hex");
}

async function loadSource(connection, job, declared, root, day, folder) {
  const { source, others } = ofDay(declared, day);
  const raw = identifier(`raw ${source.name}`);
  const pattern = path.join(root, source.path.replaceAll("{day}", day));
  const found = await rowsOf(
    connection,
    `SELECT file FROM glob(${literal(pattern)}) ORDER BY file`,
  );
  const files = found.map((row) => row.file);
  if (files.length === 0) throw new Error(`no files match ${pattern}`);
  const isParquet = source.format === "parquet";
  const keepsDuplicates = job.duplicates?.[source.name] === "keep";
  const contents = new Set();
  const counts = [];
  const readable = [];
  for (const [index, file] of files.entries()) {
    const counted = isParquet
      ? { lines: await parquetRows(connection, file), blank: 0, overfull: 0 }
      : await countLines(file, source);
    // What was delivered before, byte by byte, does not count again. Files without a record are no duplicates.
    if (!keepsDuplicates && counted.lines > counted.blank) {
      const content = await hashOf(file);
      if (contents.has(content)) continue;
      contents.add(content);
    }
    const copy = path.join(folder, `${source.name}-${index}`);
    if (counted.overfull > 0) await copyWithoutOverfull(file, source, copy);
    const read = counted.overfull > 0 ? copy : file;
    readable.push(read);
    counts.push({ ...counted, read, file });
  }
  const from = isParquet
    ? await fromParquet(connection, source, readable)
    : fromCsv(source, readable, true);
  await connection.run(`CREATE TABLE ${raw} AS ${from}`);
  const event = eventTime(source, day);
  const keep = event === undefined || event.rule === "keep" ? "true" : event.inside;
  const columns = [
    ...source.columns.map((column) => identifier(column.name)),
    ...others.map((column) => `CAST(NULL AS ${column.type}) AS ${identifier(column.name)}`),
  ].join(", ");
  await connection.run(
    `CREATE VIEW ${identifier(source.name)} AS SELECT ${columns} FROM ${raw} WHERE ${keep}`,
  );
  await loadFileTable(connection, source, root, counts, event);
}

/** `<source>_files`: lines counted by our own pass over the bytes, rows by DuckDB, rejects are what is left. */
async function loadFileTable(connection, source, root, counts, event) {
  const table = identifier(`${source.name}_files`);
  await connection.run(`CREATE TABLE "lines of files" (file VARCHAR, relative VARCHAR,
    bytes BIGINT, lines BIGINT, blank BIGINT)`);
  for (const { file, read, lines, blank } of counts) {
    await connection.run(`INSERT INTO "lines of files" VALUES (${literal(read)},
      ${literal(path.relative(root, file))}, ${statSync(file).size}, ${lines}, ${blank})`);
  }
  const inside = event?.inside ?? "true";
  // Rows that the rule rejects were read and have event times, but count as rejects.
  const counted = event?.rule === "reject" ? inside : "true";
  const time = event?.ms ?? "NULL::BIGINT";
  await connection.run(`CREATE TABLE ${table} AS
    WITH seen AS (
      SELECT __file, count(*) FILTER (WHERE ${counted}) AS kept,
        count(*) FILTER (WHERE NOT (${inside})) AS outside,
        min(${time}) AS first_event_ms, max(${time}) AS last_event_ms
      FROM ${identifier(`raw ${source.name}`)} GROUP BY __file
    )
    SELECT relative AS file, bytes, lines, coalesce(kept, 0) AS "rows",
      lines - blank - coalesce(kept, 0) AS rejects, blank,
      coalesce(outside, 0) AS outside_day, first_event_ms, last_event_ms
    FROM "lines of files" AS f LEFT JOIN seen ON seen.__file = f.file`);
  await connection.run(`DROP TABLE "lines of files"`);
}

async function parquetRows(connection, file) {
  const [row] = await rowsOf(
    connection,
    `SELECT count(*) AS n FROM read_parquet(${literal(file)})`,
  );
  return Number(row.n);
}

/** The rule for records outside their day, and SQL for event time in ms and for "inside the day" (local). */
function eventTime(source, day) {
  if (source.eventTime === undefined) return undefined;
  const { column, outside, unit } = source.eventTime;
  const name = identifier(column);
  const type = source.columns.find((candidate) => candidate.name === column).type;
  const perMs = { s: `${name}::HUGEINT * 1000`, ms: name, us: `${name} // 1000` };
  const isClock = /^(TIMESTAMP|DATE)/.test(type);
  const ms = isClock ? `epoch_ms(${name}::TIMESTAMPTZ)` : `(${perMs[unit]})`;
  const midnight = (days) => `epoch_ms((DATE ${literal(day)} + ${days})::TIMESTAMPTZ)`;
  const inside = `${ms} >= ${midnight(0)} AND ${ms} < ${midnight(1)}`;
  return { rule: outside, ms, inside: `coalesce(${inside}, false)` };
}

function fromCsv({ format, columns, csv }, files, tolerant) {
  const list = files.map(literal).join(", ");
  const types = columns.map((c) => `${literal(c.name)}: ${literal(c.type)}`).join(", ");
  const options = [
    `columns = {${types}}`,
    "auto_detect = false",
    `header = ${csv.header}`,
    `delim = ${literal(csv.delimiter)}`,
    `quote = ${literal(csv.quote)}`,
    `escape = ${literal(csv.escape)}`,
    `decimal_separator = ${literal(csv.decimalSeparator)}`,
    `compression = ${literal(format === "csv.gz" ? "gzip" : "none")}`,
  ];
  // One text means NULL, for every type; with another one declared, an empty field is a value like any other.
  options.push(`nullstr = ${literal(csv.nullString)}`);
  if (csv.timestampFormat !== "") options.push(`timestampformat = ${literal(csv.timestampFormat)}`);
  if (csv.dateFormat !== "") options.push(`dateformat = ${literal(csv.dateFormat)}`);
  // Rejects are tolerated, not read: the file table counts them from lines and rows.
  if (tolerant) options.push("filename = '__file'", "ignore_errors = true");
  return `SELECT * FROM read_csv([${list}], ${options.join(", ")})`;
}

/** A row is accepted when each declared column fits its type, a number without being rounded. */
async function fromParquet(connection, { columns }, files) {
  const list = files.map(literal).join(", ");
  const described = await rowsOf(connection, `DESCRIBE SELECT * FROM read_parquet([${list}])`);
  const stored = new Map(described.map((row) => [row.column_name.toLowerCase(), row.column_type]));
  const exact = /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|DECIMAL\(.*)$/;
  const binary = /^(FLOAT|DOUBLE)$/;
  const cast = columns.map((c) => {
    const name = identifier(c.name);
    return `CAST(${name} AS ${c.type}) AS ${name}`;
  });
  const fits = columns.map((c) => {
    const name = identifier(c.name);
    const type = stored.get(c.name.toLowerCase());
    const known = (t) => exact.test(t) || binary.test(t);
    const judged = known(type) && known(c.type) && (exact.test(type) || exact.test(c.type));
    const same = judged ? `TRY_CAST(TRY_CAST(${name} AS ${c.type}) AS ${type}) = ${name}` : "true";
    return `(${name} IS NULL OR coalesce(TRY_CAST(${name} AS ${c.type}) IS NOT NULL AND ${same}, false))`;
  });
  return `SELECT ${cast.join(", ")}, __file
    FROM read_parquet([${list}], filename = '__file')
    WHERE ${fits.join(" AND ")}`;
}

async function loadDimension(connection, dimension, root, day) {
  const file = path.join(root, dimension.path.replaceAll("{day}", day));
  const columns = dimension.columns.map((c) => identifier(c.name)).join(", ");
  const from =
    dimension.format === "parquet"
      ? await fromParquet(connection, dimension, [file])
      : fromCsv(dimension, [file], false);
  const sql = `CREATE TABLE ${identifier(dimension.name)} AS SELECT ${columns} FROM (${from})`;
  await connection.run(sql);
}

/** Hands each line of a file on as (bytes, from, to), without its line end; a last line without newline counts. */
async function eachLine(file, format, take) {
  const stored = createReadStream(file, { highWaterMark: 1 << 20 });
  const plain = format === "csv.gz" ? stored.pipe(createGunzip()) : stored;
  const lineEnd = (bytes, from, at) => (at > from && bytes[at - 1] === 13 ? at - 1 : at);
  let rest = Buffer.alloc(0);
  for await (const chunk of plain) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, from)) {
      take(bytes, from, lineEnd(bytes, from, at));
      from = at + 1;
    }
    rest = Buffer.from(bytes.subarray(from));
  }
  if (rest.length > 0) take(rest, 0, lineEnd(rest, 0, rest.length));
}

/** Lines without the header, the empty ones and those with an empty column too many among them. */
async function countLines(file, source) {
  const { format, csv, columns } = source;
  let lines = 0;
  let blank = 0;
  let overfull = 0;
  await eachLine(file, format, (bytes, from, to) => {
    lines += 1;
    if (from === to) blank += 1;
    else if (isOverfull(source, bytes, from, to)) overfull += 1;
  });
  // With one column an empty line is a row whose value is empty.
  return {
    lines: lines - (csv.header && lines > 0 ? 1 : 0),
    blank: columns.length > 1 ? blank : 0,
    overfull,
  };
}

/** DuckDB drops empty columns at a line's end without a word. Quoted sources are not judged here. */
function isOverfull({ csv, columns }, bytes, from, to) {
  if (csv.quote !== "") return false;
  const last = bytes[to - 1];
  const tails = [csv.delimiter, csv.nullString].filter((text) => text !== "");
  if (!tails.some((text) => text.charCodeAt(text.length - 1) === last)) return false;
  const fields = bytes.toString("latin1", from, to).split(csv.delimiter);
  return fields.length > columns.length && ["", csv.nullString].includes(fields.at(-1));
}

/** A copy of the file without such lines; only made where there are any. */
async function copyWithoutOverfull(file, source, target) {
  const kept = [];
  await eachLine(file, source.format, (bytes, from, to) => {
    if (isOverfull(source, bytes, from, to)) return;
    kept.push(Buffer.concat([bytes.subarray(from, to), Buffer.from("\n")]));
  });
  const plain = Buffer.concat(kept);
  writeFileSync(target, source.format === "csv.gz" ? gzipSync(plain) : plain);
}
