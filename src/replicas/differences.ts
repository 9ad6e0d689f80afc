/** Settings that replicas must have in common; of keys only fingerprints are published. */
export interface Fingerprint {
  /** Fingerprint of each key, the sealing key first; made with the key, and not from it alone. */
  readonly keys: readonly string[]
  /** Key prefix and database number. */
  readonly place: string
  readonly mode: string
  readonly version: string
  /** Digest of the rules in force; absent from replicas of older versions. */
  readonly rules?: string
}

/** Difference between another replica and this one. */
export interface FleetFinding {
  readonly kind: 'clock' | 'keys' | 'mode' | 'rules' | 'version'
  readonly replica: string
  readonly message: string
}

/** Another replica as it has announced itself. */
export interface OtherReplica extends Fingerprint {
  readonly from: string
  /** Milliseconds by which its clock is ahead of ours. */
  readonly aheadMs: number
  /** True where its rules have differed for longer than those of replicas that are being updated. */
  readonly hasOtherRules: boolean
}

const CLOCK_TOLERANCE_MS = 5000

/** Returns what an operator has to mend of the differences between two replicas. */
export function findDifferences(own: Fingerprint, other: OtherReplica): FleetFinding[] {
  const name = `replica ${other.from}`
  const seconds = (Math.abs(other.aheadMs) / 1000).toFixed(0)
  const rows: readonly (readonly [FleetFinding['kind'], isSo: boolean, message: string])[] = [
    ['keys', !isSameRing(own, other), describeRings(name, own, other)],
    [
      'mode',
      own.mode !== other.mode,
      `${name} runs in ${other.mode} mode, and this one in ${own.mode} mode`,
    ],
    [
      'version',
      own.version !== other.version,
      `${name} is version ${other.version}, and this one ${own.version}`,
    ],
    [
      'rules',
      other.hasOtherRules,
      `${name} has had other rules for more than 30 s: give both the same VESTIBULE_CONFIG and lists, and see rules_not_reloaded in the logs of both`,
    ],
    [
      'clock',
      Math.abs(other.aheadMs) > CLOCK_TOLERANCE_MS,
      `the clock of ${name} is ${seconds} s ${other.aheadMs > 0 ? 'ahead of' : 'behind'} ours: synchronise both`,
    ],
  ]
  return rows.flatMap(([kind, isSo, message]) =>
    isSo ? [{ kind, replica: other.from, message }] : [],
  )
}

/** Compares within one version only, because another may have another digest of the same rules. */
export function isOfOtherRules(own: Fingerprint, other: Fingerprint): boolean {
  return own.version === other.version && other.rules !== undefined && own.rules !== other.rules
}

function isSameRing(own: Fingerprint, other: Fingerprint): boolean {
  return (
    own.keys.length === other.keys.length && own.keys.every((key, at) => key === other.keys[at])
  )
}

function describeRings(name: string, own: Fingerprint, other: Fingerprint): string {
  const [ours, theirs] = [own.keys[0], other.keys[0]]
  const opensEachOther =
    ours !== undefined &&
    theirs !== undefined &&
    own.keys.includes(theirs) &&
    other.keys.includes(ours)
  return opensEachOther
    ? `${name} has other keys beside the one in common: a key rotation is under way, or was left half done`
    : `${name} has another SESSION_ENCRYPTION_KEY: sessions made by one of them do not open at the other`
}
