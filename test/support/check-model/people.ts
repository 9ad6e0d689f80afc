import type { RuleSource } from '../../../src/config/rules/rules-file.ts'
import { bearerRule } from '../bearers.ts'
import type { Person } from './world.ts'

/** Rules of every kind, whose order matters. */
export const RULES: readonly RuleSource[] = [
  { paths: ['/public/**', '/status'], methods: ['GET'], access: 'public' },
  { paths: ['/café/*'], access: 'public' },
  { paths: ['/Admin/**'], access: 'signed-in', groups: ['admins'] },
  bearerRule('/api/**', { scopes: ['orders:read'] }, { preflight: 'pass' }),
  bearerRule('/reports/**', {}, { groups: ['admins'], degraded: 'deny' }),
  bearerRule('/deploy/**', {}, { oneTime: true }),
  { paths: ['/debug/**'], access: 'deny' },
  { paths: ['/cors/**'], access: 'signed-in', preflight: 'pass' },
  {
    hosts: ['*.wild.example.com'],
    access: 'signed-in',
    emailDomains: ['example.com'],
    degraded: 'deny',
  },
  { paths: ['/assets/**'], access: 'public' },
  { access: 'signed-in', groups: ['staff'], emails: ['carl@example.org'] },
]

const many = (count: number) =>
  Array.from({ length: count }, (_, at) => `group-${at}-${'g'.repeat(32)}`)

export const PEOPLE: readonly Person[] = [
  {
    sub: 'alice',
    email: 'alice@example.com',
    username: 'alice',
    name: 'Alice Liddell',
    groups: ['staff', 'admins'],
  },
  { sub: 'bob', email: 'Bob@Example.com', name: 'Bob', groups: ['staff'] },
  { sub: 'carl', email: 'carl@example.org', groups: [] },
  { sub: 'dora', groups: ['staffs'], username: 'dora' },
  { sub: 'zoë', name: 'Zoë 🦊', groups: ['staff', 'a,b', '100%'] },
  { sub: 'grace', groups: ['staff', ...many(70)] },
  { sub: 'heidi', groups: ['staff', ...many(300)] },
]

/** Users of the provider for these people. */
export const USERS = PEOPLE.map(({ sub, email, username, name, groups }) => ({
  sub,
  groups,
  ...(email !== undefined && { email, email_verified: true }),
  ...(username !== undefined && { preferred_username: username }),
  ...(name !== undefined && { name }),
}))

export const HOSTS = ['app.example.com', 'other.example.com', 'b.wild.example.com']

export const NOBODY: Person = { sub: '', groups: [] }
