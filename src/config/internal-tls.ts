import type { Settings } from './settings/settings.ts'

/** Files of the internal listener's TLS (`INTERNAL_TLS_*`). */
export interface InternalTlsFiles {
  readonly certFile: string
  readonly keyFile: string
  /** Authority of client certificates; without it none is asked for. */
  readonly clientCaFile?: string
}

/** Returns the files of the internal listener's TLS, or `undefined` without TLS; adds what cannot be used to `problems`. */
export function checkInternalTls(
  settings: Settings,
  problems: string[],
): InternalTlsFiles | undefined {
  const {
    INTERNAL_TLS_CERT_FILE: certFile,
    INTERNAL_TLS_KEY_FILE: keyFile,
    INTERNAL_TLS_CLIENT_CA_FILE: clientCaFile,
  } = settings
  if (certFile === undefined && keyFile === undefined && clientCaFile === undefined) {
    return undefined
  }
  if (certFile === undefined || keyFile === undefined) {
    problems.push('INTERNAL_TLS_CERT_FILE and INTERNAL_TLS_KEY_FILE: one of them is missing')
    return undefined
  }
  return { certFile, keyFile, ...(clientCaFile !== undefined && { clientCaFile }) }
}
