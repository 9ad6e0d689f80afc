import type { Environment } from '../config.ts'

/** Asks this machine's `/readyz`, for images without a shell; 0 = ready. */
export async function healthcheck(environment: Environment): Promise<number> {
  const port = environment['INTERNAL_PORT'] || '4181'
  const response = await fetch(`http://127.0.0.1:${port}/readyz`, {
    signal: AbortSignal.timeout(3000),
  }).catch(() => undefined)
  return response?.ok ? 0 : 1
}
