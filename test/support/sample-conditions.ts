import type { Condition } from '../../src/core/access/condition.ts'
import type { Identity } from '../../src/core/identity.ts'

/** Person whose values a log line must not tell. */
export const PERSON: Identity = {
  issuer: 'https://id.example.com',
  subject: 'subject-of-ada',
  email: 'ada@example.com',
  groups: ['staff-secret'],
  claims: { role: 'lead-secret', absent: '', odd: ['odd-secret'] },
  incomparable: ['odd'],
}
export const NOBODY: Identity = { issuer: 'i', subject: '', groups: [], claims: {} }

export const only = (kind: 'groups' | 'users' | 'emails' | 'emailDomains', ...texts: string[]) =>
  ({ kind, values: new Set(texts) }) as const
export const claim = (name: string, ...texts: string[]): Condition => ({
  kind: 'claim',
  name,
  values: new Set(texts),
})
export const office: Condition = {
  kind: 'networks',
  networks: { sources: ['192.0.2.0/24'], contains: (address) => address.startsWith('192.0.2.') },
}
export const ops = only('groups', 'ops')
export const staff = only('groups', 'staff-secret')
