const MAX_VALUES = 10
const MAX_CHARS = 80
const CONTROL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** Lists values in one line of bounded length: at most ten, with the number of the others. */
export function listed(values: Iterable<string>): string {
  const all = [...values]
  const first = all.slice(0, MAX_VALUES).map(plain).join(', ')
  if (all.length === 0) return 'none'
  return all.length > MAX_VALUES ? `${first} and ${all.length - MAX_VALUES} more` : first
}

/** Cuts a long value and shows control characters as U+FFFD; one that a comma or blank would blur is in quotes. */
function plain(value: string): string {
  const cut = value.length > MAX_CHARS ? `${value.slice(0, MAX_CHARS)}…` : value
  const clean = cut.toWellFormed().replace(CONTROL, '\ufffd')
  return clean === '' || /[\s,;()"]/.test(clean) ? JSON.stringify(clean) : clean
}
