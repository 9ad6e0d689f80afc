import { parseArgs } from 'node:util'
import { ValueError } from '../../config/config-error.ts'
import { parseGroups } from '../../config/settings/lists.ts'
import type { Question } from '../../core/access/explain/question.ts'
import type { Claims } from '../../core/claims.ts'
import { parseJson } from '../../core/json.ts'
import { describeIssues, question } from '../../routes/admin/question.ts'
import { EXPECTATIONS, type Expectation } from './expectation.ts'

export const USAGE = `usage: vestibule explain --url=URL [--method=METHOD] [--user=SUB] [--email=ADDRESS] [--groups=A,B]
                         [--claim=NAME=VALUE]… [--ip=ADDRESS] [--policy=NAME]
                         [--expect=allow|deny|sign-in] [--json]
       vestibule explain --tests=FILE [--json]
  --url=URL           the whole address, with its scheme: https://app.example.com/path
  --method=METHOD     GET, if not given
  --user=SUB          the person, by the provider's id; without this and the next three, nobody is signed in
  --email=ADDRESS     an address that counts as verified
  --groups=A,B        the groups, also as a JSON array; --groups= for none; not given, they are unknown
  --claim=NAME=VALUE  a claim, by name or path; several of a name are a list, and lists and maps may be JSON
  --ip=ADDRESS        the client's address, as the proxy tells it; not given, it is unknown
  --policy=NAME       the policy that the address of the middleware demands (/auth?policy=NAME)
  --expect=ANSWER     ends with 1 if a page gets another answer
  --tests=FILE        a YAML list of such questions, each with expect; ends with 1 if one fails
  --json              the explanation as JSON
The rules are those of this environment and its files; neither a service nor a secret is needed.
`

export type ParsedOptions =
  | { readonly question: Question; readonly expect?: Expectation; readonly isJson: boolean }
  | { readonly tests: string; readonly isJson: boolean }
  | { readonly fault: string }

/** Parses the arguments of `vestibule explain`. */
export function parseOptions(args: string[]): ParsedOptions {
  try {
    const { tests, expect, json: isJson, ...asked } = valuesOf(args)
    if (tests === undefined) return { ...parseQuestion(asked), ...parseExpectation(expect), isJson }
    const isAlone = tests !== '' && expect === undefined && Object.keys(asked).length === 0
    if (isAlone) return { tests, isJson }
    throw new ValueError('--tests takes a file and no question beside it')
  } catch (error) {
    // Node reports what it cannot parse as a TypeError with a code.
    const isOfArguments = error instanceof TypeError && 'code' in error
    if (isOfArguments || error instanceof ValueError) return { fault: error.message }
    throw error
  }
}

function parseQuestion(asked: Asked): { readonly question: Question } {
  const { data, error } = question.safeParse(questionOf(asked))
  if (data) return { question: data }
  throw new ValueError(
    describeIssues(error)
      .map((issue) => `--${issue}`)
      .join('; '),
  )
}

function parseExpectation(given: string | undefined): { readonly expect?: Expectation } {
  if (given === undefined) return {}
  const expect = EXPECTATIONS.find((each) => each === given)
  if (expect) return { expect }
  throw new ValueError(`--expect must be one of ${EXPECTATIONS.join(', ')}`)
}

function valuesOf(args: string[]) {
  return parseArgs({
    args,
    options: {
      url: { type: 'string' },
      method: { type: 'string' },
      user: { type: 'string' },
      email: { type: 'string' },
      groups: { type: 'string', multiple: true },
      claim: { type: 'string', multiple: true },
      ip: { type: 'string' },
      policy: { type: 'string' },
      expect: { type: 'string' },
      tests: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  }).values
}

type Asked = Omit<ReturnType<typeof valuesOf>, 'tests' | 'expect' | 'json'>

function questionOf({ groups, claim, ...asked }: Asked): object {
  return {
    ...asked,
    ...(groups !== undefined && { groups: groups.flatMap((names) => parseGroups(names)) }),
    ...(claim !== undefined && { claims: claimsIn(claim) }),
  }
}

/** Reads `NAME=VALUE`, where several of one name are a list. Throws `ValueError` for an entry of another form. */
function claimsIn(entries: readonly string[]): Claims {
  const values = new Map<string, unknown[]>()
  for (const entry of entries) {
    const [, name = '', value = ''] = /^([^=]+)=(.*)$/s.exec(entry) ?? []
    if (name === '') throw new ValueError('--claim must have the form NAME=VALUE')
    values.getOrInsertComputed(name, () => []).push(valueIn(value))
  }
  const claims = [...values].map(([name, all]) => [name, all.length === 1 ? all[0] : all])
  return Object.fromEntries(claims) as Claims
}

/** Reads lists and maps as JSON. Any other value stays the text that it is compared by, as long numbers would not. */
function valueIn(text: string): unknown {
  const value = parseJson(text)
  return typeof value === 'object' && value !== null ? value : text
}
