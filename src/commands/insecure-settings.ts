import type { Config } from '../config/config.ts'
import { describeNotice, type Notice } from '../config/notices.ts'
import type { SettingName, Settings } from '../config/settings/settings.ts'
import type { AccessRule } from '../core/access/access-rule.ts'
import type { Log } from '../telemetry/log.ts'

interface Risk {
  readonly setting: SettingName
  readonly isTaken: (config: Config) => boolean
  readonly text: string
}

const RISKS: readonly Risk[] = [
  {
    setting: 'SESSION_ENCRYPTION_KEY',
    isTaken: ({ keys }) => !keys,
    text: 'a random key was generated: sessions end when this process stops',
  },
  {
    setting: 'ALIAS_HEADERS',
    isTaken: ({ settings }) => settings.ALIAS_HEADERS === 'ignore',
    text: 'aliases of identity headers such as X_Auth_Request_User reach your apps',
  },
  {
    setting: 'DISABLE_REPLAY_DETECTION',
    isTaken: ({ settings }) => settings.DISABLE_REPLAY_DETECTION,
    text: 'an ID token can be replayed for a second sign-in',
  },
  {
    setting: 'PUBLIC_PATHS',
    isTaken: ({ rules: { rules, policies } }) => policies.size === 0 && !rules.some(admitsUsers),
    text: 'no user is allowed to open anything that is not public',
  },
  {
    setting: 'ALLOW_INSECURE_HTTP',
    isTaken: ({ settings }) => settings.ALLOW_INSECURE_HTTP,
    text: 'cookies and authorization codes may travel unencrypted',
  },
  {
    setting: 'OIDC_INTERNAL_URL',
    isTaken: ({ settings }) => /^http:/i.test(settings.OIDC_INTERNAL_URL ?? ''),
    text: 'the provider is asked over plain http: an attacker on that network can sign in as anybody',
  },
  {
    setting: 'OIDC_TRUST_EMAIL',
    isTaken: ({ settings }) => settings.OIDC_TRUST_EMAIL,
    text: 'e-mail addresses are trusted although the provider has not verified them',
  },
  {
    setting: 'REDIS_TLS_SKIP_VERIFY',
    isTaken: ({ redis }) => redis?.tls?.skipVerify === true,
    text: 'the certificate of Redis is not verified: an attacker on the network can read and change everything',
  },
  {
    setting: 'ADMIN_TOKEN',
    isTaken: ({ settings }) => isShort(settings.ADMIN_TOKEN),
    text: 'is short enough to be guessed',
  },
  {
    setting: 'BROADCAST_TOKEN',
    isTaken: ({ settings }) => isShort(settings.BROADCAST_TOKEN),
    text: 'is short enough to be guessed',
  },
  {
    setting: 'REDIS_ENABLED',
    isTaken: ({ redis, settings }) => !redis && isRedisNamed(settings),
    text: 'the address of Redis is ignored because REDIS_ENABLED is false: sessions are in memory only',
  },
]

/** Warns of settings that lower the protection, may not be meant, or have no effect. */
export function warnOfRisks(config: Config, log: Log): void {
  for (const { setting, isTaken, text } of RISKS) {
    if (isTaken(config)) log.warn({ event: 'risk', setting }, text)
  }
  for (const notice of config.notices) logNotice(notice, log)
}

function logNotice(notice: Notice, log: Log): void {
  const text = describeNotice(notice)
  switch (notice.kind) {
    case 'unknown-name':
      log.warn({ event: 'setting_unknown', name: notice.name, setting: notice.meant }, text)
      break
    case 'overridden':
      // Usual where one file serves several installations; check-config tells it.
      break
    case 'network-of-proxies':
      log.warn({ event: 'risk', setting: 'TRUSTED_PROXIES' }, text)
      break
    case 'ignored-option':
    case 'not-needed': {
      const { kind: _, ...fields } = notice
      log.info({ event: 'setting_not_needed', ...fields }, text)
      break
    }
  }
}

/** Returns whether a rule lets in users who are signed in; one with `report` lets nobody in. */
function admitsUsers({ access, isReport }: AccessRule): boolean {
  return !isReport && (access === 'signed-in' || access === 'optional')
}

function isShort(token: string | undefined): boolean {
  return token !== undefined && token.length < 32
}

function isRedisNamed(settings: Settings): boolean {
  const { REDIS_ADDRESS, REDIS_URL, REDIS_SENTINEL_ADDRESSES } = settings
  return [REDIS_ADDRESS, REDIS_URL, ...REDIS_SENTINEL_ADDRESSES].some((each) => each !== undefined)
}
