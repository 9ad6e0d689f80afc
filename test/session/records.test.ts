import { expect, test } from 'vitest'
import { parseKeys } from '../../src/config/encryption-keys.ts'
import type { Identity } from '../../src/core/identity.ts'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { createSessionCodec, sessionRecord } from '../../src/session/records.ts'
import { identity, KEY_PREFIX, REALM, SERVER_KEY } from '../support/session-values.ts'

const ring = createKeyRing(parseKeys(SERVER_KEY))
const codec = createSessionCodec({
  ring,
  keyPrefix: KEY_PREFIX,
  onIntegrityFailure: () => undefined,
})
const key = { secret: 'the-secret-of-the-cookie', realm: REALM }
const sessionOf = (changes: Partial<Identity>) => ({
  identity: { ...identity, ...changes },
  createdAt: 1,
  expiresAt: 2,
})

test.for<[string, Partial<Identity>]>([
  ['of an older version', {}],
  ['without groups', { groups: [], areGroupsKnown: true }],
  ['with some of the groups', { areGroupsKnown: false }],
  ['with claims that cannot be compared', { incomparable: ['dept', '__proto__'] }],
  [
    'with a claim that JavaScript knows',
    { claims: JSON.parse('{"__proto__":"x"}') as Identity['claims'] },
  ],
])('a record %s opens as it was written', ([, changes]) => {
  const session = sessionOf(changes)
  const opened = codec.open('d', 'identity', codec.seal('d', 'identity', session, key), key)
  expect(opened).toEqual(session)
  expect(JSON.stringify(opened)).toHaveLength(JSON.stringify(session).length)
})

test.for<[string, object]>([
  ['areGroupsKnown', { areGroupsKnown: 'yes' }],
  ['incomparable', { incomparable: 'dept' }],
  ['incomparable', { incomparable: [7] }],
])('a record with an unknown kind of %s is none', ([, changes]) =>
  expect(sessionRecord.safeParse(sessionOf(changes)).success).toBe(false),
)
