/** What the outside asks of the leader about what lies around: tidy up, or leave alone what is being read. */
import type { RevisionOfDay } from "./manifest.ts";

export type UpkeepAction =
  /** What goes by retention, of this job (empty: of the first one, and what belongs to no job); it is removed, too. */
  | { readonly kind: "gc"; readonly job: string; readonly dryRun: boolean }
  /** A caller is being sent rows of this revision, or has been. */
  | { readonly kind: "pin"; readonly revision: RevisionOfDay; readonly isPinned: boolean };
