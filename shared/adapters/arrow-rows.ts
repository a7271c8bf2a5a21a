/**
 * Arrow IPC stream bytes as rows of plain values, for showing results to people. Exact: integers are bigint,
 * decimals and times are text. Not for bulk work: every value becomes a JavaScript value.
 */
import { type Data, DataType, RecordBatchReader, Type, Vector } from "apache-arrow";

/** Decimals with a scale, dates, times and binary values come as text. */
export type ResultValue = string | number | bigint | boolean | null;

export interface ResultRows {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly ResultValue[])[];
}

/** All rows of one IPC stream, in order. */
export async function readArrowRows(chunks: AsyncIterable<Uint8Array>): Promise<ResultRows> {
  const reader = await RecordBatchReader.from(chunks);
  await reader.open();
  const columns = reader.schema?.fields.map((field) => field.name) ?? [];
  const rows: ResultValue[][] = [];
  for await (const batch of reader) {
    const getters = batch.data.children.map(getterOf);
    for (let row = 0; row < batch.numRows; row++) rows.push(getters.map((get) => get(row)));
  }
  return { columns, rows };
}

type Getter = (row: number) => ResultValue;

function getterOf(data: Data): Getter {
  const vector = new Vector([data]);
  const plain = plainGetter(data, vector);
  return (row) => (vector.isValid(row) ? plain(row) : null);
}

function plainGetter(data: Data, vector: Vector): Getter {
  const { type } = data;
  switch (type.typeId) {
    case Type.Decimal: {
      const words = data.values as Uint32Array;
      return (row) => decimalText(words, row, (type as unknown as { scale: number }).scale);
    }
    case Type.Timestamp: {
      const zone = (type as unknown as { timezone?: string | null }).timezone ? "Z" : "";
      return (row) => {
        const text = momentText((data.values as BigInt64Array)[row] ?? 0n);
        return text.endsWith("infinity") ? text : text + zone;
      };
    }
    case Type.Date:
      return (row) => dateText((data.values as Int32Array)[row] ?? 0);
    case Type.Time:
      return (row) => clockText((data.values as BigInt64Array)[row] ?? 0n);
    case Type.Binary:
      return (row) => Buffer.from(vector.get(row) as Uint8Array).toString("hex");
    default:
      if (DataType.isInt(type) && type.bitWidth < 64) return (row) => vector.get(row) as number;
      return (row) => vector.get(row) as ResultValue;
  }
}

function decimalText(words: Uint32Array, row: number, scale: number): ResultValue {
  let value = 0n;
  for (let word = 3; word >= 0; word--) value = (value << 32n) | BigInt(words[row * 4 + word] ?? 0);
  value = BigInt.asIntN(128, value);
  if (scale === 0) return value;
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, "0");
  const sign = value < 0n ? "-" : "";
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

const dayMicros = 86_400_000_000n;

/** What DuckDB keeps for the end of all time; the negative one for its beginning. */
const infiniteMicros = 2n ** 63n - 1n;
const infiniteDays = 2 ** 31 - 1;

/** `2026-01-15 06:00:12` with microseconds only where there are some. */
function momentText(micros: bigint): string {
  if (micros === infiniteMicros) return "infinity";
  if (micros === -infiniteMicros) return "-infinity";
  const inDay = ((micros % dayMicros) + dayMicros) % dayMicros;
  return `${dateText(Number((micros - inDay) / dayMicros))} ${clockText(inDay)}`;
}

/** The year before 1 is `0001-… (BC)`. JavaScript knows no date 100 million days from 1970. */
function dateText(days: number): string {
  if (Math.abs(days) === infiniteDays) return days > 0 ? "infinity" : "-infinity";
  const date = new Date(days * 86_400_000);
  if (Number.isNaN(date.getTime())) return `day ${days}`;
  const year = date.getUTCFullYear();
  const digits = (value: number, length: number) => String(value).padStart(length, "0");
  const [month, day] = [digits(date.getUTCMonth() + 1, 2), digits(date.getUTCDate(), 2)];
  return year > 0
    ? `${digits(year, 4)}-${month}-${day}`
    : `${digits(1 - year, 4)}-${month}-${day} (BC)`;
}

function clockText(micros: bigint): string {
  const two = (value: bigint) => value.toString().padStart(2, "0");
  const seconds = micros / 1_000_000n;
  const rest = (micros % 1_000_000n).toString().padStart(6, "0").replace(/0+$/, "");
  const clock = [seconds / 3_600n, (seconds / 60n) % 60n, seconds % 60n].map(two).join(":");
  return rest === "" ? clock : `${clock}.${rest}`;
}
