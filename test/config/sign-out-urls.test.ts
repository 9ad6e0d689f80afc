import { describe, expect, test } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { base, problemsOf } from '../support/configuration.ts'

function problemsWith(changes: Environment): readonly string[] {
  return problemsOf({ ...base, ...changes })
}

describe('OIDC_END_SESSION_URL', () => {
  test.for([
    'https://tenant.eu.auth0.com/v2/logout?client_id={client_id}&returnTo={post_logout_redirect_uri}',
    'https://login.microsoftonline.com/tenant/oauth2/v2.0/logout?post_logout_redirect_uri={post_logout_redirect_uri}&logout_hint={logout_hint}',
    'https://id.example.com/out?state={state}&id_token_hint={id_token_hint}&federated',
    'https://id.example.com/out',
    'http://127.0.0.1:9000/out?client_id={client_id}',
  ])('%s is taken', (template) => {
    expect(problemsWith({ OIDC_END_SESSION_URL: template })).toEqual([])
  })

  test.for<[string, RegExp]>([
    ['https://id.example.com/out?x={user}', /\{user\} is none of \{client_id\} /],
    ['https://id.example.com/out?x={}', /\{\} is none of/],
    ['https://id.example.com/out?x={CLIENT_ID}', /is none of/],
    ['https://{client_id}.example.com/out', /placeholders are allowed only after the \?/],
    ['https://id.example.com/{client_id}/out?x=1', /placeholders are allowed only after the \?/],
    ['https://id.example.com/out?x={state', /an unmatched brace/],
    ['https://id.example.com/out?x=state}', /an unmatched brace/],
    ['/out?client_id={client_id}', /is not a URL such as/],
    ['javascript:alert(1)', /is not a URL such as/],
    ['https://user@id.example.com/out', /is not a URL such as/],
    ['https://id.example.com/out?x={state}#a', /is not a URL such as/],
    ['https:id.example.com', /is not a URL such as/],
    ['https://id.example.com\\out', /is not a URL such as/],
    ['http://id.example.com/out', /use https, or set ALLOW_INSECURE_HTTP=true/],
  ])('%s is one problem with a remedy', ([template, problem], { expect }) => {
    const problems = problemsWith({ OIDC_END_SESSION_URL: template })
    expect(problems).toEqual([expect.stringMatching(problem)])
    expect(problems[0]).toMatch(/^OIDC_END_SESSION_URL: /)
  })
})

describe('POST_LOGOUT_REDIRECT_URIS', () => {
  test('is a list of whole addresses', () => {
    const uris = ['https://www.example.com/bye?a=b', 'http://localhost:3000/']
    const { settings } = loadConfig({ ...base, POST_LOGOUT_REDIRECT_URIS: uris.join(', ') })
    expect(settings.POST_LOGOUT_REDIRECT_URIS).toEqual(uris)
  })

  test.for<[string, RegExp]>([
    ['//www.example.com/', /\/\/www\.example\.com\/ is not an absolute URL/],
    ['https://*.example.com/', /is not an absolute URL/],
    ['https://user:pw@www.example.com/', /is not an absolute URL/],
    ['https://www.example.com/#a', /is not an absolute URL/],
    ['data:text/html;x', /is not an absolute URL/],
    ['http://www.example.com/', /use https, or set ALLOW_INSECURE_HTTP=true/],
  ])('%s is a problem with a remedy', ([uri, problem], { expect }) => {
    const problems = problemsWith({ POST_LOGOUT_REDIRECT_URIS: uri })
    expect(problems).toEqual([expect.stringMatching(problem)])
  })
})
