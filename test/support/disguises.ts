/** A secret as it might lie around: as it is, in hex, escaped, or inside something that is in Base64. */
export const disguisesOf = (secret: string | Buffer): readonly Buffer[] => {
  const bytes = Buffer.from(secret)
  const text = bytes.toString('utf8')
  const inHex = bytes.toString('hex')
  const written = [
    ...[0, 1, 2].flatMap((before) => inBase64(bytes, before)),
    inHex,
    inHex.toUpperCase(),
    encodeURIComponent(text),
    JSON.stringify(text).slice(1, -1),
  ]
  return [bytes, Buffer.from(text, 'utf16le'), ...written.map((each) => Buffer.from(each))]
}

/** Behind as many bytes of something else, and without the characters that depend on its surroundings. */
const inBase64 = (bytes: Buffer, before: number): readonly string[] => {
  const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64')
  const inner = text.slice(
    before === 0 ? 0 : before + 1,
    Math.floor(((before + bytes.length) * 8) / 6),
  )
  return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')]
}
