import type { Environment } from '../config.ts'
import type { Notice } from '../notices.ts'
import { SETTING_NAMES } from '../settings/settings.ts'
import { namesOf } from './file-keys.ts'
import { nearName } from './near-names.ts'

/** Finds environment variables whose name is nearly one of ours, and which therefore have no effect (C56). */
export function findUnknownNames(environment: Environment): Notice[] {
  return Object.entries(environment).flatMap(([name, value = '']) => {
    if (value.trim() === '' || KNOWN.has(name) || isForeign(name, value, environment)) {
      return []
    }
    const meant = meantBy(name)
    return meant === undefined ? [] : [{ kind: 'unknown-name', name: name.slice(0, 100), meant }]
  })
}

const KNOWN: ReadonlySet<string> = new Set(SETTING_NAMES.flatMap(namesOf))
const CANDIDATES = [...KNOWN]

/** Names by which other programs call what has another name here; what they look like would be a worse guess. */
const OTHERWISE: Readonly<Record<string, string>> = {
  REDIS_SSL: 'REDIS_ENABLE_TLS',
  REDIS_TLS: 'REDIS_ENABLE_TLS',
}

function meantBy(name: string): string | undefined {
  const written = name.toUpperCase().replaceAll(/[^A-Z\d]+/g, '_')
  if (KNOWN.has(written)) return written
  if (Object.hasOwn(OTHERWISE, written)) return OTHERWISE[written]
  // A file is read for secrets and lists only.
  const withoutFile = written.replace(/_FILES?$/, '')
  return KNOWN.has(withoutFile) && !KNOWN.has(`${withoutFile}_FILE`)
    ? withoutFile
    : nearName(written, CANDIDATES)
}

/** Returns whether other programs read this variable, or Kubernetes gives it because of a Service: `REDIS_PORT=tcp://10.0.0.1:6379`. */
function isForeign(name: string, value: string, environment: Environment): boolean {
  const isOfService = /_SERVICE_(?:HOST|PORT)(?:_|$)|_PORT_\d+_/.test(name)
  const isOfAzure = name === 'IDENTITY_HEADER' && environment['IDENTITY_ENDPOINT'] !== undefined
  return isOfService || isOfAzure || /^(?:tcp|udp|sctp):/.test(value) || PROXY.test(name)
}

/** Names of proxies, which each program spells and reads in its own way. */
const PROXY = /^(?:https?|ftp|all|no)_proxy$/i
