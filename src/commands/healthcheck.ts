import type { Environment } from '../config/config.ts'
import { internalListener } from './internal-listener.ts'

/** Asks this machine's `/readyz`, for images without a shell; 0 = ready. */
export async function healthcheck(environment: Environment): Promise<number> {
  const response = await fetch(`${internalListener(environment)}/readyz`, {
    signal: AbortSignal.timeout(3000),
  }).catch(() => undefined)
  return response?.ok ? 0 : 1
}
