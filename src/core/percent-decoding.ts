/** ASCII characters that a decoder decodes, indexed by code; it always decodes those beyond ASCII. */
export type DecodedCharacters = Uint8Array

/** Returns all ASCII characters except these, whose escapes stay. */
export function everythingBut(except: string): DecodedCharacters {
  const taken = new Uint8Array(128).fill(1)
  for (const character of except) taken[character.charCodeAt(0)] = 0
  return taken
}

/**
 * Decodes in one pass the escapes of `taken` characters and of UTF-8 sequences (RFC 3629), with `takesUtf16` also
 * `%uXXXX`. Leaves malformed escapes and invalid UTF-8 unchanged and never throws.
 */
export function percentDecode(
  text: string,
  taken: DecodedCharacters,
  takesUtf16: boolean = false,
): string {
  let decoded = ''
  let copiedUntil = 0
  // Loops over characters, because a call of `indexOf` for each escape is slower on a text of escapes alone.
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) !== PERCENT) continue
    const code = codeAt(text, at, takesUtf16)
    if (code < 0x80 && taken[code] !== 1) continue
    decoded += text.slice(copiedUntil, at) + String.fromCodePoint(code)
    copiedUntil = at + lengthOf(text, at, code)
    at = copiedUntil - 1
  }
  return copiedUntil === 0 ? text : decoded + text.slice(copiedUntil)
}

/** Decodes escapes of bytes from 0x80 up as Latin-1; UTF-8 sequences must have been decoded before. */
export function latin1Decode(text: string): string {
  let decoded = ''
  let copiedUntil = 0
  for (let at = 0; at < text.length; at++) {
    const byte = byteAt(text, at)
    if (byte < 0x80) continue
    decoded += text.slice(copiedUntil, at) + String.fromCharCode(byte)
    copiedUntil = at + 3
  }
  return copiedUntil === 0 ? text : decoded + text.slice(copiedUntil)
}

const PERCENT = 0x25
const SMALL_U = 0x75

/** Returns the code point of the escape at `at`, or -1 where there is none. */
function codeAt(text: string, at: number, takesUtf16: boolean): number {
  const byte = hexPair(text, at + 1)
  if (byte >= 0x80) return multiByteAt(text, at, byte)
  return byte === -1 && takesUtf16 ? utf16At(text, at) : byte
}

/** Returns the UTF-16 unit of `%uXXXX` at `at`, or -1. */
function utf16At(text: string, at: number): number {
  if ((text.charCodeAt(at + 1) | 0x20) !== SMALL_U) return -1
  const high = hexPair(text, at + 2)
  const low = hexPair(text, at + 4)
  return high === -1 || low === -1 ? -1 : high * 256 + low
}

function lengthOf(text: string, at: number, code: number): number {
  return hexPair(text, at + 1) === -1 ? '%uXXXX'.length : '%XX'.length * utf8Size(code)
}

function utf8Size(code: number): number {
  if (code < 0x80) return 1
  if (code < 0x800) return 2
  return code < 0x1_0000 ? 3 : 4
}

function multiByteAt(text: string, at: number, lead: number): number {
  if (lead < 0xc2 || lead > 0xf4) return -1
  const size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  let code = lead & (0x7f >> size)
  for (let index = 1; index < size; index++) {
    const byte = byteAt(text, at + 3 * index)
    if (byte >> 6 !== 2) return -1
    code = (code << 6) | (byte & 0x3f)
  }
  const isSurrogate = code >> 11 === 0x1b
  return utf8Size(code) < size || code > 0x10_ffff || isSurrogate ? -1 : code
}

/** Returns the byte of the escape at `at`, or -1. */
function byteAt(text: string, at: number): number {
  return text.charCodeAt(at) === PERCENT ? hexPair(text, at + 1) : -1
}

const HEX_DIGITS = new Int8Array(128).fill(-1)
for (const [value, digit] of '0123456789abcdef'.split('').entries()) {
  HEX_DIGITS[digit.charCodeAt(0)] = value
  HEX_DIGITS[digit.toUpperCase().charCodeAt(0)] = value
}

function hexPair(text: string, at: number): number {
  const high = HEX_DIGITS[text.charCodeAt(at)] ?? -1
  if (high === -1) return -1
  const low = HEX_DIGITS[text.charCodeAt(at + 1)] ?? -1
  return low === -1 ? -1 : high * 16 + low
}
