import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseTemplate } from '../../src/config/header-template.ts'
import type { Identity } from '../../src/core/identity.ts'
import {
  claimsNamedBy,
  guardedNames,
  IDENTITY_HEADERS,
  type IdentityHeader,
  identityHeaders,
  sentNames,
  templateBytes,
} from '../../src/core/identity-headers.ts'
import { anyText } from '../support/any-text.ts'
import { claimHeader } from '../support/claim-header.ts'
import { holds } from '../support/holds.ts'
import { visibleText } from '../support/hostile-claims.ts'
import { words } from '../support/words.ts'

const nobody: Identity = {
  issuer: 'https://id.example.com',
  subject: 'u1',
  groups: [],
  claims: {},
}
const alice: Identity = { ...nobody, name: 'Alice', groups: ['admins', 'ops'] }

function headersOf(known: Identity | undefined, headers = IDENTITY_HEADERS, maxBytes = 8192) {
  return identityHeaders(known, headers, maxBytes)
}

function template(text: string, name = 'X-T'): IdentityHeader {
  return { name, source: { kind: 'template', parts: parseTemplate(text) } }
}

function filled(known: Identity, text: string): string | undefined {
  return headersOf(known, [template(text)])['X-T']
}

/** Returns the text whose UTF-8 bytes a header value holds. */
function decoded(value: string | undefined): string {
  return Buffer.from(value ?? '', 'latin1').toString()
}

describe('identity headers', () => {
  const empty = {
    'X-Auth-Request-User': '',
    'X-Auth-Request-Email': '',
    'X-Auth-Request-Preferred-Username': '',
    'X-Auth-Request-Name': '',
    'X-Auth-Request-Groups': '',
  }

  test('nobody: each header is there and empty', () => {
    expect(headersOf(undefined)).toEqual(empty)
    expect(Object.keys(headersOf(undefined))).toEqual(IDENTITY_HEADERS.map(({ name }) => name))
  })

  test('somebody of whom only the subject is known has the same headers', () => {
    expect(headersOf(nobody)).toEqual({ ...empty, 'X-Auth-Request-User': 'u1' })
  })

  test('a header whose claim an older session does not have is empty', () => {
    const later = words`dept constructor toString __proto__`.flatMap((claim) => [
      claimHeader(`X-${claim}`, claim),
      template(`x-{${claim}}`, `X-T-${claim}`),
    ])
    expect(new Set(Object.values(headersOf(alice, later)))).toEqual(new Set(['']))
  })

  test('the place of the access token is empty, because it is no part of an identity', () => {
    const header: IdentityHeader = { name: 'X-Token', source: { kind: 'access-token' } }
    expect(headersOf(alice, [header])).toEqual({ 'X-Token': '' })
  })

  test('the limit counts the bytes of names and values on the wire', () => {
    const headers = [claimHeader('X-N', 'name')]
    const named = { ...alice, name: 'é' }
    expect(headersOf(named, headers, 5)['X-N']).toBe('\u00c3\u00a9')
    expect(() => headersOf(named, headers, 4)).toThrow('take 5 bytes')
  })

  test.for<[string, readonly IdentityHeader[], object]>([
    ['the claim "name"', [template('{sub} {name} {sub}')], { claim: 'name' }],
    [
      'the claim "groups"',
      [claimHeader('X-N', 'name'), template('{sub}{groups}')],
      { claim: 'groups' },
    ],
    ['the header X-T', [claimHeader('X-N', 'name'), template('x'.repeat(40))], {}],
  ])('above the limit, %s is named as the largest', ([named, headers, facts]) => {
    const setting = 'IDENTITY_HEADERS_MAX_BYTES'
    expect(() => headersOf(alice, headers, 10)).toThrow(
      expect.objectContaining({
        code: 'claims_too_large',
        message: expect.stringContaining(`most of them ${named}; ${setting} is 10`) as string,
        facts: { ...facts, setting },
      }),
    )
  })

  test('the claims of templates are asked for as those of headers are, each once', () => {
    const headers = [template('{dept}/{sub}/{team}'), claimHeader('X-D', 'dept')]
    expect(claimsNamedBy(headers, ['team', 'level'])).toEqual(['dept', 'team', 'level'])
  })
})

describe('names of headers', () => {
  const given = [...IDENTITY_HEADERS, claimHeader('x-Forwarded-USER', 'sub')]
  const access: IdentityHeader = {
    name: 'X-Auth-Request-Access-Token',
    source: { kind: 'access-token' },
  }

  test('sent are those that are configured, and the one of the access token in any case', () => {
    const sent = [...given.map(({ name }) => name), 'X-Auth-Request-Access-Token']
    expect(sentNames(given)).toEqual(sent)
    expect(sentNames([...given, access])).toEqual(sent)
  })

  test('guarded are those and the family of X-Forwarded-User, each once', () => {
    const others = words`Email Groups Preferred-Username Access-Token`
    expect(guardedNames(given)).toEqual([
      ...sentNames(given),
      ...others.map((each) => `X-Forwarded-${each}`),
    ])
  })
})

describe('a template', () => {
  const claims = {
    dept: 'R&D',
    roles: ['a,b', 'c%'],
    none: [],
    brace: '{sub}',
    comma: 'sales,role-admin',
    controls: '\r\n\0',
    noise: ['\r', '\n'],
    trimmed: '\u00a0 à ',
  }
  const known: Identity = { ...alice, claims, incomparable: ['object'] }

  test.for<[string, string]>([
    ['role-{dept}', 'role-R&D'],
    ['{sub}', 'u1'],
    ['{name} <{sub}>', 'Alice <u1>'],
    ['{dept}{dept}', 'R&DR&D'],
    ['x', 'x'],
    ['{{{dept}}}', '{R&D}'],
    ['{{sub}}', '{sub}'],
    ['a}}b{{c', 'a}b{c'],
    ['in {groups}', 'in admins,ops'],
    ['{roles}', 'a%2Cb,c%25'],
    ['{brace}', '{sub}'],
    ['role-{comma}', 'role-sales,role-admin'],
    ['{brace}{name}', '{sub}Alice'],
    ['[{trimmed}]', '[à]'],
    ['{email}', ''],
    ['role-{email}', ''],
    ['{dept}-{missing}', ''],
    ['role-{none}', ''],
    ['role-{object}', ''],
    ['role-{controls}', ''],
    ['role-{noise}', ''],
  ])('%s becomes %j', ([text, expected]) => expect(decoded(filled(known, text))).toBe(expected))

  test.for<[string, Partial<Identity>, string]>([
    ['no groups', { groups: [], areGroupsKnown: true }, ''],
    ['groups that are not known', { groups: [] }, ''],
    ['groups of which some could not be read', { groups: ['a'], areGroupsKnown: false }, ''],
    ['groups', { groups: ['a'] }, 'in a'],
  ])('%s', ([, changes, expected]) =>
    expect(filled({ ...nobody, ...changes }, 'in {groups}')).toBe(expected),
  )

  test('fills in any claims once, and never anything that ends a header', () => {
    const part = fc.oneof(
      fc.constantFrom('a', 'b').map((claim) => ({ claim })),
      fc.stringMatching(/^[ -z|~]+$/).map((text) => ({ text })),
    )
    const value = fc.oneof(anyText, fc.constantFrom('{a}', '{b}', '{{', '{sub}', '\r\nX-Admin: 1'))
    holds(500, [fc.array(part, { minLength: 1 }), value, value], (parts, a, b) => {
      const source = { kind: 'template', parts } as const
      const values = headersOf({ ...nobody, claims: { a, b } }, [{ name: 'X-T', source }], 1e9)
      const texts = parts.map((each) =>
        'text' in each ? each.text : visibleText(each.claim === 'a' ? a : b),
      )
      expect(decoded(values['X-T'])).toBe(texts.includes('') ? '' : texts.join(''))
      expect(values['X-T']).toMatch(/^[\x20-\x7e\x80-\xff]*$/)
    })
  })

  test('takes the bytes of what it is filled to, beside headers that share the texts of claims', () => {
    const headers = [claimHeader('X-D', 'dept'), template('{sub}: {dept}'), template('{email}')]
    expect(templateBytes(known, headers)).toBe('u1: R&D'.length)
  })

  test('has room for lists of any members', () =>
    holds(200, [fc.array(anyText)], (list) => {
      const value = filled({ ...nobody, claims: { list } }, '<{list}>')
      expect(value).toMatch(/^(?:<[\x20-\x7e\x80-\xff]+>)?$/)
      const commas = (value ?? '').split(',').length - 1
      expect(commas).toBeLessThanOrEqual(Math.max(0, list.length - 1))
    }))
})
