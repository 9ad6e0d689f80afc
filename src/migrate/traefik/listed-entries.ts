import { parseEmail } from '../../core/access/allowed-users.ts'
import type { Note } from '../installation.ts'

/** List of the other service as far as it can be compared here. */
export interface ListedEntries {
  readonly entries: string[]
  readonly notes: readonly Note[]
}

/** Kinds of entries, by their name in the rules. */
type Kind = 'emails' | 'emailDomains' | 'names'

/**
 * Reads a list that the other service compares to the letter. An entry with a blank before it never let anybody in there, so
 * that it is left out and not mended.
 */
export function listedEntries(
  option: string,
  values: readonly string[],
  kind: Kind,
): ListedEntries {
  const given = values.filter((entry) => entry !== '')
  const entries = given.filter((entry) => isComparable(entry, kind))
  const lost = given.length - entries.length
  const notes: Note[] = []
  if (lost > 0) {
    notes.push({
      kind: 'stricter',
      option,
      text: `${lost} of its entries cannot be ${LEFT_OUT[kind]} and are left out. One with a blank before or behind it let nobody in there either: add it to the rules where it should.`,
    })
  }
  if (kind !== 'names' && entries.some((entry) => entry !== entry.toLowerCase())) {
    notes.push({
      kind: 'differs',
      option,
      text: 'Has capitals, which do not count here: whoever the provider spells otherwise was kept out there and is let in here.',
    })
  }
  return { entries, notes }
}

const LEFT_OUT: Readonly<Record<Kind, string>> = {
  emails: 'read as addresses',
  emailDomains: 'read as domains',
  names: 'compared',
}

function isComparable(entry: string, kind: Kind): boolean {
  // The rules have no blanks around an entry.
  if (kind === 'names') return entry === entry.trim()
  return parseEmail(kind === 'emails' ? entry : `a@${entry}`) !== undefined
}
