import { readFileSync } from 'node:fs'

/** Row of the tables of docs/operations.md that quote the line an operator reads: `| symptom | line | cause and remedy |`. */
export interface DocumentedCause {
  readonly symptom: string
  readonly event: string
  /** Class of the failure or code of the finding or refusal. */
  readonly code: string
  /** `reason` of the line, or its message where it has none, with HOST:PORT for the address. */
  readonly text: string
}

/** Returns the rows whose line is one of these events, written as `` `event` `code` "text" ``. */
export function documentedCauses(events: RegExp): readonly DocumentedCause[] {
  const page = readFileSync('docs/operations.md', 'utf8')
  const rows = page.matchAll(/^\| ([^|]+) \| `(\w+)` `(\w+)` "([^|]+)" \|/gm)
  return [...rows].flatMap(([, symptom = '', event = '', code = '', text = '']) =>
    events.test(event) ? [{ symptom, event, code, text }] : [],
  )
}

/** Returns what of a log line the tables quote. */
export function quotedOf(line: Readonly<Record<string, unknown>>, address = ''): string {
  const code = line['failure'] ?? line['code']
  const text = String(line['reason'] ?? line['msg'] ?? line['message'])
  return `${line['event']} ${code} ${text}`.replaceAll(address, 'HOST:PORT')
}
