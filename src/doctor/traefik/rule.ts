/** Returns the host names of a rule such as ``Host(`app.example.com`) && PathPrefix(`/api`)``; empty for one of any host. */
export function hostsIn(rule: string): readonly string[] {
  return argumentsOf(rule, /(?<!!)\bHost\(([^)]*)\)/g).map((host) => host.toLowerCase())
}

/** Returns whether a rule names exactly the paths below `BASE_PATH`. */
export function isOfBasePath(rule: string, basePath: string): boolean {
  return pathsIn(rule).some((path) => path === basePath || path === `${basePath}/`)
}

/** Returns whether a rule may match a path below `BASE_PATH`. */
export function mayTake(rule: string, basePath: string): boolean {
  const paths = pathsIn(rule)
  if (paths.length === 0 || /PathRegexp\(|!/.test(rule)) return true
  return paths.some((path) => `${basePath}/`.startsWith(path))
}

function pathsIn(rule: string): readonly string[] {
  return argumentsOf(rule, /(?<!!)\bPath(?:Prefix)?\(([^)]*)\)/g)
}

function argumentsOf(rule: string, matcher: RegExp): readonly string[] {
  return [...rule.matchAll(matcher)].flatMap(([, list = '']) =>
    [...list.matchAll(/[`"]([^`"]*)[`"]/g)].map(([, text = '']) => text),
  )
}
