import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { expectRefusal } from '../support/refusal.ts'
import { useRuledParty } from '../support/ruled-party.ts'
import { asScript } from '../support/used-party.ts'
import { type Forwarded, startVestibule } from '../support/vestibule.ts'
import type { VisitHeaders } from '../support/visitor.ts'
import { checkRaw } from '../support/wire-requests.ts'

const party = useRuledParty({
  policies: {
    admins: { groups: ['admins'] },
    office: { networks: ['192.0.2.0/24'] },
  },
  rules: [
    { paths: ['/public/**'], access: 'public' },
    { paths: ['/guests/**'], access: 'optional' },
    { paths: ['/closed/**'], access: 'deny' },
    { paths: ['/api/**'], access: 'signed-in', preflight: 'pass' },
    { paths: ['/staff/**'], access: 'signed-in', groups: ['staff', 'admins'] },
    { access: 'signed-in' },
  ],
})
const cookies = prepared(async () => ({
  admin: await party.vestibule.signIn('admin'),
  member: await party.vestibule.signIn('member'),
  nobody: undefined,
}))

type Person = 'admin' | 'member' | 'nobody'

function ask(forwarded: Forwarded, person: Person, headers: VisitHeaders = {}) {
  return party.check(forwarded, { Cookie: cookies()[person], ...headers })
}

const PATHS = ['/public/a', '/guests/a', '/closed/a', '/api/a', '/staff/a', '/else'] as const
const PEOPLE = ['admin', 'member', 'nobody'] as const

describe('what the address of the middleware demands', () => {
  test.for<[query: string, uri: string, admin: number, member: number, nobody: number]>([
    ['', '/public/a', 200, 200, 200],
    ['?', '/public/a', 200, 200, 200],
    ['', '/guests/a', 200, 200, 200],
    ['', '/staff/a', 200, 200, 302],
    ['?policy=admins', '/public/a', 200, 403, 302],
    ['?policy=admins', '/guests/a', 200, 403, 302],
    ['?policy=admins', '/closed/a', 403, 403, 403],
    ['?policy=admins', '/staff/a', 200, 403, 302],
    ['?policy=admins', '/else', 200, 403, 302],
    ['?groups=admins', '/else', 200, 403, 302],
    ['?groups=none,staff', '/public/a', 403, 200, 302],
    ['?groups=none%2C%20staff', '/else', 403, 200, 302],
    ['?groups=Admins', '/else', 403, 403, 302],
    ['?policy=admins&groups=staff', '/else', 403, 403, 302],
    ['?policy=admins&groups=staff,admins', '/else', 200, 403, 302],
  ])('narrows the rules, and widens none: %s at %s', async ([query, uri, ...statuses]) => {
    const visits = await Promise.all(PEOPLE.map((person) => ask({ query, uri }, person)))
    expect(visits.map(({ status }) => status)).toEqual(statuses)
    const [admin] = visits
    const isDemanded = query.length > 1 && admin?.status === 200
    if (isDemanded) expect(admin?.headers['x-auth-request-user']).toBe('admin')
  })

  test('looks at the address of the client', async () => {
    const outside = { query: '?policy=office', uri: '/public/a' }
    const inside = { ...outside, for: '192.0.2.7' }
    expect((await ask(inside, 'member')).status).toBe(200)
    expect((await ask(outside, 'member')).status).toBe(403)
    expect((await ask(inside, 'nobody')).status).toBe(302)
  })

  test('lets a preflight pass where the rule says so', async () => {
    const preflight = { Origin: 'https://app.example.com', 'Access-Control-Request-Method': 'PUT' }
    const options = { query: '?policy=admins', uri: '/api/a', method: 'OPTIONS' }
    const { status, headers } = await ask(options, 'nobody', preflight)
    expect([status, headers['x-auth-request-user']]).toEqual([200, ''])
  })

  test.for<[policy: string, missing: string]>([
    ['admins', 'groups: none of the wanted ones'],
    ['office', "networks: the client's address is in none of them"],
  ])('is named in the line of a 403, on a public rule too: %s', async ([policy, missing]) => {
    const { headers } = await ask({ query: `?policy=${policy}`, uri: '/public/a' }, 'member')
    const id = headers['x-request-id']
    const line = party.vestibule.log().find(({ request_id }) => request_id === id)
    const reason = `the address of the middleware demands what is not met: ${missing}`
    expect(line).toMatchObject({ event: 'not_permitted', code: 'demanded_policy', policy, reason })
    expect(line).not.toHaveProperty('rule')
  })
})

describe('an address of the middleware that cannot be used', () => {
  test.for<[query: string, status: 400 | 403, error: string]>([
    ['?policy=nope', 403, 'unknown_policy'],
    ['?policy=__proto__', 403, 'unknown_policy'],
    ['?policy=admins%00', 403, 'unknown_policy'],
    ['?policy=', 400, 'invalid_request'],
    ['?policy=admins&policy=admins', 400, 'invalid_request'],
    ['?groups=admins,', 400, 'invalid_request'],
    ['?x=1', 400, 'invalid_request'],
    ['?policy%00=admins', 400, 'invalid_request'],
  ])('lets nobody pass, by any rule, and redirects nobody: %s', async ([query, status, error]) => {
    for (const person of PEOPLE) {
      for (const uri of PATHS) {
        const page = await ask({ query, uri }, person)
        expectRefusal(page, status)
        expect(page.body).toContain('This is not your fault')
        const script = await ask({ query, uri }, person, asScript)
        expectRefusal(script, status)
        expect(JSON.parse(script.body)).toMatchObject({ error })
      }
    }
  })

  test('is told the operator with its name, and the visitor as no fault of theirs', async () => {
    const askAgain = () => ask({ query: '?policy=n%0Aqqq', uri: '/public/a' }, 'nobody')
    const { headers, body } = await askAgain()
    expect(headers['content-type']).toMatch(/^text\/html/)
    expect(body).toContain('This is not your fault')
    expect(body).not.toContain('qqq')
    const told = { policy: 'n qqq', setting: 'VESTIBULE_CONFIG policies', level: 'warn' }
    // Asks again, because more than ten lines a second are left out.
    const lineOf = async () => {
      const id = (await askAgain()).headers['x-request-id']
      return party.vestibule.log().find(({ request_id }) => request_id === id)
    }
    await expect
      .poll(lineOf, { interval: 200 })
      .toMatchObject({ event: 'refused', code: 'unknown_policy', status: 403, ...told })
  })

  test('is not told to a caller outside TRUSTED_PROXIES', async () => {
    await using vestibule = await startVestibule({ TRUSTED_PROXIES: '10.9.0.0/16' })
    for (const query of ['', '?policy=nope', '?x=1']) {
      const { status, body } = await vestibule.check({ query }, asScript)
      expect([status, JSON.parse(body)]).toMatchObject([403, { error: 'untrusted_peer' }])
    }
  })
})

describe('a policy that somebody may not enter by', () => {
  const line = (target: string, method = 'GET') => `${method} ${target} HTTP/1.1`

  test.for<[line: string, status: number]>([
    [line('/auth?policy=admins'), 403],
    [line('/auth?policy=admins', 'HEAD'), 403],
    [line('/auth?policy=admins', 'OPTIONS'), 403],
    [line('/auth?policy=admins', 'PROPFIND'), 403],
    [line('http://elsewhere/auth?policy=admins'), 403],
    [line('http://elsewhere/auth?policy=admins#'), 400],
    [line('http://elsewhere?policy=none/auth?policy=admins'), 404],
    [line('http://elsewhere/auth#?policy=admins'), 400],
    [line('/%61uth?policy=admins'), 403],
    [line('/auth?%70olicy=%61dmins'), 403],
    [line('/auth?policy=admins%23'), 403],
    [line('/auth?&policy=admins&'), 403],
    [line('/auth??policy=admins'), 400],
    [line('/auth?policy=admins?'), 403],
    [line('/auth?policy=admins;policy=none'), 403],
    [line('/auth?Policy=admins'), 400],
    [line('/auth?policy[]=admins'), 400],
    [line('/auth?=admins'), 400],
    [line('/auth?policy'), 400],
    [line('/auth#'), 400],
    [line('/auth/?policy=admins'), 404],
    [line('/AUTH?policy=admins'), 404],
    [line('//auth?policy=admins'), 404],
    [line('/./auth?policy=admins'), 403],
    [line('/x/../auth?policy=admins'), 403],
    [line('\\auth?policy=admins'), 400],
    [line('/auth;policy=admins'), 404],
    [line('/auth%3Fpolicy=admins'), 404],
    [line('/auth%00?policy=admins'), 404],
    [line('*'), 400],
  ])('is demanded by each form of its address: %s', async ([request, status]) => {
    const cookie = `Cookie: ${cookies().member}`
    const answer = await checkRaw(party.vestibule, { line: request, headers: [cookie] })
    expect(answer.statuses).toEqual([status])
  })
})
