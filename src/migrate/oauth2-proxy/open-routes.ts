import type { RuleSource } from '../../config/rules/rules-file.ts'
import { code } from '../code-span.ts'
import { translatePathRegex } from './path-regex.ts'
import { type Reading, tell } from './reading.ts'

/** Says why the method of a route or a preflight could not be seen. */
export const ALWAYS_GET =
  'behind `forwardAuth`, oauth2-proxy sees GET for every request, unless the middleware has `preserveRequestMethod`'

/** Route that passes without a sign-in; an empty method stands for all. */
interface OpenRoute {
  readonly name: 'skip-auth-regex' | 'skip-auth-route'
  readonly path: string
  readonly method: string
}

/**
 * Reads the routes that pass without a sign-in, for methods alike in one rule. `isProxy`: oauth2-proxy passed requests on
 * itself, and saw their methods.
 */
export function readOpenRoutes(reading: Reading, isProxy: boolean): readonly RuleSource[] {
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
