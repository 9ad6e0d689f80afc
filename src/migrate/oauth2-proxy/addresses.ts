import { code } from '../code-span.ts'
import { become, type Reading, tell } from './reading.ts'

/** Reads the hosts, the path of the sign-in, and the redirect URI. */
export function readAddresses(reading: Reading): void {
  const basePath = readPrefix(reading)
  const redirect = readRedirect(reading, basePath)
  const domain = readDomains(reading, redirect)
  setHosts(reading, redirect, domain)
  tell(
    reading,
    'whitelist-domain',
    domain === undefined ? 'stricter' : 'carried',
    'a sign-in leads back to protected hosts alone; pages to which a sign-out may lead are `POST_LOGOUT_REDIRECT_URIS`',
  )
  tell(
    reading,
    'relative-redirect-url',
    'carried',
    'without `PUBLIC_URL` each host has its own sign-in',
  )
}

function readPrefix(reading: Reading): string {
  const { values, draft } = reading
  const given = (values.text('proxy-prefix') ?? '/oauth2').replace(/\/+$/, '')
  const isUsable = /^(?:\/[a-z0-9_-][a-z0-9._-]*)+$/.test(given)
  if (isUsable && given !== '/oauth2') become(reading, 'proxy-prefix', 'BASE_PATH', given)
  else
    tell(
      reading,
      'proxy-prefix',
      isUsable ? 'carried' : 'differs',
      isUsable
        ? 'is the default here too'
        : 'is `/oauth2`, because `BASE_PATH` is a path in lower case',
    )
  const basePath = isUsable ? given : '/oauth2'
  draft.note(
    'differs',
    values.label('proxy-prefix'),
    `links change: \`${basePath}/start\` and \`${basePath}/sign_in\` are \`${basePath}/login\`, \`${basePath}/sign_out\` is \`${basePath}/logout\`, \`${basePath}/userinfo\` is \`${basePath}/me\`, and \`${basePath}/auth\` is \`/auth\` of the internal port`,
  )
  return basePath
}

function readRedirect(reading: Reading, basePath: string): URL | undefined {
  const { values, draft } = reading
  const text = values.text('redirect-url')
  const url = text === undefined ? undefined : (URL.parse(text) ?? URL.parse(`https://${text}`))
  const label = values.label('redirect-url')
  if (!url || !/^https?:$/.test(url.protocol)) {
    draft.note(
      'provider',
      label,
      `was not given as a whole address: register \`https://HOST${basePath}/callback\` for each protected host`,
    )
    return undefined
  }
  const callback = `${url.origin}${basePath}/callback`
  const isSame = url.pathname === '/' || `${url.origin}${url.pathname}` === callback
  tell(
    reading,
    'redirect-url',
    isSame ? 'carried' : 'provider',
    isSame ? `stays ${code(callback)}` : `becomes ${code(callback)}: register it`,
  )
  draft.note(
    'provider',
    label,
    `register ${code(`${url.origin}${basePath}/signed-out`)} as an address to which a sign-out leads back`,
  )
  return url
}

/** Returns the domain whose hosts share the session. */
function readDomains({ values, draft }: Reading, redirect: URL | undefined): string | undefined {
  const domains = values
    .list('cookie-domain')
    .map((each) => each.trim().toLowerCase().replace(/^\./, ''))
  const host = redirect?.hostname
  const covering = domains.filter(
    (domain) => host === undefined || host === domain || host.endsWith(`.${domain}`),
  )
  const [domain] = covering.toSorted((a, b) => b.length - a.length)
  const label = values.label('cookie-domain')
  if (domain === undefined) {
    draft.note(
      domains.length > 0 ? 'todo' : 'carried',
      label,
      domains.length > 0
        ? 'is not above the host of the redirect URL: set `cookie.domain`'
        : 'was not given: each host has its own session',
    )
    return undefined
  }
  draft.set('COOKIE_DOMAIN', domain)
  draft.note('carried', label, `is ${code(`COOKIE_DOMAIN=${domain}`)}`)
  if (domains.length > 1)
    draft.note(
      'stricter',
      label,
      `names several domains, of which the hosts below ${code(domain)} share a session; hosts elsewhere need an installation of their own`,
    )
  return domain
}

function setHosts(reading: Reading, redirect: URL | undefined, domain: string | undefined): void {
  const { values, draft } = reading
  const scheme = redirect?.protocol === 'http:' ? 'http://' : ''
  if (domain === undefined) {
    setSingleHosts(reading, redirect ? [`${scheme}${redirect.host}`] : listedHosts(reading))
    return
  }
  if (redirect) draft.set('PUBLIC_URL', redirect.origin)
  const port = redirect?.port ? `:${redirect.port}` : ''
  const itself = redirect?.hostname === domain ? [`${scheme}${domain}${port}`] : []
  draft.set('PROTECTED_HOSTS', [...itself, `${scheme}*.${domain}${port}`])
  draft.note(
    'differs',
    values.label('cookie-domain'),
    `${UNKNOWN_HOSTS}; every host below ${code(domain)} is protected now, and each of them gets the cookie: name only those that need a sign-in in \`protectedHosts\``,
  )
}

const UNKNOWN_HOSTS = 'oauth2-proxy does not know which hosts it protects'

function setSingleHosts({ values, draft }: Reading, hosts: readonly string[]): void {
  const label = values.label('redirect-url')
  if (hosts.length === 0) {
    draft.note('todo', label, `${UNKNOWN_HOSTS}: name them in \`protectedHosts\``)
    return
  }
  draft.set('PROTECTED_HOSTS', hosts)
  const named = hosts.map(code).join(', ')
  draft.note(
    'differs',
    label,
    `${UNKNOWN_HOSTS}: \`protectedHosts\` has ${named}, and requests for others are refused`,
  )
}

/** Hosts to which a sign-in might lead back, of which none is a whole domain. */
function listedHosts({ values }: Reading): readonly string[] {
  const hosts = values.list('whitelist-domain')
  return hosts.filter((each) => /^[a-z0-9][a-z0-9.-]*(?::\d+)?$/i.test(each))
}
