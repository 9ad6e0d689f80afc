import { z } from 'zod'
import { integer, note, notes, seconds } from './setting-kinds.ts'

const PROCESS = 'Process'

/** Settings of the process and its listeners. */
export const processSettings = {
  PORT: integer(0, 65_535)
    .default(4180)
    .register(notes, note(PROCESS, 'Port of the public listener.')),
  INTERNAL_PORT: integer(0, 65_535)
    .default(4181)
    .register(
      notes,
      note(
        PROCESS,
        'Port of the internal listener: check, health, metrics, admin. Never expose it to the outside.',
      ),
    ),
  HOST: z
    .string()
    // Addresses of URLs have brackets.
    .transform((value) => value.replace(/^\[(.+)\]$/, '$1'))
    .refine(
      (value) => /^[\w.:%-]+$/.test(value) && !/:\/|^[\w.-]+:\d*$/.test(value),
      'is not an address',
    )
    .default('::')
    .register(
      notes,
      note(
        PROCESS,
        'Address that both listeners bind to. `::` includes IPv4; the default becomes `0.0.0.0` where the machine has no IPv6.',
      ),
    ),
  INTERNAL_TLS_CERT_FILE: pemFile(
    'PEM file of the certificate with which the internal listener speaks TLS (HTTP/2 and HTTP/1.1). Read again when it changes.',
  ),
  INTERNAL_TLS_KEY_FILE: pemFile('PEM file of the private key of `INTERNAL_TLS_CERT_FILE`.'),
  INTERNAL_TLS_CLIENT_CA_FILE: pemFile(
    'PEM file of the authority whose client certificates `/auth`, `/metrics` and `/admin` demand; probes need none.',
  ),
  ADMIN_TOKEN: bearerToken(
    'Bearer token for `/admin` on the internal listener; not set = no `/admin`, other than what `BROADCAST_TOKEN` opens. Fewer than 32 characters are logged as a risk.',
  ),
  BROADCAST_TOKEN: bearerToken(
    'Bearer token for `POST /admin/broadcast` alone, for apps that send events to open pages; `ADMIN_TOKEN` may send them too, and must be another token. Fewer than 32 characters are logged as a risk.',
  ),
  DRAIN_SECONDS: seconds(0, 300, 5).register(
    notes,
    note(PROCESS, 'Seconds for which requests are still served after SIGTERM.'),
  ),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .register(notes, note(PROCESS, 'Lowest level that is logged.')),
}

function pemFile(text: string) {
  return z.string().optional().register(notes, note(PROCESS, text))
}

function bearerToken(text: string) {
  return z
    .string()
    .optional()
    .register(notes, note(PROCESS, text, true))
}
