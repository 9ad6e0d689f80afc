import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import type { AlternativeName } from './authority.ts'

const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/
const NAME_MAX_LENGTH = 253

/**
 * Reads a DNS name or an address for a certificate, names beyond ASCII in their form for DNS. Returns `undefined` for
 * anything else, wildcards included, because the certificate is that of one service.
 */
export function toAlternativeName(text: string): AlternativeName | undefined {
  if (isIP(text) === 4) return { type: 'ip', value: text }
  if (isIP(text) === 6) return toIpv6(text)
  // Refuses other characters, because the conversion drops them, or what follows them, without an error.
  if (!/^[\p{L}\p{M}\p{N}._-]+$/u.test(text)) return undefined
  const value = domainToASCII(text.replace(/\.$/, ''))
  const labels = value.split('.')
  // Refuses an address in an unusual form (127.1), which the conversion turns into an address.
  if (isIP(value) !== 0 || value.length > NAME_MAX_LENGTH) return undefined
  return labels.every((label) => LABEL.test(label)) ? { type: 'dns', value } : undefined
}

/** Removes further copies of a name. */
export function withoutCopies(names: readonly AlternativeName[]): readonly AlternativeName[] {
  return [...new Map(names.map((name) => [`${name.type} ${name.value}`, name])).values()]
}

function toIpv6(text: string): AlternativeName | undefined {
  const shortest = URL.parse(`http://[${text}]/`)?.hostname.slice(1, -1)
  return shortest === undefined ? undefined : { type: 'ip', value: shortest }
}
