import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import type { RuleSource } from '../../src/config/rules/rules-file.ts'
import { expectRefusal } from '../support/refusal.ts'
import { type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { type WrittenRules, writeRules } from '../support/rules-file.ts'
import { type Forwarded, startVestibule } from '../support/vestibule.ts'

let rules: WrittenRules
let party: RelyingParty
const cookies: Record<string, string | undefined> = {}

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

beforeAll(async () => {
  rules = await writeRules(sources)
  party = await startRelyingParty({ VESTIBULE_CONFIG: rules.path, ALLOW_ANY_USER: 'false' })
  await party.provider.allowOrigin('https://other.example.com')
  cookies['alice'] = await party.vestibule.signIn('alice')
  cookies['bob'] = await party.vestibule.signIn('bob')
})
afterAll(async () => {
  await party[Symbol.asyncDispose]()
  await rules[Symbol.asyncDispose]()
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

const environment = {
  PROTECTED_HOSTS: 'app.example.com',
  OIDC_ISSUER_URL: 'https://id.example.com',
  OIDC_CLIENT_ID: 'vestibule',
}

const script = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }

describe('A26 rule order', () => {
  test.for(table)('%s: %j', async ([, forwarded, expected]) => {
    const { vestibule } = party
    const statuses: number[] = []
    for (const name of ['nobody', 'bob', 'alice']) {
      const visit = await vestibule.check(forwarded, { ...script, Cookie: cookies[name] })
      statuses.push(visit.status)
      if (visit.status === 401 || visit.status === 403) expectRefusal(visit, visit.status)
    }
    expect(statuses).toEqual(expected)
    expect(vestibule.isAlive()).toBe(true)
  })

  test('what no rule names is denied, and a host rule is for its host', async () => {
    const { vestibule } = party
    const host = 'other.example.com'
    const cookie = await vestibule.signIn('alice', host)
    expect((await vestibule.check({ host, uri: '/shared/a' })).status).toBe(200)
    expectRefusal(await vestibule.check({ host, uri: '/' }, script), 403)
    expectRefusal(await vestibule.check({ host, uri: '/' }, { ...script, Cookie: cookie }), 403)
  })

  test('a public answer names nobody, though somebody is signed in', async () => {
    const visit = await party.vestibule.check({ uri: '/public/a' }, { Cookie: cookies['alice'] })
    expect(visit.status).toBe(200)
    expect(visit.headers['x-auth-request-user']).toBe('')
    expect(visit.headers['x-auth-request-groups']).toBe('')
  })

  test('the file comes before the environment', async () => {
    await using own = await writeRules([{ paths: ['/public/secret/**'], access: 'deny' }])
    await using vestibule = await startVestibule({
      VESTIBULE_CONFIG: own.path,
      PUBLIC_PATHS: '/public/**',
    })
    expect((await vestibule.check({ uri: '/public/a' }, script)).status).toBe(200)
    expect((await vestibule.check({ uri: '/public/secret/a' }, script)).status).toBe(403)
    expect((await vestibule.check({ uri: '/' }, script)).status).toBe(401)
  })

  test.for<[string, unknown, RegExp]>([
    ['a negated path', { paths: ['!/admin/**'], access: 'public' }, /rules\.0/],
    ['a regular expression', { paths: ['^/api/.*/status'], access: 'public' }, /rules\.0/],
    ['a query', { paths: ['/a?x=1'], access: 'public' }, /rules\.0/],
    ['an unknown key', { path: '/admin/**', access: 'public' }, /rules\.0/],
    ['an unknown access', { access: 'skip' }, /rules\.0/],
    ['no access', { paths: ['/admin/**'] }, /rules\.0/],
    ['a method in small letters', { methods: ['get'], access: 'public' }, /rules\.0/],
    ['a negated method', { methods: ['!GET'], access: 'public' }, /rules\.0/],
    ['people for a public rule', { access: 'public', groups: ['admins'] }, /rules\.0/],
    ['people for a deny rule', { access: 'deny', emails: ['a@example.com'] }, /rules\.0/],
    ['a host that is none', { hosts: ['a b'], access: 'public' }, /rules\.0/],
    ['an address that is none', { access: 'signed-in', emails: ['a@b@c'] }, /rules\.0/],
  ])('a rule that would surprise stops the start: %s', async ([, rule, problem]) => {
    await using own = await writeRules([rule as RuleSource])
    expect(() => loadConfig({ ...environment, VESTIBULE_CONFIG: own.path })).toThrow(problem)
  })

  test('an ordinary rule starts, so the refusals above are about the rules', async () => {
    await using own = await writeRules([{ paths: ['/a/**'], access: 'public' }])
    const { rules: compiled } = loadConfig({ ...environment, VESTIBULE_CONFIG: own.path })
    expect(compiled).toHaveLength(1)
  })
})
