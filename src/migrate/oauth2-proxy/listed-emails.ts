import { parseEmail } from '../../core/access/allowed-users.ts'
import { type Reading, readNamed, tell } from './reading.ts'

const NAME = 'authenticated-emails-file'

/** Reads the addresses of the file that lists them: the first column of each line. */
export function readListedEmails(reading: Reading): readonly string[] {
  const text = readNamed(reading, NAME, 'add its addresses to the last rule, as `emails`')
  if (reading.values.text(NAME) === undefined) tell(reading, NAME, 'carried', 'is empty')
  if (text === undefined) return []
  const rows = text
    .split(/\r?\n/)
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map(columnsOf)
  if (rows.some((row) => row === undefined || row.length !== rows[0]?.length)) {
    tell(
      reading,
      NAME,
      'todo',
      'has lines that differ in their number of columns or have a lone quote, for which oauth2-proxy lets nobody in by it: add its addresses to the last rule, as `emails`, if they are meant',
    )
    return []
  }
  const entries = rows.flatMap((row) => row?.[0]?.trim().toLowerCase() ?? [])
  const emails = [...new Set(entries.filter((entry) => parseEmail(entry)))]
  const others = entries.filter((entry) => entry !== '' && !parseEmail(entry)).length
  if (others > 0)
    tell(reading, NAME, 'dropped', `has entries that are no plain addresses, ${others} in number`)
  tell(
    reading,
    NAME,
    'carried',
    'is in the rule of `vestibule.yaml`; the file itself is no longer read',
  )
  return emails
}

const COLUMN = /(?:^|,)[ \t]*(?:"(?:[^"]|"")*"|[^",]*)/g

/** Returns the columns of a line; `undefined` for one that oauth2-proxy cannot read. */
function columnsOf(line: string): readonly string[] | undefined {
  const columns = line.match(COLUMN) ?? []
  if (columns.join('') !== line) return undefined
  return columns.map((column) =>
    column
      .replace(/^,/, '')
      .trim()
      .replace(/^"(.*)"$/, '$1'),
  )
}
