import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { attempt } from '../attempt.ts'
import type { Settings } from '../settings/settings.ts'
import type { RedisAddress } from './server.ts'
import { nameOfAddress } from './servers.ts'

export interface RedisTlsFiles {
  readonly caFile?: string
  readonly certFile?: string
  readonly keyFile?: string
  readonly skipVerify: boolean
  /** Name that the certificate must be valid for, where it is not the host's. */
  readonly serverName?: string
}

const PEM_REMEDY = 'name a readable PEM file'

/** Returns the files of TLS, or `undefined` without TLS; adds files that cannot be used to `problems`. */
export function checkTls(
  settings: Settings,
  address: RedisAddress | undefined,
  problems: string[],
): RedisTlsFiles | undefined {
  const { REDIS_CA_FILE, REDIS_CERT_FILE, REDIS_KEY_FILE, REDIS_TLS_SKIP_VERIFY } = settings
  if (!address?.isTls && !settings.REDIS_ENABLE_TLS) {
    refuseWithoutTls(settings, address, problems)
    return undefined
  }
  checkFiles(settings, problems)
  return {
    skipVerify: REDIS_TLS_SKIP_VERIFY,
    ...(address?.tlsServerName !== undefined && { serverName: address.tlsServerName }),
    ...(REDIS_CA_FILE !== undefined && { caFile: REDIS_CA_FILE }),
    ...(REDIS_CERT_FILE !== undefined && { certFile: REDIS_CERT_FILE }),
    ...(REDIS_KEY_FILE !== undefined && { keyFile: REDIS_KEY_FILE }),
  }
}

function refuseWithoutTls(
  settings: Settings,
  address: RedisAddress | undefined,
  problems: string[],
): void {
  for (const name of ['REDIS_CA_FILE', 'REDIS_CERT_FILE', 'REDIS_KEY_FILE'] as const) {
    if (settings[name] !== undefined)
      problems.push(`${name}: has no use without TLS: set REDIS_ENABLE_TLS=true`)
  }
  if (address?.tlsServerName !== undefined) {
    problems.push(
      `${nameOfAddress(settings)}: has an sslHost without TLS: add ssl=True, or remove sslHost`,
    )
  }
}

function checkFiles(settings: Settings, problems: string[]): void {
  const { REDIS_CA_FILE, REDIS_CERT_FILE, REDIS_KEY_FILE } = settings
  if ((REDIS_CERT_FILE === undefined) !== (REDIS_KEY_FILE === undefined)) {
    problems.push('REDIS_CERT_FILE and REDIS_KEY_FILE: one of them is missing')
  }
  checkCertificate('REDIS_CA_FILE', REDIS_CA_FILE, problems)
  checkCertificate('REDIS_CERT_FILE', REDIS_CERT_FILE, problems)
  if (REDIS_KEY_FILE !== undefined) {
    const readKey = () => createPrivateKey(readFileSync(REDIS_KEY_FILE))
    attempt('REDIS_KEY_FILE', PEM_REMEDY, problems, readKey)
  }
}

function checkCertificate(name: string, path: string | undefined, problems: string[]): void {
  if (path === undefined) return
  attempt(name, PEM_REMEDY, problems, () => new X509Certificate(readFileSync(path)))
}
