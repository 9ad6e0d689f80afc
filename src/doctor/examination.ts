import type { Config } from '../config/config.ts'
import type { Finding } from './finding.ts'

/** What every examination may ask. */
export interface Patient {
  readonly config: Config
}

/** One examination, which takes at most some seconds and throws nothing for a fault of the installation. */
export interface Examination {
  /** What it looks at, for the progress: `the provider's metadata`. */
  readonly title: string
  readonly examine: (patient: Patient) => Promise<readonly Finding[]>
}
