import { type Answer, type Ask, failureCodeOf } from '../ask.ts'
import { type Finding, type FindingCode, finding } from '../finding.ts'
import type { Place } from '../places.ts'

/** Answer of a host, and what is wrong with the way to it. */
export interface Reached {
  readonly findings: readonly Finding[]
  /** Absent where the host does not answer as the configuration says. */
  readonly answer?: Answer
}

/** Asks for a path of a host, over the scheme that the configuration says. */
export async function reach(place: Place, path: string, ask: Ask): Promise<Reached> {
  const { origin, scheme } = place.site
  try {
    const answer = await ask(`${origin}${path}`)
    if (isForTls(answer, place)) {
      const seen = `${origin} ${answer.status === 400 ? 'speaks TLS' : 'redirects to https'}.`
      return { findings: [finding('https_unexpected', seen)] }
    }
    return { answer, findings: nearEnd(place, answer) }
  } catch (cause) {
    const code = failureCodeOf(cause)
    if (scheme === 'http' && (await speaksTls(origin, ask)))
      return { findings: [finding('https_unexpected', `${origin} speaks TLS.`)] }
    const seen = `A request to ${origin} (${place.setting}) failed with ${code}.`
    return { findings: [finding(codeOf(code, scheme === 'https'), seen)] }
  }
}

const OF_NETWORK: Readonly<Record<string, FindingCode>> = { EAI_AGAIN: 'dns', ENOTFOUND: 'dns' }

const OF_TLS: Readonly<Record<string, FindingCode>> = {
  CERT_HAS_EXPIRED: 'tls_expired',
  CERT_NOT_YET_VALID: 'tls_expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'tls_name',
  EPROTO: 'plain_http',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'plain_http',
  ERR_SSL_WRONG_VERSION_NUMBER: 'plain_http',
}

/** Returns whether a server that has ended a plain request speaks TLS, with whichever certificate. */
async function speaksTls(origin: string, ask: Ask): Promise<boolean> {
  const failure = await ask(origin.replace('http:', 'https:')).then(() => '', failureCodeOf)
  return failure === '' || failure === 'ERR_TLS_CERT_ALTNAME_INVALID' || isOfTrust(failure)
}

function codeOf(code: string, isTls: boolean): FindingCode {
  const found = (isTls ? OF_TLS[code] : undefined) ?? OF_NETWORK[code]
  if (found) return found
  // Traefik refuses names without a certificate where sniStrict is set.
  if (code.endsWith('UNRECOGNIZED_NAME')) return 'tls_name'
  return isOfTrust(code) ? 'tls_untrusted' : 'host_unreachable'
}

function isOfTrust(code: string): boolean {
  return /SELF_SIGNED|UNABLE_TO_|CERT_/.test(code)
}

/** Returns whether a host that should speak plain http wants TLS: Go’s server says so, others redirect. */
function isForTls({ status, body, headers }: Answer, { site, hostname }: Place): boolean {
  if (site.scheme !== 'http') return false
  if (status === 400 && /HTTP request.* HTTPS server/i.test(body)) return true
  const target = URL.parse(headers.location ?? '')
  return target?.protocol === 'https:' && target.hostname === hostname
}

const DAY_MS = 86_400_000
const NEAR_END_MS = 14 * DAY_MS
/** Part of the lifetime that is left when a certificate counts as near its end, because some live for days only. */
const NEAR_END_PART = 1 / 5

function nearEnd({ site }: Place, { certificate }: Answer): readonly Finding[] {
  if (!certificate) return []
  const { fromMs, untilMs } = certificate
  const leftMs = untilMs - Date.now()
  if (leftMs > Math.min(NEAR_END_MS, (untilMs - fromMs) * NEAR_END_PART)) return []
  const days = (leftMs / DAY_MS).toFixed(1)
  return [finding('tls_expiring', `The certificate of ${site.origin} ends in ${days} days.`)]
}

/** Asks at port 80 of a host that is https, where nothing, a redirect or an error may answer. */
export async function examinePlainPort(
  { site, hostname }: Place,
  ask: Ask,
): Promise<readonly Finding[]> {
  if (site.origin !== `https://${hostname}`) return []
  const url = `http://${hostname}/`
  const answer = await ask(url).catch(() => undefined)
  if (!answer || answer.status >= 300) return []
  return [finding('http_open', `${url} was answered with ${answer.status} instead of a redirect.`)]
}
