import type { Settings } from './settings/settings.ts'

/** Refuses plain http, except on loopback or with `ALLOW_INSECURE_HTTP`. */
export function checkInsecureHttp(
  what: string,
  hostname: string,
  settings: Settings,
  problems: string[],
): void {
  const isLocal = /(?:^|\.)localhost$|^127\./.test(hostname)
  if (isLocal || settings.ALLOW_INSECURE_HTTP) return
  problems.push(
    `${what}: http is for loopback and *.localhost; use https, or set ALLOW_INSECURE_HTTP=true`,
  )
}

/** Requires a URL without query and fragment (OpenID Connect Discovery 1.0, section 3). */
export function checkIssuerUrl(
  what: string,
  value: string,
  settings: Settings,
  problems: string[],
): void {
  const issuer = URL.parse(value)
  if (!issuer || !/^https?:$/.test(issuer.protocol) || issuer.search || issuer.hash) {
    problems.push(`${what}: is not a URL such as https://id.example.com`)
  } else if (issuer.protocol === 'http:') {
    checkInsecureHttp(what, issuer.hostname, settings, problems)
  }
}
