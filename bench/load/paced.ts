import { Agent, get } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'

export interface Pace {
  readonly perSecond: number
  readonly seconds: number
}

/** Begins something at even intervals, whether or not earlier ones have ended, and resolves when all have. */
export async function atPace(
  { perSecond, seconds }: Pace,
  begin: () => Promise<void>,
): Promise<void> {
  const startedAtMs = performance.now()
  const begun: Promise<void>[] = []
  for (let pastMs = 0; pastMs < seconds * 1000; pastMs = performance.now() - startedAtMs) {
    while (begun.length < (pastMs * perSecond) / 1000) begun.push(begin())
    await wait(1)
  }
  await Promise.all(begun)
}

/** Requests over connections that are kept. */
export interface Requests extends Disposable {
  /** Reads the answer to the end and resolves with its status. */
  readonly send: () => Promise<number>
}

export function createRequests(
  url: string,
  headers: Readonly<Record<string, string>>,
  connections: number,
): Requests {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  return {
    send: () =>
      new Promise((resolve, reject) => {
        get(url, { headers, agent }, (answer) => {
          answer
            .on('error', reject)
            .on('end', () => resolve(answer.statusCode ?? 0))
            .resume()
        }).on('error', reject)
      }),
    [Symbol.dispose]: () => agent.destroy(),
  }
}
