/** Expression of Traefik's rules, and of the conditions of traefik-forward-auth: calls, joined by `&&`, `||`, `!` and parentheses. */
export type Expression =
  | { readonly name: string; readonly args: readonly string[] }
  | { readonly all: readonly [Expression, Expression] }
  | { readonly any: readonly [Expression, Expression] }
  | { readonly not: Expression }

/** Parses an expression. Returns `undefined` for a text that is none. */
export function parseExpression(text: string): Expression | undefined {
  const tokens = tokenize(text)
  if (tokens === undefined) return undefined
  const parsed = parseAny({ tokens, at: 0 }, 0)
  return parsed?.state.at === tokens.length ? parsed.expression : undefined
}

interface State {
  readonly tokens: readonly string[]
  readonly at: number
}

interface Parsed {
  readonly expression: Expression
  readonly state: State
}

/** Bounds how deep an expression nests, so that no text exhausts the stack. */
const MAX_DEPTH = 50

const TOKEN =
  /\s*(?:(?<quoted>`[^`]*`|"(?:[^"\\]|\\["\\])*")|(?<word>[A-Za-z]\w*|\d+)|(?<sign>&&|\|\||[!(),]))\s*/gy

function tokenize(text: string): readonly string[] | undefined {
  const matches = [...text.matchAll(TOKEN)]
  const length = matches.reduce((sum, [match]) => sum + match.length, 0)
  return length === text.length && length > 0 ? matches.map(([match]) => match.trim()) : undefined
}

function parseAny(state: State, depth: number): Parsed | undefined {
  return parseJoined(state, '||', (at) => parseAll(at, depth))
}

function parseAll(state: State, depth: number): Parsed | undefined {
  return parseJoined(state, '&&', (at) => parseOne(at, depth))
}

function parseJoined(
  state: State,
  sign: '&&' | '||',
  parse: (state: State) => Parsed | undefined,
): Parsed | undefined {
  let left = parse(state)
  while (left && left.state.tokens[left.state.at] === sign) {
    const right = parse(after(left.state))
    if (!right) return undefined
    const both = [left.expression, right.expression] as const
    left = { expression: sign === '&&' ? { all: both } : { any: both }, state: right.state }
  }
  return left
}

function parseOne(state: State, depth: number): Parsed | undefined {
  const token = state.tokens[state.at]
  if (depth > MAX_DEPTH) return undefined
  if (token === '!') {
    const inner = parseOne(after(state), depth + 1)
    return inner && { expression: { not: inner.expression }, state: inner.state }
  }
  if (token === '(') {
    const inner = parseAny(after(state), depth + 1)
    return inner && inner.state.tokens[inner.state.at] === ')'
      ? { ...inner, state: after(inner.state) }
      : undefined
  }
  return parseCall(state)
}

function parseCall(state: State): Parsed | undefined {
  const [name = '', open, ...rest] = state.tokens.slice(state.at)
  const end = rest.indexOf(')')
  if (!/^[A-Za-z]/.test(name) || open !== '(' || end === -1) return undefined
  const inside = rest.slice(0, end)
  const isList = inside.every((token, at) => (at % 2 === 0) === (token !== ','))
  if (!isList || (inside.length > 0 && inside.length % 2 === 0)) return undefined
  const values = inside.filter((token) => token !== ',')
  // A word without quotes is a value for neither.
  if (!values.every((token) => /^(?:[`"\d]|true$|false$)/.test(token))) return undefined
  const args = values.map(unquoted)
  return { expression: { name, args }, state: { ...state, at: state.at + end + 3 } }
}

function unquoted(token: string): string {
  if (token.startsWith('`')) return token.slice(1, -1)
  return token.startsWith('"') ? token.slice(1, -1).replaceAll(/\\(.)/g, '$1') : token
}

function after(state: State): State {
  return { ...state, at: state.at + 1 }
}
