/**
 * The manifest of a run: the file whose exclusive creation is the commit (or the abort) of that revision.
 * Everything that a reader needs is in it; links and listings are conveniences built from it.
 */

import type { Failure } from "./failure.ts";
import type { Column, JobSpec } from "./job.ts";

export interface ManifestFile {
  /** Relative to the storage root. */
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
}

export interface ManifestDataset {
  readonly dataset: string;
  readonly columns: readonly Column[];
  readonly rows: number;
  readonly files: readonly ManifestFile[];
}

export interface ManifestSource {
  readonly source: string;
  readonly files: number;
  readonly lines: number;
  readonly rows: number;
  readonly rejects: number;
  readonly blank: number;
  /** SHA-256 over the fingerprints of all files, in order. */
  readonly inputDigest: string;
}

/** A run that was promised and has no manifest yet: what starts it again when the journal is lost. */
export interface RunRequest {
  readonly run: string;
  readonly spec: JobSpec;
  readonly digest: string;
  readonly day: string;
  readonly revision: number;
  readonly requestId: string;
}

export interface RunManifest {
  readonly version: 1;
  readonly state: "committed" | "aborted";
  readonly run: string;
  readonly job: string;
  readonly day: string;
  readonly revision: number;
  /** Revision that this one replaces in the views; 0 = none. */
  readonly replaces: number;
  readonly epoch: number;
  readonly coordinator: string;
  readonly jobDigest: string;
  readonly wallMs: number;
  readonly sources: readonly ManifestSource[];
  readonly datasets: readonly ManifestDataset[];
  readonly rejectFiles: readonly string[];
  /** Records outside their day under rule `late_table`, as files of the source's columns; absent when none. */
  readonly lateFiles?: readonly string[];
  readonly checks: readonly {
    readonly name: string;
    readonly model: string;
    readonly value: string | null;
    readonly passed: boolean;
  }[];
  /** Why an aborted run was aborted. */
  readonly failure?: Failure;
}
