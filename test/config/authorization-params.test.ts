import fc from 'fast-check'
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { anyText } from '../support/any-text.ts'
import { base, problemsOf } from '../support/configuration.ts'
import { rows, words } from '../support/words.ts'

const paramsOf = (text: string) =>
  loadConfig({ ...base, OIDC_AUTHORIZATION_PARAMS: text }).authorizationParams

function problemsWith(text: string): readonly string[] {
  return problemsOf({ ...base, OIDC_AUTHORIZATION_PARAMS: text })
}

test.for<[string, string]>([
  ['', ''],
  ['acr_values=urn:mfa', 'acr_values=urn:mfa'],
  ['acr_values=urn:mfa urn:pwd,max_age=3600', 'acr_values=urn:mfa urn:pwd|max_age=3600'],
  [' prompt=login%20consent\n\nui_locales=de%20en ,', 'prompt=login consent|ui_locales=de en'],
  [
    'max_age=0&login_hint=alice%40example.com&kc_idp_hint=corp',
    'max_age=0|login_hint=alice@example.com|kc_idp_hint=corp',
  ],
  [
    'resource=https://a.example.com/x,resource=urn:b,audience=c,audience=d',
    'resource=https://a.example.com/x|resource=urn:b|audience=c|audience=d',
  ],
  ['login_hint=a%2Cb%26c%25d+e=f', 'login_hint=a,b&c%d+e=f'],
  ['claims={"id_token":{"acr":null}}', 'claims={"id_token":{"acr":null}}'],
])('%j is understood', ([text, expected]) => {
  const pairs = expected
    .split('|')
    .flatMap((each) => (each ? [each.split(/=(.*)/s).slice(0, 2)] : []))
  expect(paramsOf(text)).toEqual(pairs)
})

test.for(words`
  response_type response_mode client_id client_secret redirect_uri scope state nonce
  code_challenge code_challenge_method code_verifier request request_uri id_token_hint dpop_jkt
  Client_ID STATE
`)('%s is not to be set here, and what to do is said', (name) => {
  expect(problemsWith(`${name}=evil`)).toEqual([
    expect.stringMatching(
      new RegExp(
        `^OIDC_AUTHORIZATION_PARAMS: ${name} is not for this setting: .*(?:remove it|set OIDC_|never goes)`,
      ),
    ),
  ])
})

test.for<[string, RegExp]>([
  ...rows`prompt=none prompt=login%20none`(/prompt=none makes the sign-in fail .* remove it/),
  ...rows`prompt=create prompt=LOGIN prompt=login%20%20consent`(
    /prompt is none of login, consent, select_account/,
  ),
  ...rows`max_age=-1 max_age=1.5 max_age=1h max_age=%31%20`(/whole number of seconds/),
  ['max_age=60,max_age=90', /max_age is set twice: remove one/],
  ['acr_values=a,acr_values=b', /acr_values is set twice/],
  ...rows`resource=/api resource=https://api.example.com/%23a`(
    /resource is not an absolute URI without a fragment/,
  ),
  ['acr_values', /acr_values is not of the form acr_values=urn%3Amfa/],
  ['login_hint=%', /write a comma in a value as %2C and a percent sign as %25/],
  ...rows`acr_values= =x a\x20b=x ä=x ?acr_values=x login_hint=%ff login_hint=a%0d%0ab login_hint=%00`(
    /is not of the form/,
  ),
])('%s is one problem with a remedy', ([text, problem]) => {
  expect(problemsWith(text)).toEqual([expect.stringMatching(problem)])
})

test('each entry is told by itself', () => {
  expect(problemsWith('prompt=none,scope=x,max_age=a,ok=1')).toHaveLength(3)
})

test('any text is either understood or a problem, and what is ours is never understood', () => {
  fc.assert(
    fc.property(anyText, anyText, (name, value) => {
      const text = `${name}=${value}`
      if (problemsWith(text).length > 0) return
      for (const [taken, sent] of paramsOf(text)) {
        expect(taken).toMatch(/^[A-Za-z0-9._~-]+$/)
        expect(taken).not.toMatch(/^(?:state|nonce|scope|request|client_id)$/i)
        expect(sent).not.toMatch(/[\x00-\x1f\x7f]/)
      }
    }),
  )
})
