import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Session } from '../../src/core/session.ts'
import { ownersOf, providerSessionOwner, userOwner } from '../../src/session/owners.ts'
import { identity, STARTED_AT } from '../support/started-sessions.ts'

const session: Session = { identity, createdAt: STARTED_AT, expiresAt: STARTED_AT + 1000 }

describe('whose a session is', () => {
  test("its user's, and its session's at the provider where there is one", () => {
    const user = userOwner(identity.issuer, identity.subject)
    expect(ownersOf(session)).toEqual([user])
    const atProvider = providerSessionOwner(identity.issuer, 'sid-1')
    expect(ownersOf({ ...session, providerSession: atProvider.id })).toEqual([user, atProvider])
  })

  test.for([
    ['user', userOwner],
    ['providerSession', providerSessionOwner],
  ] as const)('no two providers have a %s in common', ([kind, ownerOf]) => {
    const text = fc.string({ maxLength: 5 })
    fc.assert(
      fc.property(text, text, text, text, (issuer, name, otherIssuer, otherName) => {
        const [owner, other] = [ownerOf(issuer, name), ownerOf(otherIssuer, otherName)]
        expect(owner.id === other.id).toBe(issuer === otherIssuer && name === otherName)
      }),
    )
    expect(ownerOf('https://id.example', '.com')).not.toEqual(ownerOf('https://id.example.', 'com'))
    expect(ownerOf('a', 'b').kind).toBe(kind)
  })

  test('a user and a session at the provider of the same name are two', () => {
    const [user, session] = [
      userOwner('https://id.example', 'x'),
      providerSessionOwner('https://id.example', 'x'),
    ]
    expect(user.id).not.toBe(session.id)
  })

  test('its name is of one length and tells nobody who it is', () => {
    for (const [issuer, name] of [
      ['', ''],
      ['https://id.example.com', 'alice@example.com'],
      ['https://id.example.com', 'x'.repeat(10_000)],
    ] as const) {
      expect(userOwner(issuer, name).id).toMatch(/^[A-Za-z0-9_-]{43}$/)
    }
  })
})
