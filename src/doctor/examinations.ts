import { examineCookieDomain } from './cookie-domain.ts'
import type { Examination, Patient } from './examination.ts'
import { type Finding, finding } from './finding.ts'
import { examineHost } from './hosts/hosts.ts'
import { examineInternalListener } from './internal-listener.ts'
import { examineProvider } from './provider/provider.ts'
import { examineRedisServer } from './redis.ts'
import { examineRuntime } from './runtime.ts'
import { examineTraefik } from './traefik/traefik.ts'

/** Returns all examinations, in the order in which a request meets what they look at. */
export function examinationsOf({ places }: Patient): readonly Examination[] {
  const ofHosts = places.map((place) => ({
    title: place.site.origin,
    examine: (patient: Patient) => examineHost(place, patient),
  }))
  return [
    ...ofHosts,
    { title: 'the cookies', examine: examineCookieDomain },
    { title: 'the configuration of Traefik', examine: examineTraefik },
    { title: 'the internal listener', examine: examineInternalListener },
    { title: 'the provider', examine: examineProvider },
    { title: 'Redis', examine: examineRedisServer },
    { title: 'the runtime', examine: examineRuntime },
  ]
}

/** Time limit of one examination, whose requests have limits of their own. */
const LIMIT_MS = 90_000

/** Runs an examination. Never rejects, so that a fault of one part does not hide the others. */
export async function runExamination(
  { title, examine }: Examination,
  patient: Patient,
): Promise<readonly Finding[]> {
  const timer = Promise.withResolvers<readonly Finding[]>()
  const limit = setTimeout(() => {
    timer.resolve([finding('examination_failed', `${title}: no end within ${LIMIT_MS / 1000} s.`)])
  }, LIMIT_MS)
  try {
    return await Promise.race([examine(patient), timer.promise])
  } catch (cause) {
    const why = cause instanceof Error ? failureNameOf(cause) : 'unknown'
    return [finding('examination_failed', `${title}: ${why}.`)]
  } finally {
    clearTimeout(limit)
  }
}

function failureNameOf(cause: Error): string {
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name
}
