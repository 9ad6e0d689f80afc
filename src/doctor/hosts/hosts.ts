import { createAddresses } from '../../http/addresses.ts'
import type { Patient } from '../examination.ts'
import type { Finding } from '../finding.ts'
import type { Place } from '../places.ts'
import { judgeBasePath } from './base-path.ts'
import { judgeGuard } from './guard.ts'
import { findGuardedPath } from './guarded-path.ts'
import { examineInternalOutside } from './internal-outside.ts'
import { examinePlainPort, reach } from './reach.ts'
import { examineSentHeaders } from './sent-headers.ts'
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
  const atSignIn = atBasePath.length > 0 ? [] : await examineSignIn(place, config, addresses, ask)
  return [
    ...findings,
    ...(await examinePlainPort(place, ask)),
    ...atBasePath,
    ...atSignIn,
    ...(place.isProtected ? await examineGuard(place, patient, loginUrl) : []),
    ...(await examineInternalOutside(place, config, ask)),
  ]
}

function addressesOf({ config }: Patient) {
  const { settings, publicSite, hosts } = config
  return createAddresses({ basePath: settings.BASE_PATH, publicSite, hosts })
}

async function examineGuard(
  { site }: Place,
  { config, ask, note }: Patient,
  loginUrl: string,
): Promise<readonly Finding[]> {
  const path = findGuardedPath(config, site)
  if (path === undefined) {
    note(
      `${site.origin}: the rules ask for no session on the paths that were tried, so the middleware was not examined.`,
    )
    return []
  }
  const url = `${site.origin}${path}`
  const findings = judgeGuard(url, await ask(url), loginUrl)
  return findings.length > 0 ? findings : examineSentHeaders({ url, loginUrl }, config, ask)
}
