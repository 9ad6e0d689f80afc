import { lookup as resolveName } from 'node:dns/promises'
import { networkInterfaces } from 'node:os'
import type { Config } from '../../config/config.ts'
import { isRecord, parseJson } from '../../core/json.ts'
import type { Answer, Ask } from '../ask.ts'
import { type Finding, finding } from '../finding.ts'
import { ownAnswerOf } from '../own-answer.ts'
import type { Place } from '../places.ts'

/** Looks for the internal listener at the public address of a host: behind its routers, and at its own port. */
export async function examineInternalOutside(
  place: Place,
  { settings }: Config,
  ask: Ask,
): Promise<readonly Finding[]> {
  const { origin } = place.site
  const open: string[] = []
  for (const { path, isOurs } of PATHS) {
    const answer = await ask(`${origin}${path}`).catch(() => undefined)
    if (answer && isOurs(answer)) open.push(`${origin}${path}`)
  }
  // Skips this machine, where the port need not be published.
  if (!(await isThisMachine(place.hostname))) {
    for (const scheme of ['http', 'https']) {
      const url = `${scheme}://${place.hostname}:${settings.INTERNAL_PORT}/health`
      const answer = await ask(url, { timeoutMs: PORT_TIMEOUT_MS }).catch(() => undefined)
      if (answer && isHealth(answer)) open.push(url)
    }
  }
  if (open.length === 0) return []
  return [finding('internal_exposed', `The internal listener answered at ${open.join(', ')}.`)]
}

const PORT_TIMEOUT_MS = 2000

interface InternalPath {
  readonly path: string
  readonly isOurs: (answer: Answer) => boolean
}

const PATHS: readonly InternalPath[] = [
  { path: '/metrics', isOurs: ({ body }) => /^# HELP vestibule_/m.test(body) },
  { path: '/health', isOurs: isHealth },
  {
    path: '/auth',
    // The check says so to what Traefik’s forwardAuth did not send.
    isOurs: (answer) => ownAnswerOf(answer)?.message.includes("Traefik's forwardAuth") === true,
  },
]

function isHealth({ body }: Answer): boolean {
  const health = parseJson(body)
  return isRecord(health) && 'revocations_waiting' in health
}

async function isThisMachine(hostname: string): Promise<boolean> {
  if (/(?:^|\.)localhost$/.test(hostname)) return true
  const found = await resolveName(hostname, { all: true }).catch(() => [])
  const own = new Set(
    Object.values(networkInterfaces()).flatMap((each = []) => each.map((one) => one.address)),
  )
  return (
    found.length === 0 ||
    found.some(({ address }) => own.has(address) || address.startsWith('127.'))
  )
}
