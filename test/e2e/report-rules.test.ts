import { beforeEach, expect, test } from 'vitest'
import { readMetric } from '../support/outage.ts'
import { prepared } from '../support/prepared.ts'
import { useRuledParty } from '../support/ruled-party.ts'

const party = useRuledParty({
  rules: [
    { name: 'soon closed', paths: ['/old/**'], access: 'deny', report: true },
    { name: 'only admins', access: 'signed-in', groups: ['admins'], report: true },
    { name: 'elsewhere', hosts: ['other.example.com'], access: 'deny', report: true },
    { name: 'told once', paths: ['/told'], access: 'signed-in', groups: ['admins'], report: true },
    { paths: ['/public/**'], access: 'public' },
    { paths: ['/closed/**'], access: 'deny' },
    { access: 'signed-in' },
  ],
})
const metricsAtStart = prepared(async () => (await party.vestibule.internal('/metrics')).body)
const cookies = prepared(async () => ({
  admin: await party.vestibule.signIn('admin'),
  member: await party.vestibule.signIn('member'),
  nobody: undefined,
}))

function countOf(rule: string) {
  return readMetric(party.vestibule, `vestibule_rules_would_deny_total{rule="${rule}"}`)
}

const RULES = ['soon closed', 'only admins', 'elsewhere', 'told once'] as const
const counts = () => Promise.all(RULES.map(countOf))
let before: readonly number[] = []
beforeEach(async () => {
  before = await counts()
})

test('each report rule has a count of 0 from the start, and no other rule has one', () => {
  const all = metricsAtStart().split('\n')
  const lines = all.filter((line) => line.startsWith('vestibule_rules_would_deny'))
  expect(lines).toEqual(RULES.map((rule) => `vestibule_rules_would_deny_total{rule="${rule}"} 0`))
})

type Person = 'admin' | 'member' | 'nobody'

test.for<[person: Person, uri: string, status: number, counted: readonly number[]]>([
  ['admin', '/a', 200, [0, 0, 0]],
  ['member', '/a', 200, [0, 1, 0]],
  ['nobody', '/a', 302, [0, 0, 0]],
  ['admin', '/old/a', 200, [1, 0, 0]],
  ['member', '/old/a', 200, [1, 1, 0]],
  ['nobody', '/old/a', 302, [0, 0, 0]],
  ['admin', '/public/a', 200, [0, 0, 0]],
  ['member', '/public/a', 200, [0, 1, 0]],
  ['nobody', '/public/a', 200, [0, 0, 0]],
  ['member', '/closed/a', 403, [0, 1, 0]],
])('%s at %s: answered as without the report rules', async ([person, uri, status, counted]) => {
  const { headers, ...visit } = await party.check({ uri }, { Cookie: cookies()[person] })
  expect(visit.status).toBe(status)
  const isTold = status === 200 && uri !== '/public/a'
  expect(headers['x-auth-request-user'] ?? '').toBe(isTold ? person : '')
  // By the count of a later request, the work behind this answer is done.
  await party.check({ uri: '/old/last' }, { Cookie: cookies().member })
  const expected = before.map((count, at) => count + (counted[at] ?? 0) + (at < 2 ? 1 : 0))
  await expect.poll(counts).toEqual(expected)
})

test('the line of a report rule tells whom it would refuse, and why', async () => {
  await party.check({ uri: '/told?code=secret' }, { Cookie: cookies().member })
  const told = () => party.vestibule.log().filter(({ rule }) => rule === 'told once')
  await expect.poll(told).not.toEqual([])
  const [line] = told()
  expect(line).toMatchObject({
    level: 'info',
    event: 'would_deny',
    code: 'not_listed',
    reason: "the groups of the session hold none of the rule's",
    host: 'app.example.com',
    path: '/told',
  })
  expect(line?.['user']).toMatch(/^[\w-]{16}$/)
  expect(JSON.stringify(line)).not.toMatch(/secret|member/)
})
