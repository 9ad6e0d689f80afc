import { expect, test } from 'vitest'
import type { RuleSource } from '../../src/config/rules/rules-file.ts'
import { prepared } from '../support/prepared.ts'
import { expectRefusal } from '../support/refusal.ts'
import { useBearerParty } from '../support/used-party.ts'
import { type Forwarded } from '../support/vestibule.ts'

/** Each overlaps with another; the table below says which of them decides. */
const sources: readonly RuleSource[] = [
  { paths: ['/public/secret/**'], access: 'deny' },
  { paths: ['/public/staff/**'], access: 'signed-in', groups: ['staff'] },
  { paths: ['/public/**'], access: 'public' },
  { paths: ['/public/late/**'], access: 'deny' },
  { paths: ['/read/**'], methods: ['GET'], access: 'public' },
  { paths: ['/read/**'], access: 'signed-in', groups: ['admins'] },
  { paths: ['/write/**'], methods: ['POST', 'PUT'], access: 'deny' },
  { paths: ['/write/**'], access: 'public' },
  { hosts: ['other.example.com'], paths: ['/shared/**'], access: 'public' },
  { paths: ['/shared/**'], access: 'signed-in', emails: ['alice@example.com'] },
  { paths: ['/domain/**'], access: 'signed-in', emailDomains: ['example.com'] },
  { paths: ['/either/**'], access: 'signed-in', groups: ['admins'], emails: ['bob@example.com'] },
  { paths: ['/a/*'], access: 'public' },
  { paths: ['/a/**'], access: 'deny' },
  { paths: ['/**/status'], access: 'public' },
  { hosts: ['app.example.com'], access: 'signed-in' },
]

const party = useBearerParty(sources, { ALLOW_ANY_USER: 'false' })
const cookies = prepared(async () => {
  await party.provider.allowOrigin('https://other.example.com')
  const { signIn } = party.vestibule
  return [undefined, await signIn('bob'), await signIn('alice')] as const
})

type Outcome = readonly [nobody: number, bob: number, alice: number]

const OPEN: Outcome = [200, 200, 200]
const CLOSED: Outcome = [403, 403, 403]
const SIGNED_IN: Outcome = [401, 200, 200]
const ALICE: Outcome = [401, 403, 200]

const table: readonly (readonly [string, Forwarded, Outcome])[] = [
  ['an earlier deny wins over a wider public rule', { uri: '/public/secret/a' }, CLOSED],
  ['an earlier group wins over a wider public rule', { uri: '/public/staff' }, SIGNED_IN],
  ['the wider public rule has the rest', { uri: '/public/other' }, OPEN],
  ['a later, narrower deny is never asked', { uri: '/public/late/a' }, OPEN],
  ['a method narrows a public rule', { uri: '/read/a' }, OPEN],
  ['HEAD goes with GET', { uri: '/read/a', method: 'HEAD' }, OPEN],
  ['other methods go on to the next rule', { uri: '/read/a', method: 'DELETE' }, ALICE],
  ['a preflight is another method too', { uri: '/read/a', method: 'OPTIONS' }, ALICE],
  ['a query changes no rule', { uri: '/read/a?x=/public/a', method: 'DELETE' }, ALICE],
  ['a method narrows a deny', { uri: '/write/a', method: 'POST' }, CLOSED],
  ['each of its methods', { uri: '/write/a', method: 'PUT' }, CLOSED],
  ['and no other', { uri: '/write/a', method: 'PATCH' }, OPEN],
  ['a host narrows a public rule', { uri: '/shared/a' }, ALICE],
  ['a mail domain admits all of it', { uri: '/domain/a' }, SIGNED_IN],
  ['any list admits', { uri: '/either/a' }, SIGNED_IN],
  ['one segment is public', { uri: '/a/b' }, OPEN],
  ['none and two segments go on', { uri: '/a/b/c' }, CLOSED],
  ['the path itself goes on', { uri: '/a' }, CLOSED],
  ['a deny wins over a later ending', { uri: '/a/b/status' }, CLOSED],
  ['an ending in the middle of nowhere', { uri: '/x/y/status' }, OPEN],
  ['an ending with a query', { uri: '/x?/status' }, SIGNED_IN],
  ['what nobody names is for the signed-in', { uri: '/' }, SIGNED_IN],
  ['an unclear path meets each rule it may mean', { uri: '/%2fx/write/a', method: 'POST' }, CLOSED],
  ['an unclear path may not use a public rule', { uri: '/public//a' }, SIGNED_IN],
]

const script = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }

test.for(table)('%s: %j', async ([, forwarded, expected]) => {
  const statuses: number[] = []
  for (const Cookie of cookies()) {
    const visit = await party.check(forwarded, { ...script, Cookie })
    statuses.push(visit.status)
    if (visit.status === 401 || visit.status === 403) expectRefusal(visit, visit.status)
  }
  expect(statuses).toEqual(expected)
})

test('what no rule names is denied, and a host rule is for its host', async () => {
  const host = 'other.example.com'
  const cookie = await party.vestibule.signIn('alice', host)
  expect((await party.check({ host, uri: '/shared/a' })).status).toBe(200)
  expectRefusal(await party.check({ host, uri: '/' }, script), 403)
  expectRefusal(await party.check({ host, uri: '/' }, { ...script, Cookie: cookie }), 403)
})

test('a public answer names nobody, though somebody is signed in', async () => {
  const visit = await party.check({ uri: '/public/a' }, { Cookie: cookies()[2] })
  const headers = { 'x-auth-request-user': '', 'x-auth-request-groups': '' }
  expect(visit).toMatchObject({ status: 200, headers })
})
