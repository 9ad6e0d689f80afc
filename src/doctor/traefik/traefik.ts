import type { Patient } from '../examination.ts'
import { type Finding, finding, quoted } from '../finding.ts'
import { isOlder } from '../version-order.ts'
import { joinConfigurations, type TraefikConfiguration } from './configuration.ts'
import { examineEntryPoints } from './entry-points.ts'
import { examineCheck, examineShared, examineStripped, findChecks } from './middlewares.ts'
import { examineRouters } from './routers.ts'

/** First version with the fixes that docs/security.md lists. */
const OLDEST_TRAEFIK = '3.7.18'

/** Compares the configuration of Traefik that was given with what `vestibule render traefik` prints. */
export async function examineTraefik({ config, traefik }: Patient): Promise<readonly Finding[]> {
  if (traefik.length === 0) return []
  const failures: Finding[] = []
  const parts: TraefikConfiguration[] = []
  for (const { name, read } of traefik) {
    try {
      parts.push(await read())
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : 'unknown'
      failures.push(finding('traefik_unreadable', `${name}: ${quoted(why)}.`))
    }
  }
  if (parts.length === 0) return failures
  const configuration = joinConfigurations(parts)
  const checks = findChecks(configuration, config)
  return [
    ...failures,
    ...versionFindings(configuration),
    ...examineEntryPoints(configuration),
    ...(checks.length === 0
      ? [
          finding(
            'forward_auth_missing',
            `None of ${configuration.middlewares.size} middlewares asks Vestibule at /auth.`,
          ),
        ]
      : [
          ...checks.flatMap((check) => examineCheck(check, config)),
          ...examineStripped(configuration, checks, config),
          ...examineShared(configuration),
          ...examineRouters(configuration, checks, config),
        ]),
  ]
}

function versionFindings({ version }: TraefikConfiguration): readonly Finding[] {
  if (version === undefined || !isOlder(version, OLDEST_TRAEFIK)) return []
  return [finding('traefik_version', `Traefik says that it is ${quoted(version)}.`)]
}
