import { invalidRequest } from '../../errors.ts'
import { plain } from '../../http/answers.ts'
import { type NodeContext, requestIdOf, traceOf } from '../../http/request.ts'
import { peerAddress } from '../../http/trusted-proxies.ts'

/** Log fields of an operator's request; `client` is the other end of the connection, never a header. */
export interface Operator {
  readonly client: string
  readonly request_id: string
  readonly traceparent?: string
}

export function operatorOf({ env: { incoming } }: NodeContext): Operator {
  return {
    client: peerAddress(incoming),
    request_id: requestIdOf(incoming),
    ...traceOf(incoming),
  }
}

/** Returns whether the body is JSON, which a form of a foreign page cannot send. */
export function isJson(c: NodeContext): boolean {
  const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase()
  return type === 'application/json'
}

export function notJson(): Response {
  return plain(415, 'the body must be application/json\n')
}

/** Reads the session id, as the list of sessions names it, at the end of the path. */
export function readSessionId(c: NodeContext): string {
  const id = c.req.param('id') ?? ''
  if (/^[A-Za-z0-9_-]{43}$/.test(id)) return id
  throw invalidRequest('The path does not end in a session id.')
}

/** Reads the query and refuses unknown, empty and repeated parameters, because a typo could widen what is done. */
export function readParameters<Name extends string>(
  c: NodeContext,
  names: readonly Name[],
): Readonly<Partial<Record<Name, string>>> {
  const { searchParams } = new URL(c.req.url)
  const found: Partial<Record<Name, string>> = {}
  for (const [given, value] of searchParams) {
    const name = names.find((each) => each === given)
    if (name === undefined) {
      throw invalidRequest(
        names.length === 0
          ? 'This endpoint has no parameters.'
          : `The known parameters are: ${names.join(', ')}.`,
      )
    }
    if (value === '' || found[name] !== undefined) {
      throw invalidRequest(`The parameter ${name} is empty or was sent more than once.`)
    }
    found[name] = value
  }
  return found
}
