import { Agent, type IncomingMessage, type OutgoingHttpHeaders, request as open } from 'node:http'

/** Request of a pool; header values are sent as Latin-1, byte for byte. */
export interface PooledRequest {
  readonly path: string
  readonly method?: string
  readonly headers?: OutgoingHttpHeaders
}

export interface PooledAnswer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
}

export type RequestPool = ReturnType<typeof createRequestPool>

export function createRequestPool(port: number, connections = 16) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const send = ({ path, method = 'GET', headers = {} }: PooledRequest) => {
    const answered = Promise.withResolvers<PooledAnswer>()
    open({ host: '127.0.0.1', port, agent, path, method, headers })
      .on('error', answered.reject)
      .on('response', (message) => {
        const { statusCode: status = 0 } = message
        message
          .on('error', answered.reject)
          .on('end', () => answered.resolve({ status, headers: message.headers }))
          .resume()
      })
      .end()
    return answered.promise
  }
  const sendMany = async (
    count: number,
    make: (at: number) => PooledRequest,
    onAnswer: (answer: PooledAnswer, at: number) => void,
  ) => {
    let next = 0
    const work = async (): Promise<void> => {
      for (let at = next++; at < count; at = next++) onAnswer(await send(make(at)), at)
    }
    await Promise.all(Array.from({ length: connections }, work))
  }
  return { send, sendMany, [Symbol.dispose]: () => agent.destroy() }
}

/** The headers with which Traefik asks about a page that a browser opens at https://app.example.com. */
export const forwardedNavigation = {
  'X-Forwarded-Method': 'GET',
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': 'app.example.com',
  'X-Forwarded-Uri': '/',
  'X-Forwarded-For': '203.0.113.7',
  Accept: 'text/html',
} as const

/** Returns the status of a check with this cookie over a connection that is kept. */
export async function statusOver({ send }: RequestPool, cookie: string): Promise<number> {
  return (await send({ path: '/auth', headers: { ...forwardedNavigation, Cookie: cookie } })).status
}
