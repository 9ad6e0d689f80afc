import type { Config, Environment } from '../config/config.ts'
import type { Settings } from '../config/settings/settings.ts'
import type { Log } from '../telemetry/log.ts'

/** Warns of settings that lower the protection or may not be meant. */
export function warnOfRisks(
  environment: Environment,
  { settings, rules, keys, redis }: Config,
  log: Log,
): void {
  const risks: readonly (readonly [setting: string, isTaken: boolean, text: string])[] = [
    ['SESSION_ENCRYPTION_KEY', !keys, 'a key was made up, and sessions end with this process'],
    [
      'ALIAS_HEADERS',
      settings.ALIAS_HEADERS === 'ignore',
      'other spellings of identity headers reach your apps',
    ],
    [
      'DISABLE_REPLAY_DETECTION',
      settings.DISABLE_REPLAY_DETECTION,
      'an ID token can be used for more than one sign-in',
    ],
    [
      'PUBLIC_PATHS',
      rules.every(({ access }) => access !== 'signed-in'),
      'nobody is named who may open anything that is not public',
    ],
    ['ALLOW_INSECURE_HTTP', settings.ALLOW_INSECURE_HTTP, 'cookies and codes may travel in clear'],
    [
      'OIDC_TRUST_EMAIL',
      settings.OIDC_TRUST_EMAIL,
      'e-mail addresses count although the provider has not verified them',
    ],
    [
      'REDIS_TLS_SKIP_VERIFY',
      redis?.tls?.skipVerify === true,
      'whoever stands between us and Redis can read along',
    ],
    [
      'ADMIN_TOKEN',
      settings.ADMIN_TOKEN !== undefined && settings.ADMIN_TOKEN.length < 32,
      'is short enough to be guessed',
    ],
    [
      'REDIS_ENABLED',
      !redis && isRedisNamed(settings),
      'an address of Redis is set and not used: sessions are in memory only',
    ],
  ]
  for (const [setting, isTaken, text] of risks) {
    if (isTaken) log.warn({ event: 'risk', setting }, text)
  }
  if (redis && environment['REDIS_POOL_SIZE']) {
    const fields = { event: 'setting_not_needed', setting: 'REDIS_POOL_SIZE' }
    log.info(fields, 'one pipelined connection serves a replica')
  }
}

function isRedisNamed(settings: Settings): boolean {
  const { REDIS_ADDRESS, REDIS_URL, REDIS_SENTINEL_ADDRESSES } = settings
  return [REDIS_ADDRESS, REDIS_URL, ...REDIS_SENTINEL_ADDRESSES].some((each) => each !== undefined)
}
