import { isMethod } from '../../core/forwarded-request.ts'
import { compilePathPattern, type PathPattern } from '../../core/path-pattern.ts'
import { type HostPattern, parseHostPattern } from '../../core/site.ts'

/** Compiles methods; `HEAD` counts as `GET`. */
export function compileMethods(
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

export function compileHosts(
  sources: readonly string[],
  where: string,
  problems: string[],
): HostPattern[] {
  return sources.flatMap((source) => {
    const host = parseHostPattern(source)
    if (!host) problems.push(`${where}.hosts: ${source} is not a host`)
    return host ? [host] : []
  })
}

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
