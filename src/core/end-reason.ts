/**
 * Reasons for which a session ends. `signed-out`: in its own browser; `signed-out-elsewhere`: by its user from another
 * session; `provider`: by a back-channel logout or a refused refresh; `operator`: through `/admin`; `expired`: by its age
 * or by idleness; `replaced`: by a newer session of the same browser, or by `SESSIONS_PER_USER`.
 */
export const END_REASONS = [
  'signed-out',
  'signed-out-elsewhere',
  'provider',
  'operator',
  'expired',
  'replaced',
] as const

export type EndReason = (typeof END_REASONS)[number]

/** Returns the reason of that name, or `signed-out-elsewhere` for a name that this version does not know. */
export function readEndReason(name: string | undefined): EndReason {
  return END_REASONS.find((each) => each === name) ?? 'signed-out-elsewhere'
}
