import {
  type Alias,
  type Document,
  isAlias,
  isScalar,
  LineCounter,
  parseDocument,
  type Scalar,
  visit,
} from 'yaml'
import { ValueError } from '../config-error.ts'

/** Content of a YAML file in two readings. */
export interface YamlContent {
  /** Numbers, booleans and null as such. */
  readonly typed: unknown
  /** Every scalar as it is written, so that a password `0123` keeps its zero. */
  readonly written: unknown
}

/** Parses YAML. Throws `ValueError` that names the place and never quotes the text, which may hold secrets. */
export function parseYaml(text: string): YamlContent {
  try {
    // Warnings would be printed with the text that they concern. The parser's own search for doubled keys is quadratic.
    const lineCounter = new LineCounter()
    const document = parseDocument(text, { logLevel: 'error', uniqueKeys: false, lineCounter })
    const [fault] = [...document.errors, ...document.warnings]
    if (fault)
      throw new ValueError(`${placeOf(fault.linePos?.[0])}${FAULTS[fault.code] ?? fault.code}`)
    refuseDoubledKeys(document, lineCounter)
    const typed = contentOf(document)
    visit(document, { Scalar: (_, node) => void (node.value = node.source) })
    return { typed, written: contentOf(document) }
  } catch (error) {
    if (error instanceof ValueError) throw error
    const isUnresolved = error instanceof Error && error.message.startsWith('Unresolved alias')
    throw new ValueError(isUnresolved ? UNRESOLVED : TOO_MUCH)
  }
}

/** Throws `ReferenceError` for aliases that would multiply, and `RangeError` for endless nesting. */
function contentOf(document: Document.Parsed): unknown {
  return document.toJS({ maxAliasCount: 100 })
}

/** Throws `ValueError` for a key that the content would have once; as its keys, `1` and `"1"` are the same. */
function refuseDoubledKeys(document: Document.Parsed, lines: LineCounter): void {
  visit(document, {
    Map(_, { items }) {
      const names = new Set<string>()
      for (const { key } of items) {
        const named = isAlias(key) ? key.resolve(document) : key
        if (!isScalar(named)) continue
        const name = String(named.value)
        if (names.has(name)) {
          const [start] = (key as Scalar.Parsed | Alias.Parsed).range
          throw new ValueError(`${placeOf(lines.linePos(start))}a key is there twice`)
        }
        names.add(name)
      }
    },
  })
}

function placeOf(position: { readonly line: number; readonly col: number } | undefined): string {
  return position ? `line ${position.line}, column ${position.col}: ` : ''
}

const UNRESOLVED = 'an alias without its anchor; a value that begins with * needs quotes'
const TOO_MUCH = 'too deeply nested, or too many aliases'

/** Texts for the codes of the parser's faults that operators meet. */
const FAULTS: Readonly<Record<string, string>> = {
  BAD_ALIAS: UNRESOLVED,
  BAD_DQ_ESCAPE: 'a backslash in double quotes that begins no escape: write \\\\ or single quotes',
  BAD_INDENT: 'the indentation does not fit, or a bracket is not closed',
  BAD_SCALAR_START: 'a value begins with a character that needs quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a map within a line; a value with ": " in it needs quotes',
  MISSING_CHAR: 'a quote, bracket, comma or colon is missing',
  MULTIPLE_DOCS: 'more than one document',
  RESOURCE_EXHAUSTION: TOO_MUCH,
  TAB_AS_INDENT: 'tabs do not indent',
  TAG_RESOLVE_FAILED: 'an unknown tag; a value that begins with ! needs quotes',
  UNEXPECTED_TOKEN: 'something that cannot stand here',
}
