import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createSite, createSites, parseHostPattern, type Site } from '../../src/core/site.ts'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { createAddresses } from '../../src/http/addresses.ts'
import { createLandingPages } from '../../src/routes/sign-out/landing-pages.ts'
import { anyText } from '../support/any-text.ts'
import { holds } from '../support/holds.ts'

const FURTHER = 'https://www.example.org/bye'
const APP = createSite('https', 'app.example.com', '')
const OTHER = createSite('https', 'other.example.com', '')
const hosts = ['app.example.com', 'other.example.com'].map((host) => {
  const pattern = parseHostPattern(host)
  if (!pattern) throw new Error(host)
  return pattern
})
const ring = createKeyRing([randomBytes(32)])

const pagesWith = (changes: { further?: string[]; publicSite?: Site; keys?: typeof ring } = {}) =>
  createLandingPages({
    addresses: createAddresses({ basePath: '/oauth2', publicSite: changes.publicSite, hosts }),
    returnTo: { sites: createSites(hosts), basePath: '/oauth2' },
    postLogoutRedirectUris: changes.further ?? [FURTHER],
    ring: changes.keys ?? ring,
  })
const pages = pagesWith()

test.for([
  { ending: 'done' },
  { ending: 'pending' },
  { ending: 'done', landingPage: FURTHER },
  { ending: 'pending', landingPage: 'https://other.example.com/a?b=c' },
] as const)('a state comes back as it was: %j', (state) =>
  expect(pages.openState(pages.sealState(state, APP), APP)).toEqual(state),
)

test('a state counts where the sign-out began, or at the one address for all', () => {
  expect(pages.openState(pages.sealState({ ending: 'pending' }, APP), OTHER)).toBeUndefined()
  const shared = pagesWith({ publicSite: OTHER })
  expect(shared.openState(shared.sealState({ ending: 'pending' }, APP), OTHER)).toEqual({
    ending: 'pending',
  })
})

test('a page that is not allowed any more is left out', () => {
  const sealed = pages.sealState({ ending: 'done', landingPage: FURTHER }, APP)
  expect(pagesWith({ further: [] }).openState(sealed, APP)).toEqual({ ending: 'done' })
})

test('no text but a state of ours is one', () =>
  holds(100, [anyText], (text) => expect(pages.openState(text, APP)).toBeUndefined()))

test('a state with any byte changed is none', () => {
  const state = { ending: 'done', landingPage: FURTHER } as const
  const sealed = Buffer.from(pages.sealState(state, APP), 'base64url')
  for (let at = 0; at < sealed.length; at += 1) {
    const changed = Buffer.from(sealed)
    changed[at] = (changed[at] ?? 0) ^ 1
    expect(pages.openState(changed.toString('base64url'), APP)).toBeUndefined()
  }
})
