import { AuthError } from '../errors.ts'

/** Throws `AuthError` `provider_unavailable` when an answer does not come in time; the question stays asked. */
export async function within<T>(limitMs: number, answer: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new AuthError('provider_unavailable', 'the provider takes too long')),
    limitMs,
  )
  return Promise.race([answer, late.promise]).finally(() => clearTimeout(timer))
}
