import type { Config } from '../../config/config.ts'
import { cleanUrl } from '../../core/clean-text.ts'
import type { Addresses } from '../../http/addresses.ts'
import type { Answer, Ask } from '../ask.ts'
import { type Finding, finding, quoted } from '../finding.ts'
import { ownAnswerOf } from '../own-answer.ts'
import type { Place } from '../places.ts'

/** Begins a sign-in as a browser does, up to the address of the provider, which is not asked. */
export async function examineSignIn(
  { site, hostname }: Place,
  config: Config,
  addresses: Addresses,
  ask: Ask,
): Promise<readonly Finding[]> {
  const url = addresses.login(site, addresses.landing(site))
  const shown = cleanUrl(url)
  const answer = await ask(url)
  const target = URL.parse(answer.headers.location ?? '')
  const own = ownAnswerOf(answer)
  if (answer.status !== 302 || !target) {
    const seen = `${shown} was answered with ${answer.status}${own ? ` and ${own.error}` : ''}.`
    const isPassing = answer.status === 503
    return [finding(isPassing ? 'sign_in_unavailable' : 'sign_in_failed', seen)]
  }
  if (target.origin === new URL(url).origin && target.pathname.startsWith(addresses.basePath)) {
    return [finding('sign_in_loop', `${shown} redirects to ${cleanUrl(target.href)}.`)]
  }
  return [
    ...judgeTarget(shown, target, config, addresses.callback(site)),
    ...judgeCookie(shown, answer, { isSecure: site.scheme === 'https', hostname }),
  ]
}

function judgeTarget(
  shown: string,
  { searchParams }: URL,
  { settings }: Config,
  callback: string,
): readonly Finding[] {
  const redirectUri = searchParams.get('redirect_uri') ?? ''
  if (searchParams.get('client_id') !== settings.OIDC_CLIENT_ID)
    return [
      finding(
        'other_settings',
        `${shown} leads to the provider with another client than OIDC_CLIENT_ID.`,
      ),
    ]
  if (redirectUri === callback) return []
  const seen = `${shown} leads to the provider with redirect_uri ${cleanUrl(redirectUri)} instead of ${callback}.`
  return [finding('redirect_uri_differs', seen)]
}

interface Reach {
  readonly isSecure: boolean
  readonly hostname: string
}

/** Judges the cookie that binds a login to the browser by the rules for `Secure` and for prefixes of names. */
function judgeCookie(shown: string, { headers }: Answer, reach: Reach): readonly Finding[] {
  const cookie = (headers['set-cookie'] ?? []).find((line) => /^[^=]*_login=/.test(line))
  if (cookie === undefined)
    return [finding('login_cookie', `${shown} sets no cookie for the login.`)]
  const [pair = '', ...rest] = cookie.split(';')
  const name = pair.slice(0, pair.indexOf('='))
  const attributes = rest.map((each) => each.trim().toLowerCase())
  if (!isDropped(name, attributes, reach)) return []
  const seen = `${shown} sets ${quoted(name)} with ${quoted(attributes.join('; '))}, which browsers drop.`
  return [finding('login_cookie', seen)]
}

function isDropped(
  name: string,
  attributes: readonly string[],
  { isSecure, hostname }: Reach,
): boolean {
  const hasSecure = attributes.includes('secure')
  const hasDomain = attributes.some((each) => each.startsWith('domain='))
  const isBound = hasSecure && !hasDomain && attributes.includes('path=/')
  if (name.startsWith('__Host-') && !isBound) return true
  return hasSecure ? !isSecure && !/(?:^|\.)localhost$/.test(hostname) : isSecure
}
