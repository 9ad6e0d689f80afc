import type { Patient } from '../examination.ts'
import { type Finding, finding, quoted } from '../finding.ts'
import { isOlder } from '../version-order.ts'
import { joinConfigurations, NO_CONFIGURATION, type TraefikConfiguration } from './configuration.ts'
import { examineEntryPoints } from './entry-points.ts'
import { examineCheck, findChecks } from './middlewares.ts'
import { examineOrder, examineShared } from './order.ts'
import { examineRouters } from './routers.ts'

/** First version with the fixes that docs/security.md lists. */
const OLDEST_TRAEFIK = '3.7.18'

/** Compares the configuration of Traefik that was given with what `vestibule render traefik` prints. */
export async function examineTraefik(patient: Patient): Promise<readonly Finding[]> {
  const parts: TraefikConfiguration[] = []
  for (const { name, read } of patient.traefik) {
    const part = await read().catch((cause: unknown) => {
      const why = cause instanceof Error ? quoted(cause.message) : 'unknown'
      return { ...NO_CONFIGURATION, unread: [`${name}: ${why}`] }
    })
    parts.push(part)
  }
  const configuration = joinConfigurations(parts)
  return [
    ...configuration.unread.map((text) => finding('traefik_unreadable', `${text}.`)),
    ...versionFindings(configuration),
    ...examineEntryPoints(configuration),
    ...(isDynamic(configuration) ? examineDynamic(configuration, patient) : []),
  ]
}

/** Returns whether middlewares or routers were given, and not only the static configuration. */
function isDynamic({ middlewares, routers }: TraefikConfiguration): boolean {
  return middlewares.size > 0 || routers.length > 0
}

function examineDynamic(
  configuration: TraefikConfiguration,
  { config, note }: Patient,
): readonly Finding[] {
  const { middlewares, unread } = configuration
  const checks = findChecks(configuration, config)
  if (checks.length === 0) {
    // The middleware may be in a file that could not be read.
    if (unread.length > 0) return []
    const seen = `None of ${middlewares.size} middlewares asks Vestibule at /auth.`
    return [finding('forward_auth_missing', seen)]
  }
  const names = new Set(checks.map(({ name }) => name))
  return [
    ...checks.flatMap((check) => examineCheck(check, config)),
    ...examineOrder(configuration, names, config),
    ...examineShared(configuration),
    ...examineRouters(configuration, names, { config, note }),
  ]
}

function versionFindings({ version }: TraefikConfiguration): readonly Finding[] {
  if (version === undefined || !isOlder(version, OLDEST_TRAEFIK)) return []
  return [finding('traefik_version', `Traefik says that it is ${quoted(version)}.`)]
}
