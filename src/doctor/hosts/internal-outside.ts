import { lookup as resolveName } from 'node:dns/promises'
import { networkInterfaces } from 'node:os'
import { isRecord, parseJson } from '../../core/json.ts'
import type { Answer } from '../ask.ts'
import type { Patient } from '../examination.ts'
import { type Finding, finding } from '../finding.ts'
import { ownAnswerOf } from '../own-answer.ts'
import type { Place } from '../places.ts'

/** Looks for the internal listener at the public address of a host: behind its routers, and at its own port. */
export async function examineInternalOutside(
  place: Place,
  patient: Patient,
): Promise<readonly Finding[]> {
  const { ask } = patient
  const { origin } = place.site
  const open: string[] = []
  for (const { path, isOurs } of PATHS) {
    const answer = await ask(`${origin}${path}`).catch(() => undefined)
    if (answer && isOurs(answer)) open.push(`${origin}${path}`)
  }
  const url = await findOpenPort(place.hostname, patient)
  if (url !== undefined) open.push(url)
  if (open.length === 0) return []
  return [finding('internal_exposed', `The internal listener answered at ${open.join(', ')}.`)]
}

/** Returns the address of the internal listener where its port is open. Skips this machine, which need not publish it. */
async function findOpenPort(
  hostname: string,
  { config, ask, internal }: Patient,
): Promise<string | undefined> {
  if (await isThisMachine(hostname)) return undefined
  const { settings, internalTls } = config
  const url = `${internalTls ? 'https' : 'http'}://${hostname}:${settings.INTERNAL_PORT}/health`
  // Browsers trust no such certificate. Where clients need one, this one's own would open the door.
  const asker = internalTls && internalTls.clientCaFile === undefined ? internal.ask : ask
  const answer = await asker(url, { timeoutMs: PORT_TIMEOUT_MS }).catch(() => undefined)
  return answer && isHealth(answer) ? url : undefined
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
