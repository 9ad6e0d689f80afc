import type { Identity } from '../../src/core/identity.ts'
import type { NewSession } from '../../src/session/sessions.ts'

/** Server key of every test replica, in hex. */
export const SERVER_KEY = '0123456789abcdef'.repeat(4)
export const REALM = 'app.example.com'
export const DAY_MS = 86_400_000
export const KEY_PREFIX = 'vestibule:'
export const STARTED_AT = 1_700_000_000_000

export const identity: Identity = {
  issuer: 'https://id.example.com',
  subject: 'u1',
  email: 'alice@example.com',
  name: 'Alice',
  groups: ['admins'],
  claims: { dept: 'R&D' },
}

export const newSession: NewSession = {
  identity,
  tokens: { idToken: 'the.id.token', accessToken: 'the-access-token', accessTokenExpiresAt: 5000 },
  metadata: {
    subject: 'u1',
    displayName: 'Alice',
    owners: { user: 'user-1', providerSession: 'sid-1' },
    address: '203.0.113.7',
  },
  realm: REALM,
}
