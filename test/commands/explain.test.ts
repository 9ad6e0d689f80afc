import { beforeAll, describe, expect, test } from 'vitest'
import { explain } from '../../src/commands/explain/explain.ts'
import { runCommand } from '../support/command.ts'
import { useFolder } from '../support/configuration.ts'

const RULES = `
policies: { office: { networks: [192.0.2.0/24] } }
rules:
  - { name: admins only, paths: [/admin/**], access: signed-in, allow: { groups: [admins], claims: { a.b: ['1', '2'], n: [7] } } }
  - { name: API, paths: [/api/**], access: signed-in, groups: [staff], preflight: pass, bearer: { issuers: [https://id.example.com], audiences: [api] } }
  - { name: pilot, report: true, access: signed-in, groups: ["x\\u001b[2J"] }
  - { name: the rest, access: signed-in }
`
const { write } = useFolder()
let environment: Readonly<Record<string, string>>
beforeAll(async () => {
  const path = await write(RULES)
  environment = { VESTIBULE_CONFIG: path, PROTECTED_HOSTS: 'app.example.com' }
})

const run = (...args: readonly string[]) => runCommand(() => explain(environment, ...args))
const ADMIN = 'https://app.example.com/admin/users'
const API = '--url=https://app.example.com/api/x'
const asAdmin = ['--groups', '["admins","a, b"]', '--claim=a.b=2', '--claim', 'n=7']

test('an explanation ends with the statuses of a page and a script', async () => {
  const { code, output } = await run(
    '--url',
    ADMIN,
    '--user=ada',
    ...asAdmin,
    '--ip=::ffff:192.0.2.7',
  )
  expect([code, output.split('\n')]).toEqual([
    0,
    [
      `url: ${ADMIN}`,
      'method: GET',
      'who: ada · email: unknown · groups: admins, a, b',
      'ignored: email: no such claim',
      'client: 192.0.2.7',
      'readings:',
      '  /admin/users → admins only',
      'rules:',
      '  admins only (signed-in) permits',
      '    all → yes',
      '      groups: admins → yes (admins, "a, b")',
      '      claim a.b: 1, 2 → yes (2)',
      '      claim n: 7 → yes (7)',
      'why: the rules permit this person',
      'page: 200',
      'script: 200',
      '',
    ],
  ])
})

test.for<readonly [args: readonly string[], line: string | RegExp]>([
  [[], 'who: nobody is signed in'],
  [[], '  admins only (signed-in) needs a sign-in'],
  [['--method=OPTIONS'], 'method: OPTIONS'],
  [['--email=ada@example.com'], /^who: without sub · email: ada@example\.com · groups: unknown$/],
  [['--groups='], /^who: .* groups: none$/],
  [['--groups=a', '--groups', 'b,c'], /^who: .* groups: a, b, c$/],
  [['--ip=10.0.0.1'], 'client: unknown, because 10.0.0.1 is one of TRUSTED_PROXIES'],
  [['--claim=n=7.0'], /claim n: 7 → no \(7\.0\)$/],
  [['--claim=n=9007199254740993'], /claim n: 7 → no \(9007199254740993\)$/],
  [['--claim=n=7', '--claim=n=x=y'], /claim n: 7 → yes \(7, x=y\)$/],
  [['--claim=n=["7"]'], /claim n: 7 → yes \(7\)$/],
  [['--claim=n=unknown'], /claim n: 7 → no \(unknown\)$/],
  // An id beyond 2^53 stays the text that the provider sends.
  [['--claim=n=163840776835432705'], /claim n: 7 → no \(163840776835432705\)$/],
  [['--claim=n=null'], /claim n: 7 → no \(null\)$/],
  [['--claim=n={"a":7}'], /claim n: 7 → unknown, because it is neither/],
  [['--claim=n="7"'], /claim n: 7 → no \("?\\?"7/],
  [['--claim=a={"b":[1]}'], /claim a\.b: 1, 2 → yes \(1\)$/],
  [['--policy=office', '--ip=192.0.2.1'], 'demanded by the middleware:'],
  [['--policy=office', '--ip=192.0.2.1'], '    networks: 192.0.2.0/24 → yes (192.0.2.1)'],
  [['--policy=others'], '  /admin/users'],
  [[API], '    tokens: accepted'],
  [[API, '--groups=a'], /^ {4}lists, one of them:\n {6}groups: staff → no \(a\)$/],
  [[API, '--method=OPTIONS'], 'why, for a script: a preflight may pass'],
  [[API, '--method=PUT'], /^why: nobody is signed in\npage: /],
  [['--policy=others'], /^why: .* policy that does not exist/],
])('%j prints %s', async ([args, line]) => {
  const { code, output } = await run(`--url=${ADMIN}`, ...args)
  expect(code).toBe(0)
  expect(output).toMatch(asPattern(line))
})

function asPattern(line: string | RegExp): RegExp {
  return new RegExp(typeof line === 'string' ? `^${RegExp.escape(line)}$` : line, 'm')
}

test('ambiguous paths, other paths of browsers and report rules are told', async () => {
  const { output } = await run('--url=https://app.example.com/b/%2e%2e/a', '--user=ada')
  expect(output).toMatch(/^note: a browser sends \/a instead$/m)
  const several = await run('--url=https://app.example.com/a;b', '--user=ada')
  expect(several.output).toMatch(
    /^ {2}\/a;b → the rest\n {2}\/a → the rest\n {2}\(several readings: /m,
  )
  expect(several.output).toMatch(/^report rules:\n {2}pilot \(signed-in\) would deny\n/m)
  const stranger = await run('--url=https://app.example.com/a')
  expect(stranger.output).toMatch(/^ {2}pilot \(signed-in\) does not count, because nobody/m)
})

test('--json prints the explanation', async () => {
  const { code, output } = await run('--url', ADMIN, '--json')
  expect([code, JSON.parse(output)]).toMatchObject([0, { url: ADMIN, page: 302, script: 401 }])
})

test.for<readonly [answer: string, args: readonly string[], code: number]>([
  ['allow', [`--url=${ADMIN}`, ...asAdmin], 0],
  ['deny', [`--url=${ADMIN}`, '--user=ada'], 0],
  ['deny', ['--url=https://other.example.com/'], 0],
  ['deny', [`--url=${ADMIN}`, '--method=PUT'], 0],
  ['sign-in', [`--url=${ADMIN}`], 0],
  ['sign-in', [`--url=${ADMIN}`, '--method=POST'], 0],
  ['allow', [`--url=${ADMIN}`], 1],
  ['deny', [`--url=${ADMIN}`], 1],
  ['sign-in', [`--url=${ADMIN}`, '--user=ada'], 1],
])('--expect=%s of %j ends with %i', async ([answer, args, code]) => {
  const result = await run(...args, `--expect=${answer}`)
  expect(result.code).toBe(code)
  const told = /^vestibule: expected (\S+), but the answer is \S+$/m.exec(result.output)?.[1]
  expect(told).toBe(code === 0 ? undefined : answer)
})

test.for<readonly [fault: RegExp, ...args: string[]]>([
  [/--url: is missing/],
  [/--url: must be a whole address such as https:/, '--url=app.example.com/x'],
  [/--user: is empty/, `--url=${ADMIN}`, '--user='],
  [/--email: is empty/, `--url=${ADMIN}`, '--email='],
  [/--method: is empty/, `--url=${ADMIN}`, '--method='],
  [/--policy: is empty/, `--url=${ADMIN}`, '--policy='],
  [/--ip: is no IP address/, `--url=${ADMIN}`, '--ip=localhost'],
  [/is not a JSON array/, `--url=${ADMIN}`, '--groups=["a",1]'],
  [/--claim must have the form NAME=VALUE/, `--url=${ADMIN}`, '--claim=a'],
  [/--claim must have the form NAME=VALUE/, `--url=${ADMIN}`, '--claim==a'],
  [/--expect must be one of/, `--url=${ADMIN}`, '--expect=200'],
  [/--tests takes a file/, '--tests='],
  [/--tests takes a file/, '--tests=x', `--url=${ADMIN}`],
  [/--tests takes a file/, '--tests=x', '--expect=allow'],
  [/Unknown option/, `--url=${ADMIN}`, '--host=x'],
  [/Unexpected argument/, ADMIN],
  [/argument missing|ambiguous/, '--url'],
])('%s is a usage error', async ([fault, ...args]) => {
  const { code, output } = await run(...args)
  expect([code, output]).toEqual([2, expect.stringMatching(/^usage: vestibule explain --url=URL /)])
  expect(output.trimEnd().split('\n').at(-1)).toMatch(fault)
})

test('a configuration that cannot be used is told with all of its problems', async () => {
  const path = await write('rules: [{ access: signed-in, policy: none }]')
  const bad = { VESTIBULE_CONFIG: path, PROTECTED_HOST: 'app.example.com', TRUSTED_PROXIES: 'x' }
  const { code, output } = await runCommand(() => explain(bad, `--url=${ADMIN}`))
  expect(code).toBe(2)
  for (const problem of ['PROTECTED_HOSTS: is empty', 'TRUSTED_PROXIES: x', 'rules.0.policy: '])
    expect(output).toContain(`\n  - ${problem}`)
  expect(output).toContain('note: PROTECTED_HOST is not a setting')
})

test('nothing but what access needs is asked for or read', async () => {
  const others = {
    ...environment,
    OIDC_ISSUER_URL: '',
    OIDC_CLIENT_SECRET_FILE: '/nowhere',
    SESSION_ENCRYPTION_KEY: 'x',
    REDIS_ENABLED: 'perhaps',
    PORT: 'x',
  }
  const { code } = await runCommand(() => explain(others, `--url=${ADMIN}`))
  expect(code).toBe(0)
  const wrong = { ...others, OIDC_CLIENT_ID: 'x', OIDC_TRUST_EMAIL: 'perhaps' }
  const { output } = await runCommand(() => explain(wrong, `--url=${ADMIN}`))
  expect(output).toMatch(/^ {2}- OIDC_TRUST_EMAIL: /m)
})

test.for<readonly [escaped: string, ...args: string[]]>([
  ['\\u{1b}[2J\\u{202e}\\u{85}\\u{2028}\\u{d}\\u{a}'],
  ['\\u001b[2J', '--json'],
])('control characters reach the terminal as %s (A93)', async ([escaped, ...args]) => {
  const evil = '\u001b[2J\u202e\u0085\u2028\r\n'
  const url = `--url=https://app.example.com/${evil}`
  const person = ['user', 'email', 'groups'].map((name) => `--${name}=a${evil}b`)
  const results = [
    await run(url, ...person, `--policy=${evil}`, ...args),
    await run(url, ...person, `--method=${evil}`, ...args),
    await run(`--url=${ADMIN}`, ...person, `--claim=n=${evil}`, `--claim=a${evil}=1`, ...args),
  ]
  for (const { output } of results) {
    expect(output).toContain(escaped)
    expect(output).not.toMatch(/[^\P{Cc}\n]/u)
  }
  expect((await run(`--url=x${evil}`)).output).not.toMatch(/[^\P{Cc}\n]/u)
})

describe('--tests', () => {
  const GOOD = `
- { url: "${ADMIN}", expect: sign-in }
- { name: admins may enter, url: "${ADMIN}", groups: [admins], claims: { a: { b: [1] }, n: 7 }, expect: allow }
- { name: others may not, url: "${ADMIN}", user: ada, email: ada@example.com, groups: [], ip: 192.0.2.1, expect: deny }
- { name: from the office, url: "${ADMIN}", method: POST, policy: office, expect: sign-in }
`
  const tests = async (yaml: string, ...args: readonly string[]) =>
    run('--tests', await write(yaml), ...args)

  test('all pass', async () => {
    const lines = [`ok ${ADMIN}`, 'ok admins may enter', 'ok others may not', 'ok from the office']
    const output = [...lines, '4 passed, 0 failed', ''].join('\n')
    expect(await tests(GOOD)).toEqual({ code: 0, output })
    expect(await tests(`tests:${GOOD.replaceAll('\n', '\n  ')}`)).toEqual({ code: 0, output })
  })

  test('one that fails is explained', async () => {
    const { code, output } = await tests(`${GOOD}- { url: "${ADMIN}", user: ada, expect: allow }\n`)
    expect(code).toBe(1)
    const [failed, ...explained] = output.trimEnd().split('\n').slice(4)
    expect(failed).toBe(`not ok ${ADMIN}: expected allow, but the answer is deny`)
    expect(explained.slice(0, 2)).toEqual([`  url: ${ADMIN}`, '  method: GET'])
    expect(explained.slice(-3)).toEqual(['  page: 403', '  script: 403', '4 passed, 1 failed'])
  })

  test('--json prints the results', async () => {
    const { code, output } = await tests(GOOD.replace('expect: deny', 'expect: allow'), '--json')
    const { passed, failed, tests: results } = JSON.parse(output) as Record<string, unknown>
    expect([code, passed, failed]).toEqual([1, 3, 1])
    const failing = { name: 'others may not', expect: 'allow', outcome: 'deny' }
    expect(results).toMatchObject([{}, {}, { ...failing, explanation: { page: 403 } }, {}])
  })

  test.for<readonly [yaml: string, problem: RegExp]>([
    ['', /tests: the file has no tests/],
    ['[]', /tests: the file has no tests/],
    ['tests: []', /tests: the file has no tests/],
    ['tests:', /tests: the file has no tests/],
    ['yes', /tests: the file has no tests/],
    [`- { url: "${ADMIN}" }`, /tests\.0\.expect: /],
    [`- { url: "${ADMIN}", expect: 200 }`, /tests\.0\.expect: /],
    ['- { expect: deny }', /tests\.0\.url: is missing/],
    ['- { url: /admin, expect: deny }', /tests\.0\.url: must be a whole address/],
    [`${GOOD}- { url: "${ADMIN}", expected: deny }`, /tests\.4: Unrecognized key: "expected"/],
    [`- { url: "${ADMIN}", user: 7, expect: deny }`, /tests\.0\.user: is not a text: write/],
    [`- { url: "${ADMIN}", groups: admins, expect: deny }`, /tests\.0\.groups: is not a list such/],
    [`- { url: "${ADMIN}", claims: [a], expect: deny }`, /tests\.0\.claims: is not a map such/],
    [`- { url: "${ADMIN}", ip: office, expect: deny }`, /tests\.0\.ip: is no IP address/],
    ['more: 1\ntests: []', /Unrecognized key: "more"/],
    ['- [', /not YAML: line /],
  ])('%j is a file that cannot be used', async ([yaml, problem]) => {
    const { code, output } = await tests(yaml)
    expect([code, output]).toEqual([2, expect.stringMatching(problem)])
  })

  test('a file that is not there cannot be used', async () => {
    const { code, output } = await run('--tests=/nowhere/rules.test.yaml')
    expect([code, output]).toEqual([
      2,
      expect.stringMatching(/rules\.test\.yaml cannot be read \(ENOENT\)/),
    ])
  })
})
