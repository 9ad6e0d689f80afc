import type { Environment } from '../config/config.ts'
import { internalListeners } from './internal-listener.ts'

const TIMEOUT_MS = 3000

/** Requests `/readyz` on this machine, for images without a shell. Returns 0 when ready, else 1. */
export async function healthcheck(environment: Environment): Promise<number> {
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  const isReady = async (origin: string) => (await fetch(`${origin}/readyz`, { signal })).ok
  const answers = await Promise.allSettled(internalListeners(environment).map(isReady))
  return answers.some((answer) => answer.status === 'fulfilled' && answer.value) ? 0 : 1
}
