import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { type AccessRule, createAccessFinder } from '../../src/core/access-rule.ts'
import type { ForwardedRequest } from '../../src/core/forwarded-request.ts'
import { compilePathPattern } from '../../src/core/path-pattern.ts'
import { isUnder, pathReadings } from '../../src/core/path-readings.ts'
import { createSite, parseHost } from '../../src/core/site.ts'
import { readMetric } from '../support/outage.ts'
import { type WrittenRules, writeRules } from '../support/rules-file.ts'
import { type RunningVestibule, startVestibule } from '../support/vestibule.ts'

const PATTERNS = Array.from({ length: 100 }, (_, index) => [
  `/a/b${index}/**/end${index}`,
  `/*/*/*/*/z${index}`,
]).flat()

/** Each is repeated until the path has the wanted length. */
const hostile: readonly string[] = [
  'a',
  'a-',
  'a/',
  'A/',
  '/',
  '../',
  './',
  ';/',
  ';a',
  '\\',
  '%',
  '%2',
  '%2e%2e%2f',
  '%25252f',
  '%252525',
  '%c0%af',
  '%ef%b7%ba',
  '%ef%bc%8e/',
  '%09',
  '%20/',
  'a%00/',
  '%3f',
  '-.~_',
  'A/%2fB;x%252f%3f%09\\',
]
const MAX_LENGTH = 8192

const pathOf = (unit: string, length: number, tail: string): string =>
  `/b${unit.repeat(Math.ceil(length / unit.length))}`.slice(0, length - tail.length) + tail

let rules: WrittenRules
let vestibule: RunningVestibule

beforeAll(async () => {
  rules = await writeRules([
    { paths: PATTERNS, access: 'deny' },
    { paths: ['/public/**/x'], access: 'public' },
    { access: 'signed-in' },
  ])
  vestibule = await startVestibule({
    VESTIBULE_CONFIG: rules.path,
    PROTECTED_HOSTS: 'app.example.com,*.apps.example.com',
    ALLOW_ANY_USER: 'false',
  })
})
afterAll(async () => {
  await vestibule[Symbol.asyncDispose]()
  await rules[Symbol.asyncDispose]()
})

const findAccess = createAccessFinder(
  PATTERNS.map(
    (source): AccessRule => ({
      paths: [compilePathPattern(source)],
      access: 'signed-in',
      passesPreflight: false,
    }),
  ),
)

const site = createSite('https', 'app.example.com', '')

/** What this thread has spent so far, however many share the machine. */
const spentMs = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** The same of the service. */
const spentByServiceMs = async (): Promise<number> =>
  1000 * (await readMetric(vestibule, 'vestibule_process_cpu_seconds_total'))

/** What a path costs a check, in milliseconds: the cheapest of several, since the first ones are not compiled yet. */
const cost = (path: string): number => {
  const took = Array.from({ length: 4 }, () => {
    const beforeMs = spentMs()
    const readings = pathReadings(path)
    isUnder('/oauth2', readings)
    const request: ForwardedRequest = {
      method: 'GET',
      site,
      uri: path,
      path,
      readings,
      url: site.origin + path,
      isWebSocketScheme: false,
    }
    findAccess(request)
    return spentMs() - beforeMs
  })
  return Math.min(...took)
}

describe('A25 regular expressions and hostile paths', () => {
  test.for(hostile)('a path of %j costs in proportion to its length at most', (unit) => {
    for (const tail of ['!', '/end1']) {
      const short = cost(pathOf(unit, MAX_LENGTH / 8, tail))
      const long = cost(pathOf(unit, MAX_LENGTH, tail))
      // Eight times the length; a quadratic cost would be 64 times, an exponential one would not end.
      expect(long).toBeLessThan(Math.max(short, 0.3) * 8 * 3)
    }
  })

  test('the path of the threat list costs no more with each character', () => {
    const costs = [28, 40, 80, 160].map((length) => cost(`/${'a'.repeat(length)}!`))
    expect(Math.max(...costs)).toBeLessThan(5)
  })

  test.for(hostile)('the service answers a path of %j as fast as any other', async (unit) => {
    const beforeMs = await spentByServiceMs()
    const visits = await Promise.all(
      ['', '!', '/end1'].map((tail) => vestibule.check({ uri: pathOf(unit, MAX_LENGTH, tail) })),
    )
    for (const { status } of visits) expect([302, 400, 403]).toContain(status)
    expect((await spentByServiceMs()) - beforeMs).toBeLessThan(500)
    expect(vestibule.isAlive()).toBe(true)
  })

  test('others are served while somebody sends such paths', async () => {
    const flood = hostile.map((unit) => vestibule.check({ uri: pathOf(unit, MAX_LENGTH, '!') }))
    const startedAtMs = performance.now()
    const visit = await vestibule.check({ uri: '/a' })
    const tookMs = performance.now() - startedAtMs
    await Promise.all(flood)
    expect(visit.status).toBe(302)
    // The deadline of a check.
    expect(tookMs).toBeLessThan(1500)
  })

  test('a path above the limit is refused before anything is matched', async () => {
    const visit = await vestibule.check({ uri: pathOf('A/', MAX_LENGTH + 1, '!') })
    expect(visit.status).toBe(400)
    expect(visit.headers['cache-control']).toBe('no-store')
  })

  test('hosts cost nothing either', async () => {
    const [hereMs, thereMs] = [spentMs(), await spentByServiceMs()]
    for (const unit of ['a', 'a.', 'a-', '.', '-', '1', ':1']) {
      parseHost(`${unit.repeat(30_000)}!`)
      parseHost(`${unit.repeat(120)}!`)
      expect((await vestibule.check({ host: `${unit.repeat(2000)}!` })).status).toBe(400)
    }
    expect(spentMs() - hereMs).toBeLessThan(1000)
    expect((await spentByServiceMs()) - thereMs).toBeLessThan(1000)
  })

  test.for([
    '^/(?:[a-z0-9-]+/?)+\\.json$',
    '/(?:[a-z]+)+\\.json*',
    '/a*',
    '/*.json',
    '/a**',
    '/**/a/**',
    '/***',
    'public/**',
    'public',
  ])('a rule that is more than segments stops the start: %j', (pattern) => {
    const load = (PUBLIC_PATHS: string) => loadConfig({ ...environment, PUBLIC_PATHS })
    expect(() => load(pattern)).toThrow(/PUBLIC_PATHS/)
    expect(load('/a/*/b,/c/**').rules).toHaveLength(2)
  })
})

const environment = {
  PROTECTED_HOSTS: 'app.example.com',
  OIDC_ISSUER_URL: 'https://id.example.com',
  OIDC_CLIENT_ID: 'vestibule',
  ALLOW_ANY_USER: 'true',
}
