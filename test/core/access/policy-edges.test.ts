import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { loadConfig } from '../../../src/config/load.ts'
import { confidential, problemsWith, useFolder } from '../../support/configuration.ts'
import { expectedAnswer } from '../../support/policy-model/expected-answer.ts'
import { createProduct, loadProduct } from '../../support/policy-model/product-answer.ts'
import type {
  SentCheck,
  SentClaims,
  WrittenCondition,
  WrittenFile,
} from '../../support/policy-model/written.ts'
import { rows } from '../../support/words.ts'

const { pathOf, write } = useFolder()
const HOSTS = ['app.example.com']
const ann = { iss: 'https://id.example.com', sub: 'ann' }

function askedFor(path: string, query = ''): SentCheck {
  return { query, kind: 'page', method: 'GET', host: 'app.example.com', path, readings: [path] }
}

function load(file: object) {
  return loadProduct(stringify(file), pathOf('vestibule.yaml'), HOSTS)
}

/** Returns the value of a condition, told by whether it permits and whether its opposite does. */
function truthOf(condition: object, claims: SentClaims): string {
  const ask = load({
    rules: [
      { paths: ['/it'], access: 'signed-in', allow: condition },
      { paths: ['/not'], access: 'signed-in', allow: { none: [condition] } },
    ],
  })
  const [isTrue, isFalse] = ['/it', '/not'].map(
    (path) => ask(askedFor(path), { ...ann, ...claims }).status === 200,
  )
  if (isTrue) return isFalse ? 'true and false' : 'true'
  return isFalse ? 'false' : 'unknown'
}

/** Texts that a careless comparison might make of a claim. */
const WANTED = [
  'a',
  '7',
  '1.5',
  'true',
  'false',
  'null',
  'undefined',
  '[object Object]',
  '9007199254740992',
]

describe('a claim of every JSON type', () => {
  test.for<[unknown, groups: string, claims: string]>([
    [undefined, 'unknown', 'unknown'],
    [null, 'unknown', 'unknown'],
    ['', 'unknown', 'unknown'],
    ['a', 'true', 'true'],
    ['A', 'false', 'false'],
    [7, 'true', 'true'],
    [8, 'false', 'false'],
    [1.5, 'true', 'true'],
    [2 ** 53, 'unknown', 'unknown'],
    [-(2 ** 60), 'unknown', 'unknown'],
    [true, 'unknown', 'true'],
    [false, 'unknown', 'true'],
    [[], 'false', 'false'],
    [['a'], 'true', 'true'],
    [['b', 'a'], 'true', 'true'],
    [['b', null, ''], 'false', 'false'],
    [[null], 'false', 'false'],
    [['b', true], 'unknown', 'true'],
    [['a', {}], 'true', 'unknown'],
    [['b', {}], 'unknown', 'unknown'],
    [['b', ['a']], 'unknown', 'unknown'],
    [['b', 2 ** 53], 'unknown', 'unknown'],
    [[{ name: 'a' }], 'true', 'unknown'],
    [{}, 'false', 'unknown'],
    [{ a: true }, 'true', 'unknown'],
    [{ a: false, b: true }, 'false', 'unknown'],
    [{ toString: 'a' }, 'false', 'unknown'],
  ])('%j is, as groups, %s, and as another claim, %s', ([value, groups, claims]) => {
    expect(truthOf({ groups: WANTED }, { groups: value })).toBe(groups)
    expect(truthOf({ claims: { groups: WANTED } }, { groups: value })).toBe(groups)
    expect(truthOf({ claims: { x: WANTED } }, { x: value })).toBe(claims)
    expect(truthOf({ claims: { 'deep.x': WANTED } }, { deep: { x: value } })).toBe(claims)
  })

  test.for<[unknown, unknown, string]>([
    ['ann@example.com', true, 'true'],
    ['Ann@Example.COM', 'true', 'true'],
    ['bob@example.net', true, 'false'],
    ['ann@example.com', false, 'unknown'],
    ['ann@example.com', 1, 'unknown'],
    ['ann@example.com', undefined, 'unknown'],
    [['ann@example.com'], true, 'unknown'],
    [{ 0: 'ann@example.com' }, true, 'unknown'],
    ...[7, true, '', null, undefined, 'ann', 'a@b@example.com', 'ann@ex\u00e4mple.com'].map(
      (odd): [unknown, unknown, string] => [odd, true, 'unknown'],
    ),
  ])('%j as an address with email_verified %j is %s', ([email, email_verified, truth]) => {
    const claims = { email, email_verified }
    expect(truthOf({ emails: ['ann@example.com'] }, claims)).toBe(truth)
    expect(truthOf({ emailDomains: ['example.com'] }, claims)).toBe(truth)
    expect(truthOf({ claims: { email: ['ann@example.com'] } }, claims)).toBe(truth)
  })
})

describe('names of prototypes', () => {
  const SOURCE = String(Object)
  test.for(rows`constructor toString hasOwnProperty valueOf x.__proto__ x.constructor`())(
    'the claim %s is one that nobody has unless it is sent',
    ([name]) => {
      expect(truthOf({ claims: { [name]: [SOURCE, 'a'] } }, { x: { y: 1 } })).toBe('unknown')
      expect(truthOf({ claims: { [name]: [SOURCE, 'a'] } }, { [name]: 'a' })).toBe('true')
      expect(truthOf({ groups: [name], users: ['ann'] }, { groups: ['x'] })).toBe('false')
    },
  )

  test.for(rows`constructor toString __proto__ hasOwnProperty`())(
    'no policy is called %s',
    ([name]) => {
      const ask = load({ policies: { p: { users: ['ann'] } }, rules: [{ access: 'public' }] })
      expect(ask(askedFor('/', `policy=${name}`), ann).status).toBe(403)
      expect(ask(askedFor('/', `policy=${name}`), undefined).status).toBe(403)
      expect(ask(askedFor('/', 'policy=p'), ann).status).toBe(200)
    },
  )
})

describe('conditions within conditions', () => {
  const nested = (levels: number): WrittenCondition =>
    levels === 0 ? { users: ['ann'] } : { all: [nested(levels - 1)] }
  const problemsOf = async (condition: object) =>
    problemsWith({
      ALLOW_ANY_USER: '',
      VESTIBULE_CONFIG: await write(
        stringify({ rules: [{ access: 'signed-in', allow: condition }] }),
      ),
    })

  test('eight levels are evaluated, and nine stop a start', async () => {
    expect(truthOf(nested(7), {})).toBe('true')
    expect(await problemsOf(nested(8))).toEqual([])
    expect(await problemsOf(nested(9))).not.toEqual([])
  })

  test('none over something unknown is unknown, however deep', () => {
    const unknown = { claims: { x: ['a'] } }
    for (const inner of [unknown, { any: [unknown] }, { all: [unknown, { users: ['ann'] }] }])
      expect(truthOf(inner, {})).toBe('unknown')
    expect(truthOf({ none: [unknown, { users: ['ann'] }] }, {})).toBe('false')
    expect(truthOf({ any: [unknown, { users: ['ann'] }] }, {})).toBe('true')
    expect(truthOf({ all: [unknown, { users: ['bob'] }] }, {})).toBe('false')
  })
})

describe('a condition that throws', () => {
  /** Makes every condition on networks throw, wherever it is in what was compiled. */
  function breakNetworks(compiled: unknown, seen = new Set<unknown>()): number {
    if (typeof compiled !== 'object' || compiled === null || seen.has(compiled)) return 0
    seen.add(compiled)
    const members = compiled instanceof Map ? [...compiled.values()] : Object.values(compiled)
    const isBroken = 'contains' in compiled && Reflect.set(compiled, 'contains', throwing)
    return members.reduce<number>((sum, each) => sum + breakNetworks(each, seen), isBroken ? 1 : 0)
  }
  const throwing = () => {
    throw new Error('planted')
  }
  const networks = { networks: ['203.0.113.0/24'] }

  test.for<[string, WrittenCondition]>([
    ['alone', networks],
    ['under none', { none: [networks] }],
    ['under none of none', { none: [{ none: [networks] }] }],
    ['beside another key', { users: ['ann'], ...networks }],
    ['before one that is true, under all', { all: [networks, { users: ['ann'] }] }],
    ['after one that is false, under any', { any: [{ users: ['bob'] }, networks] }],
  ])('%s lets nobody pass, by a rule, a policy or the address', async ([, condition]) => {
    const policies = { p: condition }
    const rules = [
      { paths: ['/allow'], access: 'signed-in', allow: condition },
      { paths: ['/policy'], access: 'signed-in', policy: 'p' },
      { access: 'public' },
    ]
    const config = loadConfig({
      ...confidential,
      ALLOW_ANY_USER: '',
      VESTIBULE_CONFIG: await write(stringify({ policies, rules })),
    })
    expect(breakNetworks(config.rules)).toBeGreaterThan(0)
    const ask = createProduct(config)
    for (const [path, query] of [['/allow'], ['/policy'], ['/', 'policy=p']] as const) {
      const sent = { ...askedFor(path, query), forwardedFor: '203.0.113.7' }
      expect(() => ask(sent, ann)).toThrow('planted')
    }
  })
})

test('a thousand rules are answered as a plain model does', () => {
  const file: WrittenFile = {
    rules: Array.from({ length: 1000 }, (_, at) => ({
      paths: [`/r${at % 500}/${at < 500 ? '*' : '**'}`],
      access: 'signed-in',
      allow: { groups: [`g${at}`], none: [{ users: ['bob'] }] },
    })),
  }
  const ask = load(file)
  const answers = [0, 1, 250, 499].flatMap((at) =>
    [`/r${at}`, `/r${at}/x`, `/R${at}/x/`, `/r${at}/x/y`, `/r${at + 500}/x`].flatMap((path) =>
      [`g${at}`, `g${at + 500}`].map((group) => {
        const claims = { ...ann, groups: [group] }
        const sent = askedFor(path)
        expect(ask(sent, claims), `${path} ${group}`).toEqual(expectedAnswer(file, sent, claims))
        return ask(sent, claims).status
      }),
    ),
  )
  expect(new Set(answers)).toEqual(new Set([200, 403]))
})
