import { parseEmail } from '../../core/access/allowed-users.ts'
import type { Note } from '../installation.ts'

/** List of the other service as far as it can be compared here. */
export interface ListedAddresses {
  readonly entries: string[]
  readonly notes: readonly Note[]
}

/**
 * Reads addresses or domains that the other service compares to the letter. An entry with a blank before it never let anybody
 * in there, so that it is left out and not mended.
 */
export function listedAddresses(
  option: string,
  values: readonly string[],
  kind: 'emails' | 'emailDomains',
): ListedAddresses {
  const given = values.filter((entry) => entry !== '')
  const entries = given.filter((entry) => parseEmail(kind === 'emails' ? entry : `a@${entry}`))
  const lost = given.length - entries.length
  const notes: Note[] = []
  if (lost > 0) {
    notes.push({
      kind: 'stricter',
      option,
      text: `${lost} of its entries name nobody by a plain ${kind === 'emails' ? 'address' : 'domain'} and are left out. One with a blank before or behind it let nobody in there either: add it to the rules where it should.`,
    })
  }
  if (entries.some((entry) => entry !== entry.toLowerCase())) {
    notes.push({
      kind: 'differs',
      option,
      text: 'Has capitals, which do not count here: whoever the provider spells otherwise was kept out there and is let in here.',
    })
  }
  return { entries, notes }
}
