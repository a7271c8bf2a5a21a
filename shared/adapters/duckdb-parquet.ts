/**
 * What a Parquet file says about itself: rows and columns, from its footer, in one locked engine per call.
 * It never reads rows.
 */
import { DuckDBInstance } from "@duckdb/node-api";
import { DaymillError, fail } from "../kernel/failure.ts";
import { sqlText } from "./duckdb.ts";
import { translateDuckDb } from "./duckdb-errors.ts";

interface NamedFile {
  readonly absolute: string;
  /** Name for messages. */
  readonly shown: string;
}

/** Rows of each file, in order. Errors: `inputMalformed` naming the file, `storage…`. */
export async function parquetRowCounts(files: readonly NamedFile[]): Promise<readonly number[]> {
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  try {
    await connection.run(
      `SET allowed_paths = [${files.map((f) => sqlText(f.absolute)).join(", ")}]`,
    );
    await connection.run("SET enable_external_access = false");
    const counts: number[] = [];
    for (const file of files) {
      try {
        const reader = await connection.runAndReadAll(
          `SELECT num_rows::VARCHAR FROM parquet_file_metadata(${sqlText(file.absolute)})`,
        );
        counts.push(Number(reader.getRowsJson()[0]?.[0]));
      } catch (error) {
        throw parquetError(error, file.shown);
      }
    }
    return counts;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** What a failed read of a Parquet file means. */
export function parquetError(error: unknown, shown: string): DaymillError {
  const text =
    error instanceof DaymillError && error.cause instanceof Error
      ? error.cause.message
      : error instanceof Error
        ? error.message
        : "";
  // Without what it quotes: a folder may be called "corrupt".
  const words = text.replace(/'[^']*'|"[^"]*"/g, "");
  if (
    /No magic bytes|not a parquet|too small|Invalid Parquet|footer|TProtocol|corrupt/i.test(words)
  ) {
    return fail(
      "inputMalformed",
      `file ${shown}: not a whole Parquet file; deliver it again`,
      { file: shown },
      error,
    );
  }
  return translateDuckDb(error, `file ${shown}`);
}
