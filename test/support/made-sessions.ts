import { hash, randomBytes } from 'node:crypto'
import { parseKeys } from '../../src/config/encryption-keys.ts'
import { formatSessionCookie } from '../../src/core/session.ts'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { createSessionCodec } from '../../src/session/records.ts'
import { openState } from './redis-state.ts'
import { SERVER_KEY } from './replicas.ts'
import { SESSION_COOKIE } from './sign-in-steps.ts'

export interface MadeSession {
  readonly sub: string
  readonly cookie: string
}

const HOUR_MS = 3_600_000
const PREFIX = 'vestibule:'
const AT_ONCE = 200

/**
 * More sessions than anybody would sign in for: written to Redis as the service writes them, for app.example.com, each
 * with so many bytes of groups of its own.
 */
export const makeSessions = async (
  redis: Parameters<typeof openState>[0],
  count: number,
  groupBytes = 0,
): Promise<readonly MadeSession[]> => {
  const ring = createKeyRing(parseKeys(SERVER_KEY))
  const codec = createSessionCodec({ ring, keyPrefix: PREFIX, onIntegrityFailure: () => undefined })
  await using observed = openState(redis, { keys: ring.fingerprints() })
  const { state } = observed
  await state.firstAttempt
  const now = Date.now()
  const token = () => randomBytes(32).toString('base64url')
  const make = async (sub: string): Promise<MadeSession> => {
    const [id, secret] = [token(), token()]
    const digest = hash('sha256', id, 'base64url')
    const holder = { secret, realm: 'app.example.com' }
    const identity = {
      issuer: 'https://id.example.com',
      subject: sub,
      groups: groupsOf(groupBytes),
      claims: {},
    }
    const records = {
      identity: codec.seal(
        digest,
        'identity',
        { identity, createdAt: now, expiresAt: now + HOUR_MS },
        holder,
      ),
      tokens: codec.seal(digest, 'tokens', { idToken: 'x', accessToken: 'x' }, holder),
      metadata: codec.seal(digest, 'metadata', {
        subject: sub,
        displayName: sub,
        owners: { user: sub },
        createdAt: now,
      }),
    }
    await state.store.create(digest, records, HOUR_MS)
    return { sub, cookie: `${SESSION_COOKIE}=${formatSessionCookie({ id, secret })}` }
  }
  const made: MadeSession[] = []
  while (made.length < count) {
    const subs = Array.from({ length: Math.min(AT_ONCE, count - made.length) }, (_, at) => at)
    const more = await Promise.all(subs.map((at) => make(`user-${made.length + at}`)))
    made.push(...more)
  }
  return made
}

function groupsOf(bytes: number): string[] {
  return Array.from({ length: bytes / 25 }, () => randomBytes(12).toString('hex'))
}
