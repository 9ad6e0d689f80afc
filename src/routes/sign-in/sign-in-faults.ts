import { AuthError, type AuthErrorCode } from '../../errors.ts'
import type { SignInMetrics, SignInResult } from '../../telemetry/sign-in-metrics.ts'

/** Results of sign-ins that failed after their code was accepted here, which no visitor can cause alone. */
const FAULTS: Readonly<Partial<Record<AuthErrorCode, SignInResult>>> = {
  provider_failed: 'provider_failed',
  provider_unavailable: 'provider_failed',
  sign_in_refused: 'provider_failed',
  sign_in_misconfigured: 'misconfigured',
  store_unavailable: 'store_failed',
}

/** Tells whether an error is a fault of the provider, of the store or of the configuration. */
export function isFault({ code }: AuthError): boolean {
  return FAULTS[code] !== undefined
}

/** Counts faults here, because their codes are no failed sign-ins where checks are refused with them. */
export function countingFaults(metrics: SignInMetrics) {
  return (error: unknown): never => {
    const result = error instanceof AuthError ? FAULTS[error.code] : 'internal'
    if (result) metrics.signIn(result)
    throw error
  }
}
