import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { loadConfig, loadSettings } from '../../src/config/load.ts'
import { formatValue } from '../../src/config/settings/settings.ts'
import type { TemplatePart } from '../../src/core/identity-headers.ts'
import { claimHeader } from '../support/claim-header.ts'
import { base, problemRows, problemsOf, useFolder } from '../support/configuration.ts'
import { holds } from '../support/holds.ts'
import { rows, words } from '../support/words.ts'

const { write } = useFolder()

function furtherHeaders(environment: Environment) {
  return loadConfig({ ...base, ...environment }).identityHeaders.slice(5)
}

function sourceOf(value: string) {
  const [header] = furtherHeaders({ IDENTITY_HEADERS: JSON.stringify([`X-A=${value}`]) })
  return header?.source
}

describe('further headers', () => {
  test('come after the fixed ones', () => {
    const IDENTITY_HEADERS = 'Remote-User=sub,X-Roles=realm_access.roles'
    const expected = [
      claimHeader('Remote-User', 'sub'),
      claimHeader('X-Roles', 'realm_access.roles'),
    ]
    expect(furtherHeaders({ IDENTITY_HEADERS })).toEqual(expected)
  })

  test('may have the names that apps behind oauth2-proxy read', () => {
    const names = words`User Email Groups Preferred-Username Access-Token`
    const headers = names.map((name) => claimHeader(`X-Forwarded-${name}`, 'x'))
    const IDENTITY_HEADERS = headers.map(({ name }) => `${name}=x`).join()
    expect(furtherHeaders({ IDENTITY_HEADERS })).toEqual(headers)
  })

  test('carry the access token beside its own header', () => {
    const IDENTITY_HEADERS = 'X-Forwarded-Access-Token=access_token,x-token=access_token'
    expect(furtherHeaders({ IDENTITY_HEADERS, PASS_ACCESS_TOKEN: 'true' })).toEqual(
      words`X-Auth-Request-Access-Token X-Forwarded-Access-Token x-token`.map((name) => ({
        name,
        source: { kind: 'access-token' },
      })),
    )
  })
})

describe('a template', () => {
  const dept = { claim: 'department' }
  test.for<[string, readonly TemplatePart[]]>([
    ['"role-{department}"', [{ text: 'role-' }, dept]],
    ['"{department}"', [dept]],
    ['"  {department} x "', [dept, { text: ' x' }]],
    ['"{department}{sub}"', [dept, { claim: 'sub' }]],
    ['"{{department}}"', [{ text: '{department}' }]],
    ['"{{{department}}}"', [{ text: '{' }, dept, { text: '}' }]],
    ['"a}}b{{c"', [{ text: 'a}b{c' }]],
    ['"say ""{department}"""', [{ text: 'say "' }, dept, { text: '"' }]],
    ['"yes"', [{ text: 'yes' }]],
    [String.raw`"{a\.b.c}"`, [{ claim: String.raw`a\.b.c` }]],
    ['"{https://example.com/claims/dept}"', [{ claim: 'https://example.com/claims/dept' }]],
  ])('%s has the parts %j', ([text, parts]) =>
    expect(sourceOf(text)).toEqual({ kind: 'template', parts }),
  )

  const HEADERS = ['X-Role="{department}, {unit}"', 'Remote-User=sub', 'X-Quote="a "","" b"']
  const lines = `${HEADERS.join('\r\n')}\n`
  test.for<[string, () => Environment | Promise<Environment>]>([
    ['the environment', () => ({ IDENTITY_HEADERS: HEADERS.join() })],
    ['an array', () => ({ IDENTITY_HEADERS: JSON.stringify(HEADERS) })],
    ['lines', () => ({ IDENTITY_HEADERS: lines })],
    ['a file', async () => ({ IDENTITY_HEADERS_FILE: await write(lines) })],
    ['a YAML list', async () => inYaml(`\n${HEADERS.map((each) => `  - '${each}'\n`).join('')}`)],
    ['a YAML text', async () => inYaml(` '${HEADERS.join(', ')}'`)],
  ])('keeps its commas in %s, and is printed so that it can be pasted', async ([, given]) => {
    const environment = await given()
    const { settings } = loadConfig({ ...base, ...environment })
    expect(settings.IDENTITY_HEADERS).toEqual(HEADERS)
    const IDENTITY_HEADERS = formatValue(settings.IDENTITY_HEADERS)
    expect(loadSettings({ IDENTITY_HEADERS }, 'IDENTITY_HEADERS')).toEqual({
      IDENTITY_HEADERS: HEADERS,
    })
  })

  async function inYaml(yaml: string): Promise<Environment> {
    return { VESTIBULE_CONFIG: await write(`identityHeaders:${yaml}\n`) }
  }

  test('a file whose line has the form of a distinguished name is a list as well', async () => {
    const IDENTITY_HEADERS_FILE = await write('Email=email,Title=title\n')
    const expected = [claimHeader('Email', 'email'), claimHeader('Title', 'title')]
    expect(furtherHeaders({ IDENTITY_HEADERS_FILE })).toEqual(expected)
  })

  test('of any text is read or refused, and what was read can be written again', () => {
    const text = fc.string({ unit: fc.constantFrom('{', '}', '"', ',', 'a', ' ', '.', 'é', '\n') })
    holds(300, [text], (any) => {
      const environment = { ...base, IDENTITY_HEADERS: JSON.stringify([`X-A="x${any}"`]) }
      const problems = problemsOf(environment)
      if (problems.length === 0) {
        const [header] = furtherHeaders(environment)
        expect(sourceOf(`"${writtenAs(header?.source)}"`)).toEqual(header?.source)
      } else {
        expect(problems).toEqual([expect.stringMatching(/^IDENTITY_HEADERS: X-A=[^]*: /)])
      }
    })
  })
})

/** Writes the parts of a template as an operator would. */
function writtenAs(source: ReturnType<typeof sourceOf>): string {
  const parts = source?.kind === 'template' ? source.parts : []
  return parts
    .map((part) => ('claim' in part ? `{${part.claim}}` : part.text.replaceAll(/[{}"]/g, '$&$&')))
    .join('')
}

describe('headers that cannot be given', () => {
  test.for([
    ...problemRows`
      X-A="role-{department}
      has no closing quote at its end: write ""
      X-A="a"b"
      has no closing quote at its end
      X-A="a"b
      has no closing quote at its end
      X-A=""
      has an empty template: write "role-
      X-A="  "
      has an empty template
      X-A="é"
      has a character in its template that is not printable ASCII
      X-A="{}"
      has braces without the name of a claim
      X-A="{ a }"
      has braces without the name of a claim
      X-A="{a"
      has a brace without its counterpart: write \{\{ or \}\}
      X-A="a}"
      has a brace without its counterpart
      X-A="{a{b}}"
      has a brace without its counterpart
      X-A="Bearer {access_token}"
      has the access token in a template: .* X-Forwarded-Access-Token=access_token
      X-A=role-{department}
      has no name of a claim as its value: put a template in quotes
      X-A=a"b"
      has no name of a claim as its value
      X-A=a b
      has no name of a claim as its value
      X-Forwarded-Access-Token=access_token
      set PASS_ACCESS_TOKEN=true as well
    `,
    ...rows`
      X-A X-A= =sub X_A=sub Cookie=sub Authorization=sub X-Forwarded-For=sub X-Forwarded-Host=sub
      x-forwarded-users=sub X-Auth-Request-User=email x-auth-request-access-token=access_token Host=sub
    `(/is not of the form Remote-User=sub with a header name that is free to use/),
  ])('%s is the problem %s', ([entry, problem]) => {
    const problems = problemsOf({ ...base, IDENTITY_HEADERS: JSON.stringify([entry]) })
    expect(problems).toEqual([expect.stringMatching(problem)])
    expect(problems[0]).toContain(`IDENTITY_HEADERS: ${entry} `)
  })

  test.for(words`X-A=sub,X-A=sub X-A=sub,x-a=email X-Forwarded-User=sub,x-forwarded-USER=sub`)(
    'a header that is named twice: %s',
    (IDENTITY_HEADERS) =>
      expect(problemsOf({ ...base, IDENTITY_HEADERS })).toEqual([
        expect.stringMatching(/names a header for the second time: leave one of them out$/),
      ]),
  )

  test('an unbalanced quote ends with its line, so that the other lines are read', () => {
    const problems = problemsOf({ ...base, IDENTITY_HEADERS: 'X-A="a,b\nX-B=sub\nX-B=sub' })
    expect(problems).toEqual([
      expect.stringMatching(/X-A="a,b has no closing quote/),
      expect.stringMatching(/X-B=sub names a header for the second time/),
    ])
  })

  test('names that exceed the bound of all headers alone', () => {
    const IDENTITY_HEADERS = words`a b c`.map((each) => `X-${each.repeat(60)}=sub`).join()
    const bound = { IDENTITY_HEADERS, IDENTITY_HEADERS_MAX_BYTES: '256' }
    expect(problemsOf({ ...base, ...bound })).toEqual([
      expect.stringMatching(/^IDENTITY_HEADERS_MAX_BYTES: is 256, but the names .* raise it$/),
    ])
  })
})

test.for<[string, string, string, readonly string[]]>([
  ['false', 'false', 'false', []],
  ['true', 'false', 'false', ['access-token']],
  ['false', 'true', 'access-token', ['access-token']],
  ['false', 'access-token', 'access-token', ['access-token']],
  ['false', 'ID-Token', 'id-token', ['id-token']],
  ['true', 'id-token', 'id-token', ['access-token', 'id-token']],
])(
  'PASS_ACCESS_TOKEN=%s and PASS_AUTHORIZATION=%s, printed as %s, give apps %j',
  ([PASS_ACCESS_TOKEN, PASS_AUTHORIZATION, printed, passed]) => {
    const config = loadConfig({ ...base, PASS_ACCESS_TOKEN, PASS_AUTHORIZATION })
    expect(formatValue(config.settings.PASS_AUTHORIZATION)).toBe(printed)
    expect([...config.passedTokens]).toEqual(passed)
  },
)
