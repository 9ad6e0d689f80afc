/** Maximum time from the redirect to the provider until the callback. */
export const LOGIN_LIFETIME_MS = 10 * 60 * 1000

const LOOP_ROUNDS = 3
const LOOP_WINDOW_SECONDS = 30

/** Browser's side of all logins in flight: one secret, and a count of recently finished sign-ins. */
export interface Binding {
  readonly secret: string
  readonly rounds: number
  /** Unix time in seconds of the first of these rounds. */
  readonly sinceSeconds: number
}

/** Returns `v1.<secret>.<rounds>.<since>`, less than 100 bytes. */
export function formatBinding({ secret, rounds, sinceSeconds }: Binding): string {
  return `v1.${secret}.${rounds}.${sinceSeconds}`
}

/** Returns `undefined` for a text that `formatBinding` does not write. */
export function parseBinding(value: string): Binding | undefined {
  const match = /^v1\.([A-Za-z0-9_-]{43})\.(\d{1,3})\.(\d{1,12})$/.exec(value)
  if (!match) return undefined
  return { secret: match[1] as string, rounds: Number(match[2]), sinceSeconds: Number(match[3]) }
}

/** Returns whether three sign-ins have finished within 30 s, so that another would be a redirect loop (threat A50). */
export function isLooping(binding: Binding, nowSeconds: number): boolean {
  return binding.rounds >= LOOP_ROUNDS && isRecent(binding, nowSeconds)
}

/** Returns whether the count is within its window; ignores one from the future, because another clock made it. */
export function isRecent({ sinceSeconds }: Binding, nowSeconds: number): boolean {
  return sinceSeconds <= nowSeconds && nowSeconds - sinceSeconds < LOOP_WINDOW_SECONDS
}
