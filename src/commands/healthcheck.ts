import type { Environment } from '../config/config.ts'
import { internalListener } from './internal-listener.ts'

/** Requests `/readyz` on this machine, for images without a shell. Returns 0 when ready, else 1. */
export async function healthcheck(environment: Environment): Promise<number> {
  const response = await fetch(`${internalListener(environment)}/readyz`, {
    signal: AbortSignal.timeout(3000),
  }).catch(() => undefined)
  return response?.ok ? 0 : 1
}
