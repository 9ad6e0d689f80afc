/** Returns a duration as Redis takes it: whole milliseconds, at least one. */
export function milliseconds(ms: number): string {
  return String(Math.max(1, Math.ceil(ms)))
}
