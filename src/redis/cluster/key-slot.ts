export const SLOT_COUNT = 16_384

/** Table of CRC-16/XMODEM for each byte. */
const CRC_OF_BYTE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x80_00 ? (crc << 1) ^ 0x10_21 : crc << 1
  return crc
})

/** Returns the slot of a key, by its hash tag where it has one (Redis Cluster specification). */
export function keySlot(key: string): number {
  const open = key.indexOf('{')
  const close = open === -1 ? -1 : key.indexOf('}', open + 1)
  const tag = close > open + 1 ? key.slice(open + 1, close) : key
  let crc = 0
  for (const byte of Buffer.from(tag)) {
    crc = ((crc << 8) & 0xff_ff) ^ (CRC_OF_BYTE[(crc >> 8) ^ byte] as number)
  }
  return crc % SLOT_COUNT
}
