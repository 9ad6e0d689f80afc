import fc from 'fast-check'
import { askedPaths, askedQueries } from './asked-paths.ts'
import {
  BODIES,
  EXTRAS,
  FOREIGN,
  LINES,
  METHODS,
  ODD,
  PLAIN_LINE,
  REFUSED,
  SPOILS,
  STYLES,
} from './odd-headers.ts'
import { sessionCookie } from './sent-headers.ts'
import type { SentHeader, SentRequest, World } from './world.ts'

function often<T, U>(weight: number, usual: fc.Arbitrary<T>, rare: fc.Arbitrary<U>) {
  return fc.oneof<[fc.WeightedArbitrary<T>, fc.WeightedArbitrary<U>]>(
    { withCrossShrink: true },
    { weight, arbitrary: usual },
    { weight: 1, arbitrary: rare },
  )
}
const one = fc.constantFrom
const none = fc.constant<readonly never[]>([])

/** Requests biased towards trouble; everything they hold means something in this world. */
export function askedRequests(world: World): fc.Arbitrary<SentRequest> {
  const forwarded = forwardedHeaders(world)
  return fc
    .record({
      forwarded,
      style: one(...STYLES),
      cookies: cookieHeaders(world),
      tokens: tokenHeaders(world),
      extras: often(
        1,
        none,
        fc.array(one<(readonly SentHeader[])[]>(...EXTRAS), { maxLength: 2 }).map(joined),
      ),
      refused: often(
        25,
        none,
        one(...REFUSED).map((each): readonly SentHeader[] => [each]),
      ),
      at: fc.nat({ max: 1000 }),
      line: often(30, fc.constant(PLAIN_LINE), one(...LINES)),
      body: often(6, fc.constant(undefined), one(...BODIES)),
      isTraefikFirst: fc.boolean(),
    })
    .map((parts) => {
      const { forwarded: traefik, line, body, refused } = parts
      const visitors: readonly SentHeader[] = [
        ...parts.style,
        ...parts.cookies,
        ...parts.tokens,
        ...parts.extras,
      ]
      const headers: SentHeader[] = parts.isTraefikFirst
        ? [...traefik.headers, ...visitors]
        : [...visitors, ...traefik.headers]
      headers.splice(parts.at % (headers.length + 1), 0, ...refused)
      return {
        method: line.method,
        target: line.target,
        version: line.version,
        headers: [...line.headers, ...headers],
        readings: traefik.readings,
        ...(body && { body }),
      }
    })
    .filter(({ headers }) => headers.flat().join('').length < MAX_HEAD)
}

/** Bound of the headers, above which Node's parser answers 431 to what no check is asked for. */
const MAX_HEAD = 60_000

function forwardedHeaders({ hosts }: World) {
  const names = hosts.map(({ scheme, pattern }) => [scheme, pattern.replace('*', 'a_b')] as const)
  const spelled = names.flatMap(([scheme, host]) => [
    [scheme, host] as const,
    [scheme, host] as const,
    [scheme, host.toUpperCase()] as const,
    [scheme, host.includes(':') ? host : `${host}:${scheme === 'https' ? 443 : 80}`] as const,
  ])
  const usual = fc.record({
    method: one(...METHODS),
    site: often(2, fc.constant(names[0] ?? (['https', ''] as const)), one(...spelled)),
    isSocket: often(20, fc.constant(false), fc.constant(true)),
    asked: askedPaths,
    query: askedQueries,
    from: often(
      5,
      fc.constant<string[]>(['203.0.113.7']),
      one<string[]>([], ['10.0.0.1, 203.0.113.7:80'], ['x', '1.2.3.4']),
    ),
  })
  const spoil = fc.tuple(fc.nat({ max: 3 }), one(...SPOILS), fc.nat({ max: 20 }))
  return fc
    .tuple(usual, often(14, fc.constant(undefined), spoil))
    .map(([{ method, site, isSocket, asked, query, from }, spoiled]) => {
      const proto = isSocket ? site[0].replace('http', 'ws') : site[0]
      const good: readonly SentHeader[] = [
        ['X-Forwarded-Method', method],
        ['X-Forwarded-Proto', proto],
        ['X-Forwarded-Host', site[1]],
        ['X-Forwarded-Uri', asked.path + query],
      ]
      const headers = good.flatMap((header, at) => {
        if (!spoiled || spoiled[0] !== at) return [header]
        const odd = ODD[header[0]] ?? []
        return spoiled[1](header, odd[spoiled[2] % odd.length] ?? '')
      })
      const clients = from.map((each): SentHeader => ['X-Forwarded-For', each])
      return { headers: [...headers, ...clients], readings: asked.readings }
    })
}

const RECENT = 'recent'

/** Returns what looks like an assertion of this second, by which the browser needs no other one. */
function recentAssertion(): string {
  return `v1.${Math.floor(Date.now() / 1000).toString(36)}.x`
}

function cookieHeaders(world: World): fc.Arbitrary<readonly SentHeader[]> {
  const name = sessionCookie(world)
  const alive = [...world.sessions.keys()]
  const values = often(2, one(...alive), one(...world.invalidSessions))
  const blanks = often(6, fc.constant(''), one(' ', '\t', '  '))
  const ours = fc
    .tuple(
      often(10, fc.constant(name), one('vestibule', '__Host-vestibule', '__Secure-vestibule')),
      values,
      blanks,
    )
    .map(([each, value, blank]) => `${each}${blank}=${blank}${value}${blank}`)
  const wrong = values.chain((value) =>
    one(
      `${name}="${value}"`,
      `${name}=`,
      name,
      `${name}=v2${value.slice(2)}`,
      `${name}=${value}x`,
      `${name}=${value.slice(0, -1)}`,
    ),
  )
  const outage = often(2, one(...world.assertions.values(), RECENT), one('', 'v1.0.x', 'x')).map(
    (value) => `${name}_outage=${value === RECENT ? recentAssertion() : value}`,
  )
  const pairs = fc.oneof(
    { weight: 5, arbitrary: ours.map((each) => [each]) },
    { weight: 1, arbitrary: ours.map((each) => [each, each]) },
    { weight: 1, arbitrary: fc.tuple(ours, ours) },
    { weight: 1, arbitrary: fc.tuple(ours, wrong) },
    { weight: 1, arbitrary: wrong.map((each) => [each]) },
    { weight: 2, arbitrary: none },
    { weight: 3, arbitrary: fc.tuple(ours, outage) },
    { weight: 1, arbitrary: fc.tuple(ours, outage, outage) },
  )
  const foreign = often(1, none, fc.array(one(...FOREIGN), { maxLength: 3 }))
  return fc
    .record({
      own: pairs,
      foreign,
      mixed: fc.nat({ max: 6 }),
      split: often(8, fc.constant(false), fc.constant(true)),
      joint: often(4, fc.constant('; '), one(';', ' ; ')),
    })
    .map(({ own, foreign: others, mixed, split, joint }) => {
      const all: string[] = [...others]
      for (const each of own) all.splice(mixed % (all.length + 1), 0, each)
      if (all.length === 0) return []
      return split ? all.map((each): SentHeader => ['cookie', each]) : [['Cookie', all.join(joint)]]
    })
}

function tokenHeaders({ tokens, badTokens }: World): fc.Arbitrary<readonly SentHeader[]> {
  const token = often(3, one(...tokens.keys()), one(...badTokens))
  const bearer = fc
    .tuple(one('Bearer ', 'bearer ', 'BEARER  ', 'DPoP ', 'Bearer', 'Bearer x ', 'Bearer,'), token)
    .map(([scheme, each]) => scheme + each)
  const usual = token.map((each) => `Bearer ${each}`)
  const value = fc.oneof(
    { weight: 4, arbitrary: usual },
    { weight: 2, arbitrary: bearer },
    {
      weight: 1,
      arbitrary: one(
        'Basic YTpi',
        'Bearer',
        'DPoP',
        '',
        'Negotiate x',
        'Bearerx y',
        `Bearer ${'x'.repeat(17_000)}`,
      ),
    },
  )
  const oneHeader = value.map((each): readonly SentHeader[] => [['Authorization', each]])
  const two = fc.tuple(value, value).map(([a, b]): readonly SentHeader[] => [
    ['Authorization', a],
    ['authorization', b],
  ])
  const proof = oneHeader.map((each): readonly SentHeader[] => [...each, ['DPoP', 'not.a.proof']])
  return fc.oneof(
    { weight: 8, arbitrary: none },
    { weight: 6, arbitrary: oneHeader },
    { weight: 1, arbitrary: two },
    { weight: 1, arbitrary: proof },
  )
}

function joined(lists: readonly (readonly SentHeader[])[]): readonly SentHeader[] {
  return lists.flatMap((each) => each)
}
