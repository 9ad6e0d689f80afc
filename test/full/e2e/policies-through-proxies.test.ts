import { beforeEach, describe, expect, test } from 'vitest'
import type { RuleSource } from '../../../src/config/rules/rules-file.ts'
import { proxyMissing } from '../../../stand-ins/proxy/proxies.ts'
import { audienceProxies, startAudienceProxy } from '../../support/audience-proxies.ts'
import { prepared } from '../../support/prepared.ts'
import { givenTo, type Passage, send } from '../../support/protected-app.ts'
import { startRelyingParty } from '../../support/relying-party.ts'
import { writeRules } from '../../support/rules-file.ts'

const FILE = {
  policies: { staff: { groups: ['staff'] }, admins: { groups: ['admins'] } },
}
const RULES: readonly RuleSource[] = [
  { name: 'open', paths: ['/*/public/**'], access: 'public' },
  { name: 'readers', paths: ['/*/optional/**'], access: 'optional' },
  { name: 'closed', paths: ['/*/closed/**'], access: 'deny' },
  { name: 'everybody', access: 'signed-in' },
]

type Statuses = readonly [alice: number, bob: number, stranger: number]

/** Alice is in staff and admins, Bob in staff. */
const EVERYBODY: Statuses = [200, 200, 302]
const ADMINS: Statuses = [200, 403, 302]
const MALFORMED: Statuses = [400, 400, 400]
const UNKNOWN: Statuses = [403, 403, 403]

/** Query of the address of the middleware, and the answers on a page for signed-in people. */
const AUDIENCES: readonly (readonly [query: string, Statuses])[] = [
  ['', EVERYBODY],
  ['?policy=staff', EVERYBODY],
  ['?policy=admins', ADMINS],
  ['?groups=admins', ADMINS],
  ['?groups=admins,staff', EVERYBODY],
  ['?groups=admins,nobodies', ADMINS],
  ['?policy=staff&groups=admins', ADMINS],
  ['?groups=staff&policy=admins', ADMINS],
  ['?%70olicy=%61dmins', ADMINS],
  ['?groups=%61dmins%2Cnobodies', ADMINS],
  ['?groups=+admins%20', ADMINS],
  ['?policy', MALFORMED],
  ['?policy=', MALFORMED],
  ['?policy=%20', MALFORMED],
  ['?policy=staff&policy=admins', MALFORMED],
  ['?policy=staff&%70olicy=staff', MALFORMED],
  ['?policy=staff&policy=', MALFORMED],
  ['?groups=staff&groups=admins', MALFORMED],
  ['?groups=', MALFORMED],
  ['?groups=staff,,admins', MALFORMED],
  ['?groups=staff,', MALFORMED],
  ['?Policy=staff', MALFORMED],
  ['?policies=staff', MALFORMED],
  ['?allowed_groups=staff', MALFORMED],
  ['?policy=staff&x=1', MALFORMED],
  ['?=staff', MALFORMED],
  ['?policy=nosuch', UNKNOWN],
  ['?policy=Staff', UNKNOWN],
  ['?policy=staff,admins', UNKNOWN],
  ['?policy=staff%20', UNKNOWN],
  ['?policy=%2573taff', UNKNOWN],
  ['?policy=constructor', UNKNOWN],
  ['?policy=__proto__', UNKNOWN],
]

const at = (query: string) => AUDIENCES.findIndex(([each]) => each === query)

async function startAudiences(kind: (typeof audienceProxies)[number]) {
  await using stack = new AsyncDisposableStack()
  const { path } = stack.use(await writeRules(RULES, FILE))
  const settings = { VESTIBULE_CONFIG: path, ALLOW_ANY_USER: 'false' }
  const { vestibule } = stack.use(await startRelyingParty(settings))
  const queries = AUDIENCES.map(([query]) => query)
  const proxy = stack.use(await startAudienceProxy(kind, { vestibule, settings, queries }))
  const cookies = [await vestibule.signIn('alice'), await vestibule.signIn('bob'), '']
  const resources = stack.move()
  return {
    vestibule,
    /** Asks as Alice, Bob and a stranger. */
    ask: (
      query: string,
      page: string,
      headers: readonly string[] = [],
    ): Promise<readonly Passage[]> =>
      Promise.all(
        cookies.map((cookie) =>
          send(proxy.origin, {
            target: `/${at(query)}${page}`,
            headers: cookie === '' ? headers : ['Cookie', cookie, ...headers],
          }),
        ),
      ),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

describe.for(audienceProxies)('policies on the address of the check, through %s', (kind) => {
  const missing = proxyMissing(kind)
  const started = prepared(async () => (missing ? undefined : startAudiences(kind)))
  beforeEach(({ skip }) => skip(missing !== undefined, missing))
  const audiences = () => started() as Awaited<ReturnType<typeof startAudiences>>
  const statusesAt = async (query: string, page: string) =>
    (await audiences().ask(query, page)).map(({ status }) => status)

  test.for([
    ['?policy=nosuch', { code: 'unknown_policy', status: 403, policy: 'nosuch' }],
    ['?policy=staff&policy=admins', { code: 'invalid_request', status: 400 }],
  ] as const)('a fault of the address has its line in the log: %s', async ([query, fields]) => {
    await audiences().ask(query, '/')
    const line = expect.objectContaining({ event: 'refused', ...fields }) as unknown
    expect(audiences().vestibule.log()).toContainEqual(line)
  })

  test.for(AUDIENCES)(
    '/auth%s answers Alice, Bob and a stranger: %j',
    async ([query, statuses]) => {
      expect(await statusesAt(query, '/')).toEqual(statuses)
    },
  )

  test.for(AUDIENCES.slice(1))(
    'public and optional pages are no way round /auth%s',
    async ([query, statuses]) => {
      for (const page of ['/public/a', '/optional/a']) {
        expect(await statusesAt(query, page), page).toEqual(statuses)
      }
    },
  )

  test.for(AUDIENCES)('nobody gets at what a rule denies: /auth%s', async ([query, statuses]) => {
    const denied = statuses === MALFORMED ? MALFORMED : UNKNOWN
    expect(await statusesAt(query, '/closed/a')).toEqual(denied)
  })

  test.for([
    '?policy=staff',
    '?groups=staff',
    '?policy=nosuch',
    '?policy=staff&policy=admins',
    '?x=1',
  ])('the query of the visitor changes nothing: %s', async (asked) => {
    expect(await statusesAt('?policy=admins', `/${asked}`)).toEqual(ADMINS)
    expect(await statusesAt('', `/${asked}`)).toEqual(EVERYBODY)
    expect(await statusesAt('', `/public/a${asked}`)).toEqual([200, 200, 200])
  })

  test.for([
    ...['User', 'Groups', 'Access-Token'].map((end) => `X-Auth-Request-${end}`),
    ...['User', 'Email', 'Groups', 'Preferred-Username', 'Access-Token'].map(
      (end) => `X-Forwarded-${end}`,
    ),
  ])('nobody gets %s through beside a policy, in whatever spelling', async (name) => {
    const sent = await audiences().ask('?policy=staff', '/', [name, 'forged'])
    expect(sent.map(({ status }) => status)).toEqual(EVERYBODY)
    expect(JSON.stringify(sent.map(({ app }) => app))).not.toContain('forged')
    const alias = await audiences().ask('?policy=staff', '/', [name.replaceAll('-', '_'), 'forged'])
    expect(alias.map(({ status }) => status)).toEqual(MALFORMED)
  })

  test('the middleware without a policy gives an identity on optional pages, and none on public ones', async () => {
    const users = async (page: string) =>
      (await audiences().ask('', page)).map(({ app }) => givenTo(app, 'X-Auth-Request-User').join())
    expect(await users('/optional/a')).toEqual(['alice', 'bob', ''])
    expect(await users('/public/a')).toEqual(['', '', ''])
    expect(await users('/')).toEqual(['alice', 'bob', ''])
  })
})
