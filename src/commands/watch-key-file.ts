import type { Service } from '../compose/service.ts'
import type { Config } from '../config/config.ts'
import { ValueError } from '../config/config-error.ts'
import { parseKeys } from '../config/encryption-keys.ts'
import { readText } from '../config/sources/read-text.ts'
import type { Log } from '../telemetry/log.ts'
import { poll } from '../timing/poll.ts'

const INTERVAL_MS = 5000

/** Polls the key file; an unusable file leaves the keys unchanged. Returns a function that stops polling. */
export function watchKeyFile(
  { keyFile, settings }: Config,
  service: Pick<Service, 'replaceKeys'>,
  log: Log,
): () => void {
  if (keyFile === undefined) return () => undefined
  let known = settings.SESSION_ENCRYPTION_KEY
  return poll(INTERVAL_MS, () => {
    try {
      const text = readText(keyFile)
      if (text === known) return
      service.replaceKeys(parseKeys(text))
      known = text
      log.info({ event: 'keys_reloaded' }, 'the key file changed and was reloaded')
    } catch (error) {
      const reason =
        error instanceof ValueError ? error.message : (error as NodeJS.ErrnoException).code
      log.error(
        { event: 'keys_not_reloaded', reason },
        'the key file cannot be used; the keys in use stay',
      )
    }
  })
}
