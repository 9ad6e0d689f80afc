import type { IncomingMessage } from 'node:http'
import { finished } from 'node:stream'
import { ProviderFault } from './provider-errors.ts'

/** Error code for an answer above 1 MiB. */
export const TOO_LARGE = 'ERR_PROVIDER_TOO_LARGE'

const MAX_RESPONSE_BYTES = 1024 * 1024

/** Reads the body of an answer; rejects with a `ProviderFault` for one above 1 MiB, which the caller closes. */
export function readBounded(answer: IncomingMessage): Promise<Uint8Array<ArrayBuffer>> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = []
    let bytes = 0
    answer.on('data', (chunk: Uint8Array) => {
      bytes += chunk.byteLength
      if (bytes <= MAX_RESPONSE_BYTES) chunks.push(chunk)
      else reject(new ProviderFault('the answer is larger than 1 MiB', TOO_LARGE))
    })
    finished(answer, (error) => (error ? reject(error) : resolve(Buffer.concat(chunks))))
  })
}
