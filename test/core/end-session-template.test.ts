import { expect, test } from 'vitest'
import { fillEndSessionTemplate, placeholdersOf } from '../../src/core/end-session-template.ts'
import { anyText } from '../support/any-text.ts'
import { holds } from '../support/holds.ts'

const AUTH0 =
  'https://tenant.eu.auth0.com/v2/logout?client_id={client_id}&returnTo={post_logout_redirect_uri}'

test.for<[string, Record<string, string>, string]>([
  [
    AUTH0,
    { client_id: 'a&b=c', post_logout_redirect_uri: 'https://app.example.com/oauth2/signed-out' },
    'https://tenant.eu.auth0.com/v2/logout?client_id=a%26b%3Dc&returnTo=https%3A%2F%2Fapp.example.com%2Foauth2%2Fsigned-out',
  ],
  [AUTH0, { client_id: 'a' }, 'https://tenant.eu.auth0.com/v2/logout?client_id=a'],
  [
    'https://id.example.com/out?federated&logout_hint={logout_hint}&x=1',
    { logout_hint: '' },
    'https://id.example.com/out?federated&x=1',
  ],
  ['https://id.example.com/out?state={state}', {}, 'https://id.example.com/out'],
  ['https://id.example.com/out', { state: 's' }, 'https://id.example.com/out'],
  [
    'https://id.example.com/out?to={client_id}:{state}',
    { client_id: 'a', state: 's' },
    'https://id.example.com/out?to=a:s',
  ],
  [
    'https://id.example.com/out?to={client_id}:{state}',
    { client_id: 'a' },
    'https://id.example.com/out',
  ],
  [
    'https://id.example.com/out?a=b?{state}',
    { state: '{state}' },
    'https://id.example.com/out?a=b?%7Bstate%7D',
  ],
])('%s is filled with %j', ([template, parameters, expected]) =>
  expect(fillEndSessionTemplate(template, parameters).href).toBe(expected),
)

test('no value gets out of its place', () =>
  holds(100, [anyText, anyText], (uri, hint) => {
    const template = `${AUTH0}&logout_hint={logout_hint}`
    const values = { client_id: 'a', post_logout_redirect_uri: uri, logout_hint: hint }
    const url = fillEndSessionTemplate(template, values)
    expect([url.origin, url.pathname, url.hash]).toEqual([
      'https://tenant.eu.auth0.com',
      '/v2/logout',
      '',
    ])
    expect(url.searchParams.get('client_id')).toBe('a')
    expect(url.searchParams.get('returnTo') ?? '').toBe(uri.toWellFormed())
    expect(url.searchParams.get('logout_hint') ?? '').toBe(hint.toWellFormed())
  }))

test('its names are told, known or not', () =>
  expect(placeholdersOf('https://{a}/?b={b}&c={}&d={d')).toEqual(['a', 'b', '']))
