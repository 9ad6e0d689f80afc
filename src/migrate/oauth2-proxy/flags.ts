import type { GivenOption } from './given-options.ts'
import { meantBy, OPTIONS } from './known-options.ts'

/** Flags that name no option, with what to do instead. */
const WITHOUT_OPTION: Readonly<Record<string, string>> = {
  config: 'name the file before the --, as --config of this command',
  'alpha-config': 'name the file before the --, as --alpha-config of this command',
  'config-test': 'remove it',
  'convert-config-to-alpha': 'remove it',
  version: 'remove it',
}

/** Parses a command line as oauth2-proxy does: `--name=value`, `--name value`, and `--name` of what is on or off. */
export function parseFlags(
  args: readonly string[],
  problems: string[],
): ReadonlyMap<string, GivenOption> {
  const given = new Map<string, GivenOption>()
  let rest = args
  while (rest.length > 0) {
    const [flag = '', next] = rest
    const { name, value, takesNext } = parseFlag(flag, next, problems)
    rest = rest.slice(takesNext ? 2 : 1)
    if (name === undefined) continue
    const isList = OPTIONS.get(name) === 'list'
    const earlier = isList ? (given.get(name)?.values ?? []) : []
    const values = isList ? splitCommas(value) : [value]
    given.set(name, { label: `--${name}`, values: [...earlier, ...values] })
  }
  return given
}

function parseFlag(flag: string, next: string | undefined, problems: string[]) {
  const [, name = '', written] = /^--([^=]+)(?:=(.*))?$/s.exec(flag) ?? []
  const kind = OPTIONS.get(name)
  if (kind === undefined) {
    problems.push(faultOf(flag, name))
    return { name: undefined, value: '', takesNext: false }
  }
  const takesNext = written === undefined && kind !== 'flag'
  const value = takesNext ? next : (written ?? 'true')
  if (value === undefined) problems.push(`--${name} has no value`)
  return { name, value: value ?? '', takesNext }
}

/** Quotes no more than the name, because the rest may be a secret. */
function faultOf(flag: string, name: string): string {
  if (name === '') {
    return /^-[a-z]/i.test(flag)
      ? 'an argument begins with a single dash, which oauth2-proxy does not take: write two'
      : 'an argument behind -- belongs to no option: write --name=value'
  }
  const remedy = WITHOUT_OPTION[name]
  if (remedy !== undefined) return `--${name} is not an option to carry over: ${remedy}`
  const meant = meantBy(name.replaceAll('-', '_'), [...OPTIONS.keys()].map(underscored))
  const hint = meant.replace(/^\w+(?= may)/, (key) => `--${key.replaceAll('_', '-')}`)
  return `--${name} is no option of oauth2-proxy: ${hint}`
}

function underscored(name: string): string {
  return name.replaceAll('-', '_')
}

/** Splits at commas outside quotes, as the library of its flags does. */
function splitCommas(text: string): readonly string[] {
  const fields = text.match(/(?:^|,)(?:"(?:[^"]|"")*"|[^,]*)/g) ?? []
  return fields
    .map((field, at) => (at === 0 ? field : field.slice(1)))
    .map((field) => (/^".*"$/s.test(field) ? field.slice(1, -1).replaceAll('""', '"') : field))
}
