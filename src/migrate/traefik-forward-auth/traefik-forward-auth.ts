import type { Installation } from '../installation.ts'
import { MigrationError, type OldConfiguration } from '../old-configuration.ts'

export function readTraefikForwardAuth(_old: OldConfiguration): readonly Installation[] {
  throw new MigrationError(['is not written yet'])
}
