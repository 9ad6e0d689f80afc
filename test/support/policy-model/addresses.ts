/** Address as a number, with its family. */
interface Address {
  readonly bits: 32 | 128
  readonly value: bigint
}

/** Returns the client's address: the right-most of the header that is no trusted proxy's (design.md section 2). */
export function clientAddress(
  forwardedFor: string | undefined,
  trusted: readonly string[],
): string | undefined {
  const entries = forwardedFor?.split(',').map(bare) ?? []
  const address = entries.findLast((entry) => !isInOne(entry, trusted))
  return address !== undefined && parse(address) ? address : undefined
}

/** Takes quotes, brackets and a port away. */
function bare(entry: string): string {
  const text = entry.trim().replaceAll('"', '')
  return /^\[(.*)\]/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text
}

/** Returns whether an address lies in one of the networks, each written as an address or with a prefix length. */
export function isInOne(address: string, networks: readonly string[]): boolean {
  const asked = parse(address)
  return asked !== undefined && networks.some((network) => contains(network, asked))
}

function contains(network: string, { bits, value }: Address): boolean {
  const [base = '', length] = network.split('/')
  const from = parse(base)
  if (from?.bits !== bits) return false
  const mapped = bits === 32 && base.includes(':') ? 96 : 0
  const rest = BigInt(length === undefined ? 0 : bits + mapped - Number(length))
  return from.value >> rest === value >> rest
}

const MAPPED = 0xffffn << 32n

function parse(text: string): Address | undefined {
  const v4 = parseV4(text)
  if (v4 !== undefined) return { bits: 32, value: v4 }
  if (!text.includes(':')) return undefined
  const value = parseV6(text)
  const isMapped = value >> 32n === MAPPED >> 32n
  return isMapped ? { bits: 32, value: value - MAPPED } : { bits: 128, value }
}

function parseV4(text: string): bigint | undefined {
  if (!/^\d+(?:\.\d+){3}$/.test(text)) return undefined
  return text.split('.').reduce((value, byte) => value * 256n + BigInt(byte), 0n)
}

function parseV6(text: string): bigint {
  const dotted = /[\d.]+\.\d+$/.exec(text)?.[0]
  const v4 = dotted === undefined ? undefined : parseV4(dotted)
  const plain =
    v4 === undefined
      ? text
      : text.replace(/[\d.]+$/, `${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`)
  const [head = [], tail] = plain.split('::').map((half) => half.split(':').filter(Boolean))
  const zeros = Array<string>(8 - head.length - (tail?.length ?? 0)).fill('0')
  return [...head, ...zeros, ...(tail ?? [])].reduce(
    (value, group) => value * 65_536n + BigInt(`0x${group}`),
    0n,
  )
}
