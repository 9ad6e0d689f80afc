import { isRecord, parseJson } from '../core/json.ts'
import { type Answer, failureCodeOf } from './ask.ts'
import type { Patient } from './examination.ts'
import { type Finding, finding, quoted } from './finding.ts'

/** Asks the internal listener at its own address, and reads what the running service says of itself. */
export async function examineInternalListener({
  internal: { origins, ask },
  versions,
}: Patient): Promise<readonly Finding[]> {
  const failures: string[] = []
  for (const origin of origins) {
    try {
      return judgeHealth(`${origin}/health`, await ask(`${origin}/health`), versions.own)
    } catch (cause) {
      failures.push(`${origin}/health failed with ${failureCodeOf(cause)}`)
    }
  }
  const seen = `${failures.join(', ')}.`
  const isTls = /CERT|SSL|TLS|EPROTO|SELF_SIGNED|UNABLE_TO|HPE_|ECONNRESET/.test(seen)
  return [finding(isTls ? 'internal_tls' : 'internal_unreachable', seen)]
}

function judgeHealth(url: string, { status, body }: Answer, own: string): readonly Finding[] {
  const health = parseJson(body)
  if (!isRecord(health) || !Array.isArray(health['reasons'])) {
    const seen = `${url} was answered with ${status}, not by the internal listener.`
    // Another service at this port, or the plain listener of one that speaks TLS.
    return [finding(status === 400 ? 'internal_tls' : 'internal_unreachable', seen)]
  }
  const { version } = health
  const isOther = typeof version === 'string' && version !== own
  return [
    ...health['reasons'].filter(isRecord).map(({ code, message }) => {
      return finding('degraded', `${url} names ${String(code)}: ${quoted(String(message))}.`)
    }),
    ...(isOther
      ? [finding('service_version', `${url} says ${quoted(version)}, and this is ${own}.`)]
      : []),
  ]
}
