import { invalidRequest } from '../../errors.ts'
import { type NodeContext, requestIdOf, traceOf } from '../../http/request.ts'
import { peerAddress } from '../../http/trusted-proxies.ts'

/** Who asks, for the log: the other end of the connection, whatever the request says about that. */
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

/** The query, of which nothing is passed over: what was misspelt or said twice might have meant fewer. */
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
          ? 'There are no parameters here.'
          : `There are only the parameters ${names.join(', ')}.`,
      )
    }
    if (value === '' || found[name] !== undefined) {
      throw invalidRequest(`${name} is empty or there more than once.`)
    }
    found[name] = value
  }
  return found
}
