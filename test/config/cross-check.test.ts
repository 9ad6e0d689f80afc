import { describe, expect, test } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { CLIENT_SECRET, base as minimum, problemsOf } from '../support/configuration.ts'

const base = { ...minimum, OIDC_CLIENT_SECRET: CLIENT_SECRET } as const
function problemsWith(changes: Environment): readonly string[] {
  return problemsOf({ ...base, ...changes })
}

describe('settings that do not go together', () => {
  test.for<[string, Environment, string, RegExp]>([
    [
      'a cookie domain that does not cover the public address',
      { PUBLIC_URL: 'https://auth.other.test', COOKIE_DOMAIN: 'example.com' },
      'COOKIE_DOMAIN',
      /does not cover PUBLIC_URL \(auth\.other\.test\)/,
    ],
    [
      'a cookie domain that is only the end of a word',
      { PUBLIC_URL: 'https://badexample.com', COOKIE_DOMAIN: 'example.com' },
      'COOKIE_DOMAIN',
      /does not cover/,
    ],
    [
      'a host that never gets the cookie',
      { PUBLIC_URL: 'https://auth.example.com' },
      'PROTECTED_HOSTS',
      /would never get the session cookie.*set COOKIE_DOMAIN/,
    ],
    [
      'a protected host outside the cookie domain',
      { COOKIE_DOMAIN: 'other.test' },
      'COOKIE_DOMAIN',
      /other\.test does not cover the protected host app\.example\.com/,
    ],
    [
      'a wildcard beside a public address without a domain',
      { PUBLIC_URL: 'https://example.com', PROTECTED_HOSTS: '*.example.com' },
      'PROTECTED_HOSTS',
      /would never get the session cookie/,
    ],
    [
      'another port of the same host',
      { PUBLIC_URL: 'https://app.example.com', PROTECTED_HOSTS: 'app.example.com:8443' },
      'PROTECTED_HOSTS',
      /would never get the session cookie/,
    ],
    [
      'an http host beside an https address',
      {
        PUBLIC_URL: 'https://auth.app.localhost',
        COOKIE_DOMAIN: 'app.localhost',
        PROTECTED_HOSTS: 'http://app.localhost',
      },
      'PROTECTED_HOSTS',
      /is an http host and PUBLIC_URL is not/,
    ],
    [
      'SameSite=None over http',
      { PROTECTED_HOSTS: 'http://app.localhost', COOKIE_SAMESITE: 'none' },
      'COOKIE_SAMESITE',
      /none needs https/,
    ],
    [
      'a method that needs a secret',
      { OIDC_CLIENT_SECRET: '', OIDC_TOKEN_ENDPOINT_AUTH_METHOD: 'client_secret_post' },
      'OIDC_CLIENT_SECRET',
      /is missing, and OIDC_TOKEN_ENDPOINT_AUTH_METHOD is client_secret_post/,
    ],
    [
      'everybody and somebody',
      { ALLOWED_GROUPS: 'admins' },
      'ALLOW_ANY_USER',
      /names users too: remove one of them/,
    ],
    ['nobody', { ALLOW_ANY_USER: 'false' }, 'Nobody may enter', /or set ALLOW_ANY_USER=true/],
    [
      'an address that is none',
      { ALLOW_ANY_USER: '', ALLOWED_EMAILS: 'alice@example.com,example.com' },
      'ALLOWED_…',
      /example\.com is not an e-mail address or domain/,
    ],
    [
      'a domain with its at sign',
      { ALLOW_ANY_USER: '', ALLOWED_EMAIL_DOMAINS: '@example.com' },
      'ALLOWED_…',
      /@example\.com is not an e-mail address or domain/,
    ],
    [
      'a domain with a star',
      { ALLOW_ANY_USER: '', ALLOWED_EMAIL_DOMAINS: '*.example.com' },
      'ALLOWED_…',
      /\*\.example\.com is not an e-mail address or domain/,
    ],
  ])('%s', ([, changes, name, remedy], { expect }) => {
    const problems = problemsWith(changes)
    expect(problems).toHaveLength(1)
    expect(problems[0]?.startsWith(name)).toBe(true)
    expect(problems[0]).toMatch(remedy)
  })

  test('a public address over http is for this machine, or for somebody who says so', () => {
    const plain = { PUBLIC_URL: 'http://app.test', PROTECTED_HOSTS: 'http://app.test' }
    const remedy =
      'PUBLIC_URL: http is for loopback and *.localhost; use https, or set ALLOW_INSECURE_HTTP=true'
    expect(problemsWith(plain)).toContain(remedy)
    expect(problemsWith({ ...plain, ALLOW_INSECURE_HTTP: 'true' })).toEqual([])
  })

  test('hosts below the cookie domain and the public address itself go together', () => {
    const problems = problemsWith({
      PUBLIC_URL: 'https://auth.example.com',
      COOKIE_DOMAIN: 'example.com',
      PROTECTED_HOSTS: 'app.example.com,*.apps.example.com,auth.example.com,example.com:8443',
    })
    expect(problems).toEqual([])
  })
})
