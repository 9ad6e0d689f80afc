import { IncomingMessage } from 'node:http'

type Headers = IncomingMessage['headers']

/**
 * Returns the type of request for a server whose `headers` are made when one of them is read, other than the host, which
 * routing reads. A check reads no further one, because it scans `rawHeaders`; making them takes a tenth of the CPU of a
 * bare server (finding C64).
 */
export function createRequestType(): typeof IncomingMessage {
  class LazyRequest extends IncomingMessage {}
  // Not a getter in the class, because the types describe a property although Node defines a getter.
  Object.defineProperty(LazyRequest.prototype, 'headers', { get: standInOrHeaders })
  return LazyRequest
}

const REQUEST = Symbol('request')

/** Reads as the headers would; its own property is not seen through the proxy. */
interface StandIn extends Headers {
  readonly [REQUEST]: IncomingMessage
}

const readRequests = new WeakSet<IncomingMessage>()

function standInOrHeaders(this: IncomingMessage): Headers {
  return readRequests.has(this) ? nodeHeaders(this) : new Proxy({ [REQUEST]: this }, HANDLER)
}

const HANDLER: ProxyHandler<StandIn> = {
  get: (standIn, name): unknown =>
    name === 'host' ? hostIn(standIn[REQUEST].rawHeaders) : Reflect.get(madeFor(standIn), name),
  set: (standIn, name, value) => Reflect.set(madeFor(standIn), name, value),
  has: (standIn, name) => Reflect.has(madeFor(standIn), name),
  deleteProperty: (standIn, name) => Reflect.deleteProperty(madeFor(standIn), name),
  ownKeys: (standIn) => Reflect.ownKeys(madeFor(standIn)),
  getOwnPropertyDescriptor: (standIn, name) =>
    Reflect.getOwnPropertyDescriptor(madeFor(standIn), name),
}

function madeFor({ [REQUEST]: request }: StandIn): Headers {
  readRequests.add(request)
  return nodeHeaders(request)
}

/** Calls Node's getter, which makes the headers once. */
function nodeHeaders(request: IncomingMessage): Headers {
  return Reflect.get(IncomingMessage.prototype, 'headers', request)
}

/** Returns the first host, as Node does. */
function hostIn(rawHeaders: readonly string[]): string | undefined {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string
    if (name.length === 4 && name.toLowerCase() === 'host') return rawHeaders[at + 1]
  }
  return undefined
}
