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
    [
      'SESSION_ENCRYPTION_KEY',
      !keys,
      'a random key was generated: sessions end when this process stops',
    ],
    [
      'ALIAS_HEADERS',
      settings.ALIAS_HEADERS === 'ignore',
      'aliases of identity headers such as X_Auth_Request_User reach your apps',
    ],
    [
      'DISABLE_REPLAY_DETECTION',
      settings.DISABLE_REPLAY_DETECTION,
      'an ID token can be replayed for a second sign-in',
    ],
    [
      'PUBLIC_PATHS',
      rules.every(({ access }) => access !== 'signed-in'),
      'no user is allowed to open anything that is not public',
    ],
    [
      'ALLOW_INSECURE_HTTP',
      settings.ALLOW_INSECURE_HTTP,
      'cookies and authorization codes may travel unencrypted',
    ],
    [
      'OIDC_TRUST_EMAIL',
      settings.OIDC_TRUST_EMAIL,
      'e-mail addresses are trusted although the provider has not verified them',
    ],
    [
      'REDIS_TLS_SKIP_VERIFY',
      redis?.tls?.skipVerify === true,
      'the certificate of Redis is not verified: an attacker on the network can read and change everything',
    ],
    [
      'ADMIN_TOKEN',
      settings.ADMIN_TOKEN !== undefined && settings.ADMIN_TOKEN.length < 32,
      'is short enough to be guessed',
    ],
    [
      'REDIS_ENABLED',
      !redis && isRedisNamed(settings),
      'the address of Redis is ignored because REDIS_ENABLED is false: sessions are in memory only',
    ],
  ]
  for (const [setting, isTaken, text] of risks) {
    if (isTaken) log.warn({ event: 'risk', setting }, text)
  }
  if (redis && environment['REDIS_POOL_SIZE']) {
    const fields = { event: 'setting_not_needed', setting: 'REDIS_POOL_SIZE' }
    log.info(fields, 'the setting has no effect: one pipelined connection serves a replica')
  }
}

function isRedisNamed(settings: Settings): boolean {
  const { REDIS_ADDRESS, REDIS_URL, REDIS_SENTINEL_ADDRESSES } = settings
  return [REDIS_ADDRESS, REDIS_URL, ...REDIS_SENTINEL_ADDRESSES].some((each) => each !== undefined)
}
