/** Reads generated records into plain DuckDB for the generator's tests, with the columns written out once more. */
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";

const columns = `{start_ms: 'BIGINT', dur_ms: 'INTEGER', msisdn: 'BIGINT', imsi: 'BIGINT',
  tac8: 'INTEGER', src_ip: 'VARCHAR', nat_ip: 'VARCHAR', nat_port: 'INTEGER', dst_ip: 'VARCHAR',
  dst_port: 'INTEGER', proto: 'SMALLINT', app_id: 'SMALLINT', ul_bytes: 'BIGINT',
  dl_bytes: 'BIGINT', rat: 'SMALLINT', cell: 'BIGINT', apn_id: 'SMALLINT', plmn: 'INTEGER',
  cause: 'SMALLINT', gw_id: 'INTEGER'}`;

type Row = Record<string, unknown>;

export interface Records {
  all(sql: string): Promise<Row[]>;
  one(sql: string): Promise<Row>;
  close(): void;
}

/** Table `ipdr` of the day's accepted lines, and DuckDB's own `reject_errors`. Big integers come as texts. */
export async function openRecords(root: string, day: string): Promise<Records> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const files = path.join(root, "raw/ipdr", `day=${day}`, "gw=*/*.csv");
  await connection.run(`CREATE TABLE ipdr AS SELECT * FROM read_csv('${files}', columns = ${columns},
    auto_detect = false, header = false, delim = ',', quote = '', escape = '', nullstr = '',
    store_rejects = true)`);
  const all = async (sql: string) =>
    (await connection.runAndReadAll(sql)).getRowObjectsJson() as Row[];
  return {
    all,
    one: async (sql) => (await all(sql))[0] ?? {},
    close: () => {
      connection.closeSync();
      instance.closeSync();
    },
  };
}
