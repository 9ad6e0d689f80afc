import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import type { RuleSource } from '../../src/config/rules/rules-file.ts'
import { prepared } from '../support/prepared.ts'
import { expectRefusal } from '../support/refusal.ts'
import { startRelyingParty } from '../support/relying-party.ts'
import { writeRules } from '../support/rules-file.ts'
import { type Forwarded, startVestibule } from '../support/vestibule.ts'

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

const rules = prepared(() => writeRules(sources))
const party = prepared(() =>
  startRelyingParty({ VESTIBULE_CONFIG: rules().path, ALLOW_ANY_USER: 'false' }),
)
const vestibule = () => party().vestibule
const cookies = prepared(async () => {
  await party().provider.allowOrigin('https://other.example.com')
  return [undefined, await vestibule().signIn('bob'), await vestibule().signIn('alice')] as const
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
    const statuses: number[] = []
    for (const Cookie of cookies()) {
      const visit = await vestibule().check(forwarded, { ...script, Cookie })
      statuses.push(visit.status)
      if (visit.status === 401 || visit.status === 403) expectRefusal(visit, visit.status)
    }
    expect(statuses).toEqual(expected)
  })

  test('what no rule names is denied, and a host rule is for its host', async () => {
    const host = 'other.example.com'
    const cookie = await vestibule().signIn('alice', host)
    expect((await vestibule().check({ host, uri: '/shared/a' })).status).toBe(200)
    expectRefusal(await vestibule().check({ host, uri: '/' }, script), 403)
    expectRefusal(await vestibule().check({ host, uri: '/' }, { ...script, Cookie: cookie }), 403)
  })

  test('a public answer names nobody, though somebody is signed in', async () => {
    const visit = await vestibule().check({ uri: '/public/a' }, { Cookie: cookies()[2] })
    const headers = { 'x-auth-request-user': '', 'x-auth-request-groups': '' }
    expect(visit).toMatchObject({ status: 200, headers })
  })

  test('the file comes before the environment', async () => {
    await using own = await writeRules([{ paths: ['/public/secret/**'], access: 'deny' }])
    const settings = { VESTIBULE_CONFIG: own.path, PUBLIC_PATHS: '/public/**' }
    await using both = await startVestibule(settings)
    expect((await both.check({ uri: '/public/a' }, script)).status).toBe(200)
    expect((await both.check({ uri: '/public/secret/a' }, script)).status).toBe(403)
    expect((await both.check({ uri: '/' }, script)).status).toBe(401)
  })

  test.for<[string, unknown]>([
    ['a negated path', { paths: ['!/admin/**'], access: 'public' }],
    ['a regular expression', { paths: ['^/api/.*/status'], access: 'public' }],
    ['a query', { paths: ['/a?x=1'], access: 'public' }],
    ['an unknown key', { path: '/admin/**', access: 'public' }],
    ['an unknown access', { access: 'skip' }],
    ['no access', { paths: ['/admin/**'] }],
    ['a method in small letters', { methods: ['get'], access: 'public' }],
    ['a negated method', { methods: ['!GET'], access: 'public' }],
    ['people for a public rule', { access: 'public', groups: ['admins'] }],
    ['people for a deny rule', { access: 'deny', emails: ['a@example.com'] }],
    ['a host that is none', { hosts: ['a b'], access: 'public' }],
    ['an address that is none', { access: 'signed-in', emails: ['a@b@c'] }],
  ])('a rule that would surprise stops the start: %s', async ([, rule]) => {
    await using own = await writeRules([rule as RuleSource])
    expect(() => loadConfig({ ...environment, VESTIBULE_CONFIG: own.path })).toThrow(/rules\.0/)
  })

  test('an ordinary rule starts, so the refusals above are about the rules', async () => {
    await using own = await writeRules([{ paths: ['/a/**'], access: 'public' }])
    const { rules: compiled } = loadConfig({ ...environment, VESTIBULE_CONFIG: own.path })
    expect(compiled).toHaveLength(1)
  })
})
