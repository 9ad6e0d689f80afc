const MAX_CAUSES = 5

/** Returns names and codes along the chain of causes, without messages, because those may hold secrets. */
export function describeCause(cause: unknown): string {
  const names: string[] = []
  for (let each = cause; each instanceof Error && names.length < MAX_CAUSES; each = each.cause) {
    const code = 'code' in each && typeof each.code === 'string' ? ` ${each.code}` : ''
    names.push(`${each.name}${code}`)
  }
  return names.join(' < ') || typeof cause
}

/** Returns the file and line of the service that threw, for the log; an empty object where the error has no stack. */
export function whereThrown(cause: unknown): { readonly at?: string } {
  if (!(cause instanceof Error)) return {}
  const frames = (cause.stack ?? '').replace(cause.message, '')
  const at = FRAME.exec(frames)?.[1]
  return at === undefined ? {} : { at }
}

/** Matches the first frame of a stack in a file of the service or a package. */
const FRAME = /\n {4}at (?:[^\n]*[(/])?((?:src|node_modules)\/[^\n:?]+:\d+):\d+\)?(?=\n|$)/
