import type { RuleSource } from '../../config/rules/rules-file.ts'
import { code } from '../code-span.ts'
import { translatePathRegex } from './path-regex.ts'
import type { Entrance } from './people.ts'
import { type Reading, tell } from './reading.ts'

/**
 * Reads what passes without a sign-in, and adds the rules; the last one is for the people. `isProxy`: oauth2-proxy passed
 * requests on itself, and saw their methods, which `forwardAuth` does not show it.
 */
export function addRules(reading: Reading, { name, allow }: Entrance, isProxy: boolean): void {
  const { draft } = reading
  const common = readPreflight(reading, isProxy)
  readTrustedAddresses(reading)
  for (const rule of readOpenRoutes(reading, isProxy)) draft.addRule({ ...rule, ...common })
  draft.addRule({
    name,
    access: 'signed-in',
    allow,
    ...common,
    ...readBearers(reading),
  })
}

function readPreflight(reading: Reading, isProxy: boolean): Pick<RuleSource, 'preflight'> {
  const name = 'skip-auth-preflight'
  if (!reading.values.isOn(name)) {
    tell(reading, name, 'carried', 'is off')
    return {}
  }
  if (!isProxy) {
    tell(
      reading,
      name,
      'dropped',
      `let nothing pass: ${ALWAYS_GET}. If an app needs preflights, add \`preflight: pass\` to its rule`,
    )
    return {}
  }
  tell(
    reading,
    name,
    'stricter',
    'is `preflight: pass` in each rule: OPTIONS passes where it has `Origin` and `Access-Control-Request-Method`, as preflights do',
  )
  return { preflight: 'pass' }
}

function readTrustedAddresses(reading: Reading): void {
  tell(
    reading,
    'trusted-ip',
    'stricter',
    'people from these addresses sign in like others: no address stands in for a sign-in. If they must not, give Traefik a router of a higher priority with `ClientIP(…)` in its rule and without the middleware',
  )
}

const ALWAYS_GET =
  'behind `forwardAuth`, oauth2-proxy sees GET for every request, unless the middleware has `preserveRequestMethod`'

/** Route that passes without a sign-in; an empty method stands for all. */
interface OpenRoute {
  readonly name: 'skip-auth-regex' | 'skip-auth-route'
  readonly path: string
  readonly method: string
}

/** Reads the routes that pass without a sign-in, for methods alike in one rule. */
function readOpenRoutes(reading: Reading, isProxy: boolean): readonly RuleSource[] {
  const { values } = reading
  const regexes = values
    .list('skip-auth-regex')
    .map((path): OpenRoute => ({ name: 'skip-auth-regex', path, method: '' }))
  const routes = values.list('skip-auth-route').flatMap((route) => parseRoute(reading, route))
  if (!isProxy && !values.isOn('reverse-proxy')) {
    for (const name of ['skip-auth-regex', 'skip-auth-route'])
      tell(
        reading,
        name,
        'dropped',
        'was compared with the path of the middleware’s address alone, because oauth2-proxy reads the visitor’s with `reverse-proxy` only. If these paths are to be open, add a rule with `access: optional`',
      )
    return []
  }
  const byMethod = new Map<string, Set<string>>()
  for (const route of [...regexes, ...routes].filter((each) => canMatch(reading, each, isProxy))) {
    const paths = byMethod.get(route.method) ?? new Set()
    byMethod.set(route.method, new Set([...paths, ...translate(reading, route)]))
  }
  return [...byMethod]
    .filter(([, paths]) => paths.size > 0)
    .map(([method, paths]) => ({
      ...(method !== '' && { methods: [method] }),
      paths: [...paths],
      access: 'optional',
    }))
}

/** Returns whether requests could have the method of a route, and says what becomes of it. */
function canMatch(reading: Reading, { name, method }: OpenRoute, isProxy: boolean): boolean {
  if (method === '') return true
  if (!METHOD.test(method)) {
    tell(reading, name, 'dropped', `${code(method)} is no method, so that it opened nothing`)
    return false
  }
  if (isProxy) return true
  const isGet = method === 'GET'
  tell(
    reading,
    name,
    isGet ? 'stricter' : 'dropped',
    isGet
      ? `\`GET\` is the method of the visitor now, so that others no longer pass: ${ALWAYS_GET}`
      : `\`${method}\` opened nothing: ${ALWAYS_GET}. If it is to be open, add a rule with \`methods: [${method}]\` and \`access: optional\``,
  )
  return isGet
}

const METHOD = /^[A-Z][A-Z_-]{0,31}$/

function parseRoute(reading: Reading, route: string): readonly OpenRoute[] {
  const name = 'skip-auth-route'
  if (route.includes('!=')) {
    tell(
      reading,
      name,
      'todo',
      `${code(route)} opens every path but some: write rules for the paths that are to pass, before the last one`,
    )
    return []
  }
  const end = route.indexOf('=')
  return [
    { name, path: route.slice(end + 1), method: route.slice(0, Math.max(end, 0)).toUpperCase() },
  ]
}

function translate(reading: Reading, { name, path: regex }: OpenRoute): readonly string[] {
  const found = translatePathRegex(regex)
  if (!found) {
    tell(
      reading,
      name,
      'todo',
      `${code(regex)} is no list of whole paths or folders, so that these paths need a sign-in now: add them to \`paths\` of a rule with \`access: optional\``,
    )
    return []
  }
  const patterns = found.paths.map(code).join(', ')
  tell(
    reading,
    name,
    found.isExact ? 'carried' : 'stricter',
    `${code(regex)} is ${patterns}${found.isExact ? '' : ': other paths that it matches need a sign-in'}; who is signed in is told to the app there too`,
  )
  return found.paths
}

/** Reads tokens of other issuers, which pass without a session where one audience is for all of them. */
function readBearers(reading: Reading): Pick<RuleSource, 'bearer'> {
  const { values } = reading
  const isOn = values.isOn('skip-jwt-bearer-tokens')
  tell(
    reading,
    'skip-jwt-bearer-tokens',
    isOn ? 'stricter' : 'carried',
    isOn
      ? 'ID tokens of the client itself no longer pass as bearer tokens, because every app that gets one could use it elsewhere: let programs get access tokens for an audience of their own, and name it in a rule with `bearer`'
      : 'is off',
  )
  tell(
    reading,
    'bearer-token-login-fallback',
    'differs',
    'a bad token is answered with 401, a request without one is sent to the sign-in',
  )
  const name = 'extra-jwt-issuers'
  const pairs = values.list(name).map((pair) => pair.split('='))
  if (!isOn || pairs.length === 0) {
    tell(reading, name, 'carried', 'has no effect without `skip-jwt-bearer-tokens`')
    return {}
  }
  const audiences = [...new Set(pairs.map(([, audience = '']) => audience))]
  const [audience = ''] = audiences
  if (audiences.length > 1 || audience === values.text('client-id') || audience === '') {
    tell(
      reading,
      name,
      'todo',
      'needs a rule with `bearer` for each audience, on the paths of the programs: one rule for all would take the audience of one issuer from another',
    )
    return {}
  }
  tell(
    reading,
    name,
    'carried',
    'is `bearer` of the last rule; its `allow` holds for tokens as well',
  )
  return {
    bearer: {
      issuers: pairs.map(([issuer = '']) => issuer),
      audiences: [audience],
      tokenType: 'jwt',
    },
  }
}
