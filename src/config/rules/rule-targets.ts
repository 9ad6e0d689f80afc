import type { RuleConditions } from '../../core/access/rules-by-path.ts'
import { isMethod } from '../../core/forwarded-request.ts'
import { compilePathPattern, type PathPattern } from '../../core/path-pattern.ts'
import { type HostPattern, parseHostPattern } from '../../core/site.ts'
import type { RuleSource } from './rules-file.ts'

/** Compiles which requests a rule is for. */
export function compileTargets(
  { hosts, paths, methods }: RuleSource,
  where: string,
  problems: string[],
): Pick<RuleConditions, 'hosts' | 'paths' | 'methods'> {
  return {
    ...(hosts && { hosts: compileHosts(hosts, where, problems) }),
    ...(paths && { paths: compilePaths(paths, `${where}.paths`, problems) }),
    ...(methods && { methods: compileMethods(methods, where, problems) }),
  }
}

/** Compiles methods; `HEAD` counts as `GET`. */
function compileMethods(
  sources: readonly string[],
  where: string,
  problems: string[],
): ReadonlySet<string> {
  const methods = sources.map((method) => (method === 'HEAD' ? 'GET' : method))
  if (!methods.every(isMethod)) {
    problems.push(`${where}.methods: write methods in capitals`)
  }
  return new Set(methods)
}

function compileHosts(
  sources: readonly string[],
  where: string,
  problems: string[],
): HostPattern[] {
  return sources.flatMap((source) => {
    const host = parseHostPattern(source)
    if (!host)
      problems.push(
        `${where}.hosts: ${source} is not a host: write app.example.com or *.example.com`,
      )
    return host ? [host] : []
  })
}

/** Compiles paths, of which any one is enough. */
export function compilePaths(
  sources: readonly string[],
  where: string,
  problems: string[],
): PathPattern[] {
  return sources.flatMap((source) => {
    try {
      return [compilePathPattern(source)]
    } catch (error) {
      const oneLine = source.replace(/\p{Cc}+/gu, '\ufffd')
      problems.push(`${where}: ${oneLine}: ${(error as Error).message}`)
      return []
    }
  })
}
