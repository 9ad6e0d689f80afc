import type { Environment } from '../config/config.ts'
import { askInternal } from './ask-internal.ts'
import { internalListeners } from './internal-listener.ts'

const TIMEOUT_MS = 3000

/**
 * Requests `/readyz` on this machine, for images without a shell; returns 0 when ready, else 1. Accepts any certificate
 * there, because the request has no secret and a service that still uses an earlier certificate is healthy.
 */
export async function healthcheck(environment: Environment): Promise<number> {
  const probe = { method: 'GET', timeoutMs: TIMEOUT_MS, isThisMachineTrusted: true } as const
  const isReady = async (origin: string) =>
    (await askInternal(new URL('/readyz', origin), probe)).status === 200
  const answers = await Promise.allSettled(internalListeners(environment).map(isReady))
  return answers.some((answer) => answer.status === 'fulfilled' && answer.value) ? 0 : 1
}
