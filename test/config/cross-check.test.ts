import { expect, test } from 'vitest'
import { problemRows, problemsWith, settingsIn } from '../support/configuration.ts'

test.for(problemRows`
  PUBLIC_URL=https://auth.other.test COOKIE_DOMAIN=example.com
  ^COOKIE_DOMAIN.* does not cover PUBLIC_URL \(auth\.other\.test\)
  PUBLIC_URL=https://badexample.com COOKIE_DOMAIN=example.com
  ^COOKIE_DOMAIN.* does not cover
  PUBLIC_URL=https://auth.example.com
  ^PROTECTED_HOSTS.* would never get the session cookie.*set COOKIE_DOMAIN
  COOKIE_DOMAIN=other.test
  ^COOKIE_DOMAIN.*other\.test does not cover the protected host app\.example\.com
  PUBLIC_URL=https://example.com PROTECTED_HOSTS=*.example.com
  ^PROTECTED_HOSTS.* would never get the session cookie
  PROTECTED_HOSTS=app.example.com,*.com
  ^PROTECTED_HOSTS: \*\.com covers a whole public suffix.*such as \*\.example\.com$
  PROTECTED_HOSTS=*.DE:8443
  ^PROTECTED_HOSTS: .*a whole public suffix
  COOKIE_DOMAIN=com PROTECTED_HOSTS=app.example.com
  ^COOKIE_DOMAIN: com is a public suffix
  PUBLIC_URL=https://app.example.com PROTECTED_HOSTS=app.example.com:8443
  ^PROTECTED_HOSTS.* would never get the session cookie
  PUBLIC_URL=https://auth.a.localhost COOKIE_DOMAIN=a.localhost PROTECTED_HOSTS=http://a.localhost
  ^PROTECTED_HOSTS.* is an http host and PUBLIC_URL is not
  PROTECTED_HOSTS=http://app.localhost COOKIE_SAMESITE=none
  ^COOKIE_SAMESITE.* none needs https
  OIDC_CLIENT_SECRET= OIDC_TOKEN_ENDPOINT_AUTH_METHOD=client_secret_post
  ^OIDC_CLIENT_SECRET.* is missing, and OIDC_TOKEN_ENDPOINT_AUTH_METHOD is client_secret_post
  ALLOWED_GROUPS=admins
  ^ALLOW_ANY_USER.* names users too: remove one of them
  ALLOW_ANY_USER=false
  ^Nobody may enter.* or set ALLOW_ANY_USER=true
  ALLOW_ANY_USER= ALLOWED_EMAILS=alice@example.com,example.com
  ^ALLOWED_EMAILS\.1: is not an e-mail address: write ada@example\.com, in ASCII$
  ALLOW_ANY_USER= ALLOWED_EMAIL_DOMAINS=@example.com
  ^ALLOWED_EMAIL_DOMAINS\.0: is not a domain: write example\.com, without @$
  ALLOW_ANY_USER= ALLOWED_EMAIL_DOMAINS=*.example.com
  ^ALLOWED_EMAIL_DOMAINS\.0: is not a domain: write example\.com, without @$
`)('%s is the problem %s', ([settings, problem]) => {
  expect(problemsWith(settingsIn(settings))).toEqual([expect.stringMatching(problem)])
})

test('a wildcard for a name that nobody registers names under is taken', () => {
  const hosts = '*.localhost,http://*.localhost:8080,*.internal,*.lan,*.co.test'
  expect(problemsWith({ PROTECTED_HOSTS: hosts })).toEqual([])
})

test('a public address over http is for this machine, or for somebody who says so', () => {
  const plain = { PUBLIC_URL: 'http://app.test', PROTECTED_HOSTS: 'http://app.test' }
  const remedy =
    'PUBLIC_URL: http is for loopback and *.localhost; use https, or set ALLOW_INSECURE_HTTP=true'
  expect(problemsWith(plain)).toContain(remedy)
  expect(problemsWith({ ...plain, ALLOW_INSECURE_HTTP: 'true' })).toEqual([])
})
