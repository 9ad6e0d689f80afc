import { MigrationError } from '../old-configuration.ts'

/** Matches `$NAME` and `${NAME}`, with a default behind `-`, `:-`, `=` or `:=`; and other forms of braces. */
const REFERENCE = /\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-=])([^${}]*))?\}|\{[^}]*\}?|\$)/g

/** Text with the values of variables in it. */
export interface Substituted {
  readonly text: string
  /** Variables without a value or a default, which became empty. */
  readonly missing: readonly string[]
}

/** Puts variables into a text as oauth2-proxy does. Throws `MigrationError` for a form that is not known. */
export function substitute(source: string, environment: ReadonlyMap<string, string>): Substituted {
  const missing = new Set<string>()
  const text = source.replaceAll(REFERENCE, (all, ...groups: (string | undefined)[]) => {
    if (all === '$$') return '$'
    const [plain, braced, operator, byDefault] = groups
    const name = plain ?? braced
    if (name === undefined) {
      throw new MigrationError([
        'the alpha configuration has a reference to a variable in a form that is not known here: write ${NAME} or ${NAME:-default}',
      ])
    }
    const value = environment.get(name)
    if (value !== undefined && (value !== '' || !operator?.startsWith(':'))) return value
    if (operator === undefined) missing.add(name)
    return byDefault ?? ''
  })
  return { text, missing: [...missing] }
}
