import { ConfigError } from '../config/config-error.ts'
import { type AdminAddress, AdminError } from './admin-client.ts'

/** Options by which every command names the service that it asks. */
export const ADDRESS_OPTIONS = {
  url: { type: 'string' },
  ca: { type: 'string' },
  cert: { type: 'string' },
  key: { type: 'string' },
} as const

export const ADDRESS_USAGE = `  --json        the answer of the service as it is
  --url=URL     the internal listener (127.0.0.1:4181, or HOST and INTERNAL_PORT, with TLS as in INTERNAL_TLS_CERT_FILE)
  --ca=FILE     the authority of its certificate, if it is not one that everybody trusts
  --cert=FILE --key=FILE  the client certificate that it demands, if not that of INTERNAL_TLS_CERT_FILE`

/** Tells whether an address can be asked, and has no file that would be ignored. */
export function isUsable({ url, ca, cert, key }: AdminAddress): boolean {
  if ((cert === undefined) !== (key === undefined)) return false
  if (url === undefined) return true
  const parsed = URL.parse(url)
  if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.username || parsed.password)
    return false
  return parsed.protocol === 'https:' || (ca === undefined && cert === undefined)
}

/** Prints the result, or what kept it from being reached. Returns the exit code, 0 or 1. */
export async function printResult(ask: () => Promise<string>): Promise<number> {
  try {
    process.stdout.write(await ask())
    return 0
  } catch (error) {
    if (!(error instanceof AdminError || error instanceof ConfigError)) throw error
    const reason = error instanceof ConfigError ? error.problems.join('; ') : error.message
    process.stderr.write(`vestibule: ${reason}\n`)
    return 1
  }
}

/** Returns the error for an answer of another form than that of this version. */
export function unknownAnswer(): AdminError {
  return new AdminError('the answer is not understood: is that another version?')
}
