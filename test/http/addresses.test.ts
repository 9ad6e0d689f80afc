import { describe, expect, test } from 'vitest'
import { createSite, type HostPattern, parseHostPattern } from '../../src/core/site.ts'
import { createAddresses } from '../../src/http/addresses.ts'

const patterns = (...sources: readonly string[]): HostPattern[] =>
  sources.map((source) => parseHostPattern(source) as HostPattern)

const app = createSite('https', 'app.example.com', '')
const wiki = createSite('https', 'wiki.example.com', '')
const auth = createSite('https', 'auth.example.com', '')
const hosts = patterns('*.example.org', 'app.example.com', 'wiki.example.com')
const RD = 'https://app.example.com/a?b=c&d=e#f'

describe('addresses with one sign-in host', () => {
  const addresses = createAddresses({ basePath: '/account', publicSite: auth, hosts })

  test('sign-in happens there for every host', () => {
    for (const site of [app, wiki, auth]) {
      expect(addresses.home(site)).toBe(auth)
      expect(addresses.callback(site)).toBe('https://auth.example.com/account/callback')
      expect(addresses.signedOut(site)).toBe('https://auth.example.com/account/signed-out')
      expect(addresses.login(site, RD)).toMatch('https://auth.example.com/account/login?rd=')
    }
  })

  test('sign-out begins where the page is', () =>
    expect(addresses.logout(app)).toBe('https://app.example.com/account/logout'))

  test('who asked for nothing lands at the app, or at the first one by name', () => {
    expect(addresses.landing(wiki)).toBe('https://wiki.example.com/')
    expect(addresses.landing(auth)).toBe('https://app.example.com/')
  })
})

describe('addresses without one', () => {
  const addresses = createAddresses({ basePath: '/oauth2', publicSite: undefined, hosts })

  test('each host signs in by itself', () => {
    for (const site of [app, wiki]) {
      expect(addresses.home(site)).toBe(site)
      expect(addresses.callback(site)).toBe(`${site.origin}/oauth2/callback`)
      expect(addresses.logout(site)).toBe(`${site.origin}/oauth2/logout`)
      expect(addresses.signedOut(site)).toBe(`${site.origin}/oauth2/signed-out`)
      expect(addresses.landing(site)).toBe(`${site.origin}/`)
    }
  })

  test('a port and a scheme of its own belong to the host', () => {
    const local = createSite('http', 'app.localhost', '8080')
    expect(addresses.callback(local)).toBe('http://app.localhost:8080/oauth2/callback')
  })
})

test('the target comes back from the query as it was, with what goes beside it', () => {
  const addresses = createAddresses({ basePath: '/oauth2', publicSite: undefined, hosts })
  for (const rd of [RD, 'https://app.example.com/é?x=%26&y=+ "<>', '']) {
    const url = new URL(addresses.login(app, rd, { prompt: 'login', retry: '1' }))
    expect(Object.fromEntries(url.searchParams)).toEqual({ rd, prompt: 'login', retry: '1' })
    expect(url.pathname).toBe('/oauth2/login')
  }
  expect([...new URL(addresses.login(app, RD)).searchParams.keys()]).toEqual(['rd'])
})

test('with wildcards alone somebody lands where they are', () => {
  const wild = patterns('*.example.org')
  const addresses = createAddresses({ basePath: '/oauth2', publicSite: auth, hosts: wild })
  expect(addresses.landing(auth)).toBe('https://auth.example.com/')
  expect(addresses.landing(createSite('https', 'x.example.org', ''))).toBe('https://x.example.org/')
})
