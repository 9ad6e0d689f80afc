import { ConfigError } from '../config/config-error.ts'
import { type InternalTls, type InternalTlsFiles, readInternalTls } from '../config/internal-tls.ts'
import type { HealthReason } from '../routes/health-reasons.ts'
import type { Log } from '../telemetry/log.ts'
import { poll } from '../timing/poll.ts'

/** Certificate of the internal listener, which is replaced when its files change. */
export interface KeptCertificate {
  current(): InternalTls
  /** Calls a listener with each later one. */
  onReplaced(listener: (next: InternalTls) => void): void
  /** Returns what an operator has to mend; read by `/health`. */
  findings(): readonly HealthReason[]
  close(): void
}

const INTERVAL_MS = 5000
const DAY_MS = 24 * 60 * 60 * 1000
/** Part of a certificate's life, at most fourteen days, in which its end is reported; cert-manager renews at a third. */
const LAST_PART = 1 / 5
const LAST_DAYS = 14

/** Reads the files and polls them; files that cannot be used leave the certificate in use unchanged. */
export function keepCertificate(
  files: InternalTlsFiles,
  log: Log,
  now: () => number = Date.now,
): KeptCertificate {
  let current = readAtStart(files)
  let fault: string | undefined
  let hasToldEnd = false
  const listeners: ((next: InternalTls) => void)[] = []

  function reload(): void {
    const problems: string[] = []
    const next = readInternalTls(files, problems)
    const before = fault
    fault = next ? undefined : problems.join('; ')
    if (fault !== undefined && fault !== before) {
      const fields = { event: 'tls_not_reloaded', reason: fault }
      log.error(fields, 'the files of INTERNAL_TLS_* cannot be used; those in use stay')
    }
    if (next && isOther(next, current)) replace(next)
    tellEnd()
  }

  function replace(next: InternalTls): void {
    current = next
    hasToldEnd = false
    for (const listener of listeners) listener(next)
    const fields = { event: 'tls_reloaded', not_after: endOf(next) }
    log.info(fields, 'the files of INTERNAL_TLS_* changed and were reloaded')
  }

  function tellEnd(): void {
    if (hasToldEnd || !isNearEnd(current, now())) return
    hasToldEnd = true
    const fields = { event: 'tls_expires', not_after: endOf(current) }
    log.warn(fields, 'the certificate of the internal listener expires soon: renew it')
  }

  tellEnd()
  return {
    current: () => current,
    onReplaced: (listener) => void listeners.push(listener),
    findings: () => [
      ...(fault === undefined ? [] : [{ code: 'internal_tls', message: fault }]),
      ...(isNearEnd(current, now())
        ? [
            {
              code: 'internal_tls_expiry',
              message: `the certificate in ${files.certFile} (INTERNAL_TLS_CERT_FILE) is valid until ${endOf(current)}: renew it`,
            },
          ]
        : []),
    ],
    close: poll(INTERVAL_MS, reload),
  }
}

function readAtStart(files: InternalTlsFiles): InternalTls {
  const problems: string[] = []
  const read = readInternalTls(files, problems)
  if (read) return read
  throw new ConfigError(problems)
}

function isOther(next: InternalTls, current: InternalTls): boolean {
  return (
    next.cert !== current.cert || next.key !== current.key || next.clientCa !== current.clientCa
  )
}

function isNearEnd({ notBeforeMs, notAfterMs }: InternalTls, nowMs: number): boolean {
  const lastMs = Math.min(LAST_DAYS * DAY_MS, (notAfterMs - notBeforeMs) * LAST_PART)
  return notAfterMs - nowMs < lastMs
}

function endOf({ notAfterMs }: InternalTls): string {
  return new Date(notAfterMs).toISOString()
}
