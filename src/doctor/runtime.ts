import type { Patient } from './examination.ts'
import { type Finding, finding } from './finding.ts'
import { isOlder } from './version-order.ts'

/** First version whose Brotli decoder stays within its memory (CVE-2026-111497). */
const OLDEST_NODE = '26.12.1'

/** Looks at the runtime of this command, which in a container is that of the service. */
export async function examineRuntime({
  versions,
  config,
  note,
}: Patient): Promise<readonly Finding[]> {
  if (!config.internalTls) {
    note(
      'INTERNAL_TLS_CERT_FILE is not set: with it Traefik keeps one HTTP/2 connection for each router, which is faster (docs/tls.md).',
    )
  }
  if (!isOlder(versions.node, OLDEST_NODE)) return []
  return [finding('node_version', `This is Node ${versions.node}.`)]
}
