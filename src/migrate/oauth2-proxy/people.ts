import type { ConditionSource } from '../../config/rules/condition-source.ts'
import { parseEmail } from '../../core/access/allowed-users.ts'
import { code } from '../code-span.ts'
import { NOBODY, readGroups } from './groups.ts'
import { readListedEmails } from './listed-emails.ts'
import { type Reading, tell } from './reading.ts'

/** Those who may enter, by the name of their rule. */
export interface Entrance {
  readonly name: 'people' | 'everybody-with-an-address'
  readonly allow: ConditionSource
}

/** Reads who may enter. Both the address and, where groups are named, a group are needed, as in oauth2-proxy. */
export function readPeople(reading: Reading, provider: string): Entrance {
  const groups = readGroups(reading, provider)
  const isForAll = reading.values.list('email-domain').includes('*')
  const address = isForAll ? anyAddress(reading) : readAddresses(reading)
  return {
    name: isForAll ? 'everybody-with-an-address' : 'people',
    allow: bothOf(address, groups),
  }
}

/** Joins conditions in one where it can: its keys are all needed, and each can be there once. */
function bothOf(address: ConditionSource, groups: ConditionSource | undefined): ConditionSource {
  if (groups === undefined) return address
  const isPlain = Object.keys(address).every((key) => !(key in groups))
  return isPlain ? { ...address, ...groups } : { all: [address, groups] }
}

function anyAddress(reading: Reading): ConditionSource {
  tell(
    reading,
    'email-domain',
    'carried',
    `\`*\` lets everybody with an address in: whoever has none is in no domain, and so not outside \`${NOBODY}\` either`,
  )
  tell(reading, 'authenticated-emails-file', 'carried', 'did not count beside `*`')
  return { none: [{ emailDomains: [NOBODY] }] }
}

function readAddresses(reading: Reading): ConditionSource {
  const { values, draft } = reading
  const emails = readListedEmails(reading)
  const exact = readDomains(reading)
  const kinds: ConditionSource[] = [
    ...(exact.length > 0 ? [{ emailDomains: [...exact] }] : []),
    ...(emails.length > 0 ? [{ emails: [...emails] }] : []),
  ]
  const [only, ...others] = kinds
  if (only) return others.length === 0 ? only : { any: kinds }
  draft.note(
    'todo',
    values.label('email-domain'),
    'names nobody whom a rule can name: the last rule lets nobody in until you write there who may enter',
  )
  return { emailDomains: [NOBODY] }
}

function readDomains(reading: Reading): readonly string[] {
  const { values } = reading
  const domains = values.list('email-domain').map((domain) => domain.toLowerCase())
  const wider = domains.filter((domain) => /^\*?\./.test(domain))
  const exact = domains.filter((domain) => parseEmail(`a@${domain}`))
  const others = domains.filter((domain) => ![...wider, ...exact].includes(domain))
  if (wider.length > 0)
    tell(
      reading,
      'email-domain',
      'todo',
      `lets every sub-domain of ${wider.map(code).join(', ')} in, and a rule names each domain: add them to \`emailDomains\` of the last rule`,
    )
  if (others.length > 0)
    tell(
      reading,
      'email-domain',
      'dropped',
      `${others.map(code).join(', ')} is no domain, blanks included, and let nobody in`,
    )
  tell(
    reading,
    'email-domain',
    'carried',
    'is in the last rule, beside the groups if there are any',
  )
  return exact
}
