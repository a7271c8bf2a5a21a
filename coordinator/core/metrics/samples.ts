/** What is said of each declared metric: the types that tie a sample to its declaration. */
import type {
  Declared,
  LabelsOf,
  MetricName,
  ofEveryCoordinator,
  ofTheLeader,
} from "./declared.ts";

/** One of a metric without labels is its number alone; undefined: not known at the moment. */
export type SamplesOf<Name extends MetricName> = Declared[Name]["labels"] extends readonly []
  ? number | undefined
  : readonly (readonly [LabelsOf<Name>, number])[];

export type Samples = { readonly [Name in MetricName]: SamplesOf<Name> };
export type SamplesOfEvery = Pick<Samples, keyof typeof ofEveryCoordinator>;
export type SamplesOfLeader = Pick<Samples, keyof typeof ofTheLeader>;
