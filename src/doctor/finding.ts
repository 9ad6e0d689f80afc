/** Fault of an installation as somebody outside sees it. */
export interface Finding {
  /** Stable name, in snake case: docs/doctor.md lists all. */
  readonly code: string
  /** What was asked and answered; no secret, and no text of others that is not cleaned and bounded. */
  readonly seen: string
  readonly why: string
  /** The change that mends it: setting, option or command. */
  readonly remedy: string
}
