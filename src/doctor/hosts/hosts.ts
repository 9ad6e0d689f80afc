import { createAddresses } from '../../http/addresses.ts'
import { failureCodeOf } from '../ask.ts'
import type { Patient } from '../examination.ts'
import { type Finding, finding } from '../finding.ts'
import type { Place } from '../places.ts'
import { judgeBasePath } from './base-path.ts'
import { judgeGuard } from './guard.ts'
import { findGuardedPath } from './guarded-path.ts'
import { examineInternalOutside } from './internal-outside.ts'
import { examinePlainPort, reach } from './reach.ts'
import { asksForPage, examineSentHeaders } from './sent-headers.ts'
import { examineSignIn } from './sign-in.ts'

/** Examines one host in the order in which a visit meets its parts; a part that fails ends what builds on it. */
export async function examineHost(place: Place, patient: Patient): Promise<readonly Finding[]> {
  const { config, ask } = patient
  const addresses = addressesOf(patient)
  const { site } = place
  const path = `${addresses.basePath}/me`
  const { findings, answer } = await reach(place, path, ask)
  if (!answer) return findings
  const loginUrl = addresses.login(site, '/').replace(/\?.*$/, '')
  const atBasePath = judgeBasePath(`${site.origin}${path}`, answer, loginUrl)
  const parts: readonly (() => Promise<readonly Finding[]>)[] = [
    () => examinePlainPort(place, ask),
    async () => (atBasePath.length > 0 ? atBasePath : examineSignIn(place, config, addresses, ask)),
    async () => (place.isProtected ? examineGuard(place, patient, loginUrl) : []),
    () => examineInternalOutside(place, patient),
  ]
  const found = [...findings]
  for (const part of parts) {
    // Keeps what was found when a later request gets no answer.
    const more = await part().catch((cause: unknown) => [failed(site.origin, cause)])
    found.push(...more)
  }
  return found
}

function failed(origin: string, cause: unknown): Finding {
  return finding(
    'host_unreachable',
    `A further request to ${origin} failed with ${failureCodeOf(cause)}.`,
  )
}

function addressesOf({ config }: Patient) {
  const { settings, publicSite, hosts } = config
  return createAddresses({ basePath: settings.BASE_PATH, publicSite, hosts })
}

async function examineGuard(
  { site }: Place,
  { config, path: named, ask, note }: Patient,
  loginUrl: string,
): Promise<readonly Finding[]> {
  const path = findGuardedPath(config, site, named)
  if (path === undefined) {
    note(
      `${site.origin}: the rules ask for no session on the paths that were tried, so the middleware was not examined: name another with --path.`,
    )
    return []
  }
  const url = `${site.origin}${path}`
  const answer = await ask(url).catch(failureCodeOf)
  if (typeof answer === 'string')
    return [finding('check_unreachable', `${url} without a session failed with ${answer}.`)]
  const findings = judgeGuard(url, answer, loginUrl)
  if (
    findings.some(({ code }) => code === 'app_unguarded') &&
    (await asksForPage(url, loginUrl, ask))
  ) {
    const seen = `${url} sends browsers to the sign-in, but was answered with ${answer.status} to a program, not by Vestibule.`
    return [finding('answer_replaced', seen)]
  }
  return findings.length > 0 ? findings : examineSentHeaders({ url, loginUrl }, config, ask)
}
