import { Counter, type Registry } from 'prom-client'

/** Results of a sign-in, as labels; each starts at 0. Anybody can cause those that are `refused`. */
const RESULTS = [
  'success',
  'refused',
  'provider_failed',
  'store_failed',
  'misconfigured',
  'internal',
] as const

export type SignInResult = (typeof RESULTS)[number]

/** Counters of sign-ins; each call counts one. */
export interface SignInMetrics {
  signIn(result: SignInResult): void
}

export function createSignInMetrics(registry: Registry): SignInMetrics {
  const signIns = new Counter({
    name: 'vestibule_sign_ins_total',
    help: 'Finished sign-ins',
    labelNames: ['result'],
    registers: [registry],
  })
  for (const result of RESULTS) signIns.inc({ result }, 0)
  return { signIn: (result) => signIns.inc({ result }) }
}
