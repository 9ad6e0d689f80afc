import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compileRules } from '../../src/config/rules/access-rules.ts'
import { type RulesFile, rulesFile } from '../../src/config/rules/rules-file.ts'
import type { Question } from '../../src/core/access/explain/question.ts'
import { anyQuestion, anyRulesFile } from '../support/any-rules.ts'
import { composeInternalApp } from '../support/composed-internal-app.ts'

const ADMIN_TOKEN = 'the-token-of-operators-0123456789'
const HOST = 'app.example.com'

interface Answers {
  readonly page: number
  readonly script: number
}

let composed: ReturnType<typeof composeInternalApp>
beforeAll(() => {
  const people = { ALLOW_ANY_USER: '', ALLOWED_GROUPS: 'g1' }
  composed = composeInternalApp({ ADMIN_TOKEN, PROTECTED_HOSTS: HOST, ...people })
})
afterAll(() => composed.close())

/** Replaces the rules; returns whether they can be used. */
function useRules(file: unknown): boolean {
  const problems: string[] = []
  const { data } = rulesFile.safeParse(file)
  if (data) composed.replaceRules(compileRules(composed.settings, data, problems))
  return data !== undefined && problems.length === 0
}

async function explained(question: Question): Promise<Answers> {
  const headers = { Authorization: `Bearer ${ADMIN_TOKEN}`, 'Content-Type': 'application/json' }
  const response = await composed.request('/admin/explain', headers, JSON.stringify(question))
  const { page, script } = (await response.json()) as Answers
  return { page, script }
}

const SENDERS = {
  page: { Accept: 'text/html;q=0.9', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' },
  script: { Accept: '*/*', 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' },
}
const PREFLIGHT = { Origin: `https://${HOST}`, 'Access-Control-Request-Method': 'PUT' }

/** Signs in the person of a question, if it has one, and checks its request. */
async function checked({ url, method = 'GET', user, ip, policy, ...given }: Question) {
  const { email, groups, claims } = given
  const sent = {
    ...claims,
    sub: user,
    ...(email !== undefined && { email, email_verified: true }),
    ...(groups && { groups }),
  }
  const [, proto = '', host = '', uri = ''] = /^(\w+):\/\/([^/]+)(.*)$/.exec(url) ?? []
  const headers = {
    'X-Forwarded-Method': method,
    'X-Forwarded-Proto': proto,
    'X-Forwarded-Host': host,
    'X-Forwarded-Uri': uri,
    ...(ip !== undefined && { 'X-Forwarded-For': ip }),
    ...(user !== undefined && (await composed.signIn(sent))),
  }
  const path = policy === undefined ? '/auth' : `/auth?policy=${encodeURIComponent(policy)}`
  const preflight = method === 'OPTIONS' ? PREFLIGHT : {}
  const page = await composed.request(path, { ...headers, ...SENDERS.page })
  const script = await composed.request(path, { ...headers, ...SENDERS.script, ...preflight })
  return { page: page.status, script: script.status } satisfies Answers
}

describe('an explanation has the answers of the check', () => {
  const RULES = {
    policies: { office: { networks: ['192.0.2.0/24'] } },
    rules: [
      { paths: ['/public/**'], access: 'public' },
      { paths: ['/guests/**'], access: 'optional' },
      { paths: ['/deny/**'], access: 'deny' },
      { paths: ['/office/**'], access: 'signed-in', policy: 'office' },
      { paths: ['/api/**'], access: 'signed-in', preflight: 'pass' },
      { paths: ['/robots/**'], access: 'signed-in', bearer: { audiences: ['api'] }, oneTime: true },
      { access: 'signed-in', allow: { none: [{ claims: { dept: ['hr'] } }] } },
    ],
  }
  const ada = { user: 'ada', claims: { dept: 'it' } }
  test.for<readonly [target: string, question: Omit<Question, 'url'>, ...answers: number[]]>([
    ['/public/', {}, 200, 200],
    ['/public%2f', {}, 302, 401],
    ['/public/', { policy: 'office', ip: '192.0.2.1' }, 302, 401],
    ['/public/', { policy: 'office', ip: '192.0.2.1', ...ada }, 200, 200],
    ['/public/', { policy: 'none', ...ada }, 403, 403],
    ['/guests/', {}, 200, 200],
    ['/deny/', ada, 403, 403],
    ['/office/', { ...ada, ip: '192.0.2.1' }, 200, 200],
    ['/office/', { ...ada, ip: '10.0.0.1' }, 403, 403],
    ['/office/', ada, 403, 403],
    ['/api/', { method: 'OPTIONS' }, 401, 200],
    ['/api/', { method: 'POST' }, 303, 401],
    ['/robots/', ada, 401, 401],
    ['/else', ada, 200, 200],
    ['/else', { user: 'ada' }, 403, 403],
    ['/else', { method: 'TRACE' }, 405, 405],
    ['/%2e%2e/x', ada, 400, 400],
    ['/oauth2/me', ada, 403, 403],
  ])('for %s and %o', async ([target, given, page, script]) => {
    expect(useRules(RULES)).toBe(true)
    const question = { url: `https://${HOST}${target}`, ...given }
    expect(await explained(question)).toEqual({ page, script })
    expect(await checked(question)).toEqual({ page, script })
  })

  test('for any rules, people and requests', async () => {
    const property = fc.asyncProperty(
      anyRulesFile as fc.Arbitrary<RulesFile>,
      fc.array(anyQuestion(HOST), { minLength: 3, maxLength: 3 }),
      async (file, questions) => {
        fc.pre(useRules(file))
        for (const question of questions) {
          const answers = await explained(question)
          expect({ question, ...answers }).toEqual({ question, ...(await checked(question)) })
        }
      },
    )
    await fc.assert(property, { numRuns: 100 })
  })
})
